/** Runs a test guest on a machine in this process until it ends. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { VmConfig, VmEnd } from '#engines/full/config.js';
import type { Stamp } from '#engines/full/machine/doorbells.js';
import { Vm } from '#engines/full/vm/vm.js';

const folder = mkdtempSync(join(tmpdir(), 'virtax-guest-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let images = 0;

/** Writes an image to a file that lives as long as the tests of this file. */
export function imageFile(image: Uint8Array): string {
  const path = join(folder, `${images++}.bin`);
  writeFileSync(path, image);
  return path;
}

export function vmConfig(image: Uint8Array, options: Partial<VmConfig> = {}): VmConfig {
  return {
    id: 0,
    harts: 1,
    memoryBytes: 16 * 2 ** 20,
    kernel: imageFile(image),
    append: '',
    disks: [],
    doorbells: true,
    noReboot: true,
    pollUs: 0,
    ...options,
  };
}

export interface Run {
  output: string;
  how: VmEnd;
  stamps: Stamp[];
  counters: Record<string, number>;
}

/** `type`: sent to the guest whenever its output ends with the key. */
export function runGuest(
  image: Uint8Array,
  options: Partial<VmConfig> = {},
  type: Record<string, string> = {},
): Promise<Run> {
  return new Promise((resolve) => {
    const run: Run = { output: '', how: { kind: 'reset' }, stamps: [], counters: {} };
    const vm = new Vm(vmConfig(image, options), {
      running: () => {},
      output(bytes) {
        run.output += Buffer.from(bytes).toString('latin1');
        for (const [prompt, answer] of Object.entries(type)) {
          if (run.output.endsWith(prompt)) vm.input(Buffer.from(answer));
        }
      },
      doorbell: (stamp) => run.stamps.push(stamp),
      ended: (how) => resolve({ ...run, how, counters: vm.counters() }),
    });
  });
}
