import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { VmConfig, VmEnd } from '#engines/full/config.js';
import { Vm } from '#engines/full/vm/vm.js';
import { hostileGuest } from './hostile-guest.js';
import { vmConfig } from './run-guest.js';

// Whole machines with all their devices and a guest that does whatever harm it can: the host never throws, and the
// machine can be stopped. VIRTAX_TEST_SEED and VIRTAX_TEST_PROGRAMS choose others, or more.

const folder = mkdtempSync(join(tmpdir(), 'virtax-hostile-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const first = Number(process.env.VIRTAX_TEST_SEED ?? 1);
const programs = Number(process.env.VIRTAX_TEST_PROGRAMS ?? 4);
const INSTRUCTIONS = 100_000;
const LOOKS = 100;
const LOOK_MS = 20;
const DISK_BYTES = 1 << 20;
const MODELS = [undefined, 'e1000', 'rtl8139', 'rtl8169', 'virtio'] as const;

function configFor(seed: number): VmConfig {
  const disks = (['scsi', 'virtio', 'virtio-mmio'] as const).map((name, index) => {
    const path = join(folder, `${name}-${seed}`);
    writeFileSync(path, '');
    truncateSync(path, DISK_BYTES);
    return {
      ...{ path, interface: name, readonly: index === 1, media: 'disk' as const, bytes: DISK_BYTES, direct: false },
    };
  });
  const model = MODELS[seed % MODELS.length];
  return vmConfig(hostileGuest(seed), {
    ...{ harts: 1 + (seed % 3), disks, virtioExtras: ['rng', 'balloon', 'console'] },
    ...(model === undefined ? {} : { nic: { mode: 'user', model } }),
  });
}

/** Runs it until it has done so much, or sleeps for good, or has ended its machine. */
async function harm(seed: number): Promise<{ how: VmEnd | undefined; instructions: number }> {
  let how: VmEnd | undefined;
  const vm = new Vm(configFor(seed), {
    ...{ running: () => {}, output: () => {}, doorbell: () => {} },
    ended: (end) => {
      how = end;
    },
  });
  const instructions = (): number => vm.counters().instructions ?? 0;
  for (let looks = 0; looks < LOOKS && how === undefined && instructions() < INSTRUCTIONS; looks++) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  await vm.stop();
  return { how, instructions: instructions() };
}

describe.each(['interpreter', 'forced'])('guests that mean harm, %s', (cpu) => {
  beforeEach(() => void vi.stubEnv('VIRTAX_CPU', cpu));
  afterEach(() => void vi.unstubAllEnvs());

  it.each(Array.from({ length: programs }, (_, index) => first + index))('seed %d', async (seed) => {
    const { how } = await harm(seed);
    expect(how === undefined || how.kind !== 'fault' ? 'fine' : how.message).toBe('fine');
  });
});
