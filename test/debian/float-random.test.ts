import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { RAM_BASE } from '#engines/full/cpu/hart.js';
import type { TranslateMode } from '#engines/full/cpu/translator/translator.js';
import { BareMachine } from '../full/cpu/support/bare-hart.js';
import { MOST_SEQUENCES, OUTCOME_WORDS, randomFloatProgram } from '../full/cpu/support/random-float.js';

// Random floating-point sequences on QEMU and here, interpreted and translated: registers and fcsr must be the same after each.
// All rounding modes, static and dynamic; fflags, frm and fcsr are read and written between. VIRTAX_TEST_SEED=n runs that one
// program; VIRTAX_TEST_PROGRAMS more or fewer.

const folder = mkdtempSync(join(tmpdir(), 'virtax-float-'));
afterAll(() => rmSync(folder, { recursive: true }));

function onQemu(image: Uint8Array): Buffer {
  const file = join(folder, 'program.bin');
  const output = join(folder, 'serial.bin');
  writeFileSync(file, image);
  const machine = ['-M', 'virt', '-cpu', 'rv64', '-m', '64', '-bios', 'none', '-display', 'none', '-monitor', 'none'];
  const load = ['-device', `loader,file=${file},addr=0x80000000`, '-serial', `file:${output}`];
  execFileSync('qemu-system-riscv64', [...machine, ...load], { timeout: 60_000 });
  return readFileSync(output);
}

function onOurs(image: Uint8Array, mode: TranslateMode): Buffer {
  const machine = new BareMachine(1, mode);
  machine.bytes(RAM_BASE, image.length).set(image);
  expect(machine.runToEnd()).toBe(true);
  return Buffer.from(machine.serial);
}

/** What each sequence left, as text. */
function outcomes(dump: Buffer): string[] {
  expect(dump.length).toBe(MOST_SEQUENCES * OUTCOME_WORDS * 8);
  const bytes = OUTCOME_WORDS * 8;
  return Array.from({ length: MOST_SEQUENCES }, (_, index) =>
    Array.from({ length: OUTCOME_WORDS }, (_, at) => dump.readBigUInt64LE(index * bytes + at * 8).toString(16)).join(
      ' ',
    ),
  );
}

const first = Number(process.env.VIRTAX_TEST_SEED ?? 1);
const programs = process.env.VIRTAX_TEST_SEED ? 1 : Number(process.env.VIRTAX_TEST_PROGRAMS ?? 4);

describe(`${MOST_SEQUENCES} random floating-point sequences as on QEMU`, () => {
  it.each(Array.from({ length: programs }, (_, index) => first + index))('seed %d', (seed) => {
    const image = randomFloatProgram(seed, MOST_SEQUENCES);
    const theirs = outcomes(onQemu(image));
    expect(outcomes(onOurs(image, 'off'))).toEqual(theirs);
    expect(outcomes(onOurs(image, 'forced'))).toEqual(theirs);
  });
});
