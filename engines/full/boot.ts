/**
 * Boots an image on the emulated machine with its serial port on the terminal, for development:
 *
 *   node dist/engines/full/boot.js IMAGE [--append ARGS] [--smp N] [--memory MIB] [--disk FILE] [--net] [--counters]
 *
 * Ctrl-A x ends it, as in QEMU. The exit status is the guest's; 2 for a command line or an image that cannot be used.
 */
import { statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { VmConfig, VmDisk, VmEnd } from './config.js';
import { Vm } from './vm.js';

const USAGE =
  'usage: node dist/engines/full/boot.js IMAGE [--append ARGS] [--smp N] [--memory MIB] [--disk FILE] [--net] [--counters]';
const CTRL_A = 0x01;

function readCommandLine() {
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
  if (positionals.length !== 1) throw new Error(USAGE);
  const config: VmConfig = {
    id: 0,
    harts: count('--smp', values.smp),
    memoryBytes: count('--memory', values.memory) * 2 ** 20,
    kernel: positionals[0],
    append: values.append,
    disks: values.disk === undefined ? [] : [scsiDisk(values.disk)],
    ...(values.net ? { nic: { mode: 'switch', model: 'rtl8139' } } : {}),
    pollUs: 0,
  };
  return { config, showCounters: values.counters };
}

const scsiDisk = (path: string): VmDisk => ({
  path,
  bytes: statSync(path).size,
  direct: false,
  interface: 'scsi',
  readonly: false,
  media: 'disk',
});

function count(option: string, text: string): number {
  if (!/^[1-9][0-9]*$/.test(text)) throw new Error(`${option} wants a number from 1, not "${text}"`);
  return Number(text);
}

function leave(how: VmEnd, counters?: Record<string, number>): void {
  if (process.stdin.isTTY) process.stdin.setRawMode(false);
  if (counters !== undefined) console.error(counters);
  if (how.kind === 'fault') console.error(how.message);
  process.exit(how.kind === 'poweroff' ? how.code : 1);
}

/** Ctrl-A x leaves; Ctrl-A twice sends one. */
function terminalInput(vm: Vm): void {
  let escaped = false;
  if (process.stdin.isTTY) process.stdin.setRawMode(true);
  process.stdin.on('data', (chunk: Buffer) => {
    const bytes: number[] = [];
    for (const byte of chunk) {
      if (escaped && byte === 0x78) leave({ kind: 'poweroff', code: 0 });
      if (escaped || byte !== CTRL_A) bytes.push(byte);
      escaped = !escaped && byte === CTRL_A;
    }
    vm.input(Uint8Array.from(bytes));
  });
}

try {
  const { config, showCounters } = readCommandLine();
  const vm = new Vm(config, {
    running: () => {},
    output: (bytes) => process.stdout.write(bytes),
    doorbell: () => {},
    ended: (how) => leave(how, showCounters ? vm.counters() : undefined),
  });
  terminalInput(vm);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(2);
}
