import { describe, expect, it } from 'vitest';
import { KernelBuild } from './support/kernel-wasm.js';

const build = new KernelBuild(
  ['../block/stream.c', 'lib/format.c', 'lib/mem.c', 'test/stream_harness.c'],
  ['-Iinclude', '-I..'],
);
const NONE = 0xffff_ffff;

/** The second half of a disk of 1 MiB is 128 blocks of 4 KiB, so 128 / cpus a CPU: less than 16 times the depth. */
describe.each([
  { name: 'in order', random: 0, depth: 4, cpus: 32 },
  { name: 'in order, all in one place', random: 0, depth: 4, cpus: 128 },
  { name: 'random', random: 1, depth: 32, cpus: 1 },
  { name: 'random, with fewer places than requests', random: 1, depth: 32, cpus: 8 },
])('writes over a small part, $name', ({ random, depth, cpus }) => {
  const part = build.instantiate({});
  const run = (units: number, lose: number) => part.call('harness_write', random, depth, cpus, units, lose);

  it('are right, and no two of one place are in flight together', () => {
    for (const units of [1, 3, 10]) expect(run(units, NONE)).toBe(0);
    expect(part.call('harness_overlaps')).toBe(0);
    expect(part.call('harness_writes')).toBeGreaterThanOrEqual(640);
  });

  it('that are lost in the last pass are found, and their place is named', () => {
    run(5, NONE);
    const writes = part.call('harness_writes');
    let found = 0;
    for (let back = 1; back <= depth; back++) {
      const errors = run(5, writes - back);
      if (part.call('harness_made_good')) continue;
      expect(errors).toBe(1);
      expect(part.call('harness_wrong_at')).toBe(part.call('harness_lost_at'));
      found++;
    }
    expect(found).toBeGreaterThan(0);
  });
});
