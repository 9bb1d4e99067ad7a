import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { RAM_BASE } from '#engines/full/cpu/hart.js';
import { BareMachine } from '../full/cpu/support/bare-hart.js';
import { PAGED_DUMP_BYTES } from '../full/cpu/support/paged-layout.js';
import { randomPaged } from '../full/cpu/support/random-paged.js';

// Random programs under paging, in S- and U-mode, on QEMU and here: registers, memory and all traps must be the same.
// VIRTAX_TEST_SEED=n runs that one program; VIRTAX_TEST_PROGRAMS more or fewer.

const folder = mkdtempSync(join(tmpdir(), 'virtax-cpu-'));
afterAll(() => rmSync(folder, { recursive: true }));

const INSTRUCTIONS = 400;
/** Of the extensions that QEMU has on by default, those that the table has not are off. */
const CPU = 'rv64,zba=on,zbb=on,zbs=on,zbc=off,h=off';
const MOST = 50_000_000;

function onQemu(image: Uint8Array): Buffer {
  const file = join(folder, 'program.bin');
  const output = join(folder, 'serial.bin');
  writeFileSync(file, image);
  // Two harts: see the program's prologue.
  const machine = ['-M', 'virt', '-smp', '2', '-cpu', CPU, '-m', '64', '-bios', 'none', '-display', 'none'];
  const load = ['-device', `loader,file=${file},addr=0x80000000`, '-monitor', 'none', '-serial', `file:${output}`];
  execFileSync('qemu-system-riscv64', [...machine, ...load], { timeout: 20_000 });
  return readFileSync(output);
}

function onOurs(image: Uint8Array): Buffer {
  const machine = new BareMachine();
  machine.bytes(RAM_BASE, image.length).set(image);
  expect(machine.runToEnd(MOST)).toBe(true);
  return Buffer.from(machine.serial);
}

const words = (dump: Buffer): string[] =>
  Array.from({ length: dump.length / 8 }, (_, index) => dump.readBigUInt64LE(index * 8).toString(16));

const first = Number(process.env.VIRTAX_TEST_SEED ?? 1);
const programs = process.env.VIRTAX_TEST_SEED ? 1 : Number(process.env.VIRTAX_TEST_PROGRAMS ?? 20);

describe('random programs under paging as on QEMU', () => {
  it.each(Array.from({ length: programs }, (_, index) => first + index))('seed %d', (seed) => {
    const image = randomPaged(seed, INSTRUCTIONS);
    const theirs = onQemu(image);
    expect(theirs.length).toBe(PAGED_DUMP_BYTES);
    expect(words(onOurs(image))).toEqual(words(theirs));
  });
});
