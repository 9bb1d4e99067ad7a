import { afterAll, describe, expect, it } from 'vitest';
import { bare } from '#engines/bare/engine.js';
import type { Engine, Machine } from '#engines/engine.js';
import { qemu } from '#engines/qemu/engine.js';
import { debianGuest } from '#workloads/linux/debian.js';

const DEADLINE = { deadlineMs: 120_000 };
/** Few packages: what fio and stress-ng need is fetched by `virtax bench --guest debian` alone. */
const PROGRAMS = [
  { package: 'xz-utils', path: 'usr/bin/xz' },
  { package: 'gzip', path: 'usr/bin/gzip' },
];

describe('the Linux profile’s guest', () => {
  const machines: Machine[] = [];
  afterAll(() => Promise.all(machines.map((machine) => machine.stop())));

  async function boot(engine: Engine, guest: ReturnType<typeof debianGuest>): Promise<Machine> {
    const machine = await engine.boot({
      id: 0,
      vcpus: 2,
      memoryBytes: 256 << 20,
      guest,
      waiting: { pollUs: 0 },
      bootDeadlineMs: 250_000,
    });
    machines.push(machine);
    return machine;
  }

  it('gives the same answers as bare metal under QEMU, and counts its CPUs', { timeout: 900_000 }, async () => {
    const guest = debianGuest(PROGRAMS);
    const answers: string[][] = [];
    for (const engine of [bare, qemu]) {
      const machine = await boot(engine, guest);
      const sums: string[] = [];
      for (const workload of ['linux/gzip', 'linux/xz', 'linux/busybox-sha256']) {
        await machine.prepare(workload, { seed: 1, ...DEADLINE });
        machine.start({ durationMs: 100, seed: 1, ...DEADLINE });
        const result = await machine.result();
        expect(result).toMatchObject({ errors: 0, ops: result.units });
        // Of bare metal it comes in hundredths, which so short a sample may not reach.
        if (engine === qemu) expect(result.cpuSeconds).toBeGreaterThan(0);
        sums.push(result.checksum);
      }
      answers.push(sums);
    }
    expect(answers[1]).toEqual(answers[0]);
    expect(new Set(answers[0]).size).toBe(3);
    expect(machines[1].facts.kernel).toMatch(/^Debian 6\./);
  });

  it('fails a workload whose program is not there, with its words', async () => {
    const preparing = machines[0].prepare('linux/fio-randread-4k-qd1', { seed: 1, ...DEADLINE });
    await expect(preparing).rejects.toThrow(/disk is needed/);
    await expect(machines[0].prepare('linux/stress-fft', { seed: 1, ...DEADLINE })).rejects.toThrow(/fails/);
  });
});
