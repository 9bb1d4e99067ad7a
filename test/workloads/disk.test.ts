import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mix64, Native, scratch, tool } from './native.js';

const BYTES = 16 << 20;
const folder = scratch();
const disk = folder.path('disk');
afterAll(folder.remove);

const half = (which: 0 | 1) => {
  const bytes = readFileSync(disk).subarray(which * (BYTES / 2), (which + 1) * (BYTES / 2));
  return createHash('sha256').update(bytes).digest('hex');
};

describe('mkdisk', () => {
  it('fills the disk with the words that the format says', async () => {
    const { status, stdout } = await tool(['mkdisk', disk, String(BYTES)]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: `disk path=${disk} bytes=${BYTES}\n` });
    const bytes = readFileSync(disk);
    expect(bytes.length).toBe(BYTES);
    for (const index of [0, 1, 511, 512, 131072, BYTES / 8 - 1]) {
      expect(bytes.readBigUInt64LE(index * 8)).toBe(mix64(BigInt(index)));
    }
  });

  it('says what is wrong with a size', async () => {
    for (const size of ['4096', '2097153', 'x', '-1'])
      expect((await tool(['mkdisk', folder.path('no'), size])).status).toBe(2);
  });

  it('says when the file system is full', async () => {
    const { status, stderr } = await tool(['mkdisk', '/dev/full', '2097152']);
    expect(status).toBe(1);
    expect(stderr).toContain('the file system is full');
  });
});

describe.each([[[]], [['--no-io-uring']], [['--direct']]])('block workloads with %j', (flags) => {
  let guest: Native;
  beforeEach(async () => {
    await tool(['mkdisk', disk, String(BYTES)]);
    guest = new Native(['guest', '--vcpus', '2', '--disk', disk, ...flags]);
    expect(await guest.line()).toMatch(/^fact block (io_uring|worker threads), (O_DIRECT|buffered)$/);
    expect(await guest.line()).toContain(`disk=${BYTES}`);
  });
  afterEach(() => guest.close());

  it('read and write without errors, in their own halves', async () => {
    const before = [half(0), half(1)];
    for (const name of ['read-1m', 'write-1m', 'randread-4k-qd1', 'randread-4k-qd32', 'randwrite-4k-qd32']) {
      const result = await guest.work(`block/${name}`, 'cpus=2', 10);
      expect({ name, errors: result.errors }).toEqual({ name, errors: '0' });
      expect(Number(result.ops)).toBeGreaterThan(0);
    }
    expect(half(0)).toBe(before[0]);
    expect(half(1)).not.toBe(before[1]);
  });

  it('give a checksum that depends on the seed and not on the way', async () => {
    const sums = [];
    for (const seed of [7, 7, 8]) sums.push((await guest.sample('block/randread-4k-qd32', 'cpus=2', 5, seed)).checksum);
    expect(sums[1]).toBe(sums[0]);
    expect(sums[2]).not.toBe(sums[0]);
    const other = new Native(['guest', '--vcpus', '2', '--disk', disk, '--no-io-uring']);
    await other.line();
    await other.line();
    expect((await other.sample('block/randread-4k-qd32', 'cpus=2', 5, 7)).checksum).toBe(sums[0]);
    await other.close();
  });

  it('notice wrong data, and name its place', async () => {
    const file = openSync(disk, 'r+');
    for (let offset = 0; offset < BYTES / 2; offset += 4096) writeSync(file, Buffer.alloc(8), 0, 8, offset);
    closeSync(file);
    await guest.ask('prepare block/randread-4k-qd1 cpus=1');
    expect(await guest.ask('start ms=5 seed=1')).toMatch(/^##note wrong data was read at offset \d+ /);
    const result = await guest.line();
    expect(result).toMatch(/^result .* errors=[1-9]/);
    expect(Number(/ wrong=(\d+)$/.exec(result)?.[1]) % 4096).toBe(0);
  });

  it('write blocks that carry their place and generation', async () => {
    await guest.sample('block/randwrite-4k-qd32', 'cpus=1', 5, 7);
    const written = changedBlocks();
    expect(written.length).toBeGreaterThan(31);
    for (const { index, words } of written) {
      const generation = generationOf(words[1]);
      const marks = marksOf(words[0], index, generation);
      for (let k = 0; k < 512; k++) {
        const expected =
          k === 0 || k === 259 ? mix64(BigInt(index * 512 + k) ^ (marks << 48n)) : content(k, generation);
        if (words[k] !== expected) throw new Error(`block ${index}, word ${k}`);
      }
    }
  });
});

/** Blocks of the second half that are not as mkdisk made them. */
function changedBlocks(): { index: number; words: BigUint64Array }[] {
  const file = openSync(disk, 'r');
  const changed = [];
  for (let index = BYTES / 8192; index < BYTES / 4096; index++) {
    const words = new BigUint64Array(512);
    readSync(file, words, 0, 4096, index * 4096);
    if (words[1] !== mix64(BigInt(index * 512 + 1))) changed.push({ index, words });
  }
  closeSync(file);
  return changed;
}

const generations = new Map(Array.from({ length: 65536 }, (_, g) => [mix64(1n ^ (BigInt(g) << 48n)), BigInt(g)]));

const content = (k: number, generation: bigint): bigint => mix64(BigInt(k) ^ (generation << 48n));

/** The generation of a block's marks: one more each time that the stream has been through its part of the disk. */
function marksOf(word0: bigint, index: number, generation: bigint): bigint {
  for (let pass = 0n; pass < 100n; pass++) {
    const marks = 1n + ((generation - 1n + pass) % 65535n);
    if (word0 === mix64(BigInt(index * 512) ^ (marks << 48n))) return marks;
  }
  throw new Error(`block ${index} has no mark of its own`);
}

function generationOf(word1: bigint): bigint {
  const generation = generations.get(word1);
  if (!generation) throw new Error('the block has no generation');
  return generation;
}
