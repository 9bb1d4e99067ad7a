/**
 * Boots an image on the emulated machine with its serial port on the terminal, for development:
 *
 *   node dist/engines/full/boot.js IMAGE [--append ARGS] [--smp N] [--memory MIB] [--disk FILE] [--net] [--counters]
 *
 * Ctrl-A x ends it, as in QEMU. The exit status is the guest's.
 */
import { statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { VmConfig, VmEnd } from './config.js';
import { Vm } from './vm.js';

const USAGE =
  'usage: node dist/engines/full/boot.js IMAGE [--append ARGS] [--smp N] [--memory MIB] [--disk FILE] [--net] [--counters]';
const CTRL_A = 0x01;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    append: { type: 'string', default: '' },
    smp: { type: 'string', default: '1' },
    memory: { type: 'string', default: '256' },
    disk: { type: 'string' },
    net: { type: 'boolean', default: false },
    counters: { type: 'boolean', default: false },
  },
});

function config(image: string): VmConfig {
  const disk =
    values.disk === undefined ? {} : { disk: { path: values.disk, bytes: statSync(values.disk).size, direct: false } };
  return {
    id: 0,
    harts: Number(values.smp),
    memoryBytes: Number(values.memory) * 2 ** 20,
    image,
    bootargs: values.append,
    ...disk,
    network: values.net,
    pollUs: 0,
  };
}

function leave(how: VmEnd): void {
  if (process.stdin.isTTY) process.stdin.setRawMode(false);
  if (values.counters) console.error(vm?.counters());
  if (how.kind === 'fault') console.error(how.message);
  process.exit(how.kind === 'poweroff' ? how.code : 1);
}

/** Ctrl-A x leaves; Ctrl-A twice sends one. */
function terminalInput(machine: Vm): void {
  let escaped = false;
  if (process.stdin.isTTY) process.stdin.setRawMode(true);
  process.stdin.on('data', (chunk: Buffer) => {
    const bytes: number[] = [];
    for (const byte of chunk) {
      if (escaped && byte === 0x78) leave({ kind: 'poweroff', code: 0 });
      if (escaped || byte !== CTRL_A) bytes.push(byte);
      escaped = !escaped && byte === CTRL_A;
    }
    machine.input(Uint8Array.from(bytes));
  });
}

let vm: Vm | undefined;
const [image] = positionals;
if (image === undefined) {
  console.error(USAGE);
  process.exit(2);
}
try {
  vm = new Vm(config(image), {
    running: () => {},
    output: (bytes) => process.stdout.write(bytes),
    doorbell: () => {},
    ended: leave,
  });
  terminalInput(vm);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(2);
}
