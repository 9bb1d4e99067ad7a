import { beforeEach, describe, expect, it } from 'vitest';
import { KernelBuild, type KernelPart } from './support/kernel-wasm.js';

const build = new KernelBuild(['kernel/block.c', 'lib/mem.c', 'test/block_harness.c']);

const [READ, WRITE, FLUSH] = [0, 1, 2];
const EINVAL = -22;
const EAGAIN = -11;
const DISK = 1 << 24;

let part: KernelPart;
let cpu: number;
let woken: number[];
let asleep: () => undefined;

beforeEach(() => {
  cpu = 0;
  woken = [];
  asleep = () => {
    throw new Error('sleeps with nobody to wake it');
  };
  part = build.instantiate({
    cpu_id: () => cpu,
    cpu_wake: (which) => {
      woken.push(which);
      return undefined;
    },
    cpu_sleep: () => asleep(),
  });
});

const queue = (tag: number, op = READ, offset = 0, bytes = 4096, shift = 0) =>
  part.call('harness_queue', op, tag, offset, bytes, shift);

function submit(...tags: number[]): void {
  for (const tag of tags) expect(queue(tag)).toBe(0);
  part.call('block_start');
}

const taken = () => Array.from({ length: part.call('harness_taken') }, (_, i) => part.call('harness_taken_tag', i));

/** [tag, status] of what block_wait() stored. */
function wait(min: number, max = 64): [number, number][] | number {
  const n = part.call('harness_wait', min, max);
  if (n < 0) return n;
  return Array.from({ length: n }, (_, i) => [part.call('harness_done_tag', i), part.call('harness_done_status', i)]);
}

describe('requests', () => {
  it.each([
    ['no such operation', [0, 3, 0, 4096, 0]],
    ['a tag beyond the depth', [64, READ, 0, 4096, 0]],
    ['no bytes', [0, READ, 0, 0, 0]],
    ['half a sector', [0, READ, 0, 256, 0]],
    ['an offset within a sector', [0, READ, 256, 512, 0]],
    ['more than 1 MiB', [0, READ, 0, (1 << 20) + 512, 0]],
    ['a start beyond the end', [0, WRITE, DISK + 512, 512, 0]],
    ['an end beyond the end', [0, WRITE, DISK - 512, 1024, 0]],
    ['an unaligned buffer', [0, READ, 0, 512, 8]],
  ])('with %s are refused', (_name, [tag, op, offset, bytes, shift]) => {
    part.call('harness_start', 4);
    expect(queue(tag, op, offset, bytes, shift)).toBe(EINVAL);
    expect(wait(0)).toEqual([]);
  });

  it('are refused without a disk', () => {
    expect(queue(0)).toBe(-2);
  });

  it('up to the very end of the disk, and flushes, are taken', () => {
    part.call('harness_start', 4);
    expect([queue(0, READ, DISK - 512, 512), queue(1, FLUSH, 77, 0, 1)]).toEqual([0, 0]);
    part.call('block_start');
    expect(taken()).toEqual([0, 1]);
  });

  it('keep their tag until their completion was taken', () => {
    part.call('harness_start', 4);
    submit(5);
    expect(queue(5)).toBe(EAGAIN);
    part.call('harness_complete', 0, 0);
    expect(queue(5)).toBe(EAGAIN);
    expect(wait(1)).toEqual([[5, 0]]);
    expect(queue(5)).toBe(0);
  });
});

describe('a full disk', () => {
  it('gets what waited in the order in which it came, one CPU after the other', () => {
    part.call('harness_start', 2);
    submit(1, 2, 3, 4);
    cpu = 7;
    submit(1, 2);
    expect(taken()).toEqual([1, 2]);
    for (let i = 0; i < 4; i++) part.call('harness_complete', i, 0);
    expect(taken()).toEqual([1, 2, 3, 4, 1, 2]);
    expect(part.call('harness_taken_cpu', 5)).toBe(7);
  });

  it('takes all of 32 CPUs with 64 requests each in the end', () => {
    part.call('harness_start', 3);
    for (cpu = 0; cpu < 3; cpu++) submit(...Array.from({ length: 64 }, (_, tag) => tag));
    for (let i = 0; i < 192; i++) part.call('harness_complete', i, 0);
    for (cpu = 0; cpu < 3; cpu++) expect(wait(64)).toHaveLength(64);
  });
});

describe('completions', () => {
  it('go to the CPU that asked, in the order in which they ended, with their status', () => {
    part.call('harness_start', 4);
    submit(1, 2);
    cpu = 3;
    submit(1);
    part.call('harness_complete', 2, -5);
    part.call('harness_complete', 1, 0);
    part.call('harness_complete', 0, -28);
    expect(wait(0)).toEqual([[1, -5]]);
    cpu = 0;
    expect(wait(0, 1)).toEqual([[2, 0]]);
    expect(wait(0, 64)).toEqual([[1, -28]]);
  });

  it('wake a sleeper once there are as many as it waits for, and nobody else', () => {
    part.call('harness_start', 4);
    submit(1, 2, 3);
    part.call('harness_complete', 0, 0);
    expect(woken).toEqual([]);
    let sleeps = 0;
    asleep = () => {
      sleeps++;
      part.call('harness_complete', 1, 0);
      expect(woken).toEqual([]);
      part.call('harness_complete', 2, 0);
      expect(woken).toEqual([0]);
      return undefined;
    };
    expect(wait(3)).toHaveLength(3);
    expect(sleeps).toBe(1);
  });

  it('cannot be waited for when there are not so many requests', () => {
    part.call('harness_start', 4);
    submit(1, 2);
    expect(wait(3)).toBe(EINVAL);
    expect(wait(2, 1)).toBe(EINVAL);
  });
});
