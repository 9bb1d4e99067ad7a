import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DiskFailed, Disks } from '#harness/disks.js';
import { ResultsStore, SaveFailed } from '#harness/store.js';
import { mockSpec } from '../support/mock-engine.mjs';
import { sampleCell, sampleResults } from '../support/sample-results.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virtax-disks-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const BYTES = 1 << 16;
const make = (path: string, bytes: number) => writeFile(path, Buffer.alloc(bytes));

describe('Disks', () => {
  it('makes one file a VM, once, and removes them all', async () => {
    const made: string[] = [];
    const disks = new Disks({
      prefix: join(folder, 'new', 'vm'),
      bytes: BYTES,
      replace: true,
      make: (path, bytes) => {
        made.push(path);
        return make(path, bytes);
      },
    });
    expect((await disks.upTo(2)).map(({ path }) => path)).toEqual([
      join(folder, 'new', 'vm0.img'),
      join(folder, 'new', 'vm1.img'),
    ]);
    await disks.upTo(1);
    await disks.upTo(3);
    expect(made).toHaveLength(3);
    expect(await disks.describe()).toMatchObject({ bytes: BYTES });
    await disks.remove();
    expect(await readdir(join(folder, 'new'))).toEqual([]);
  });

  it('says how much is missing before it writes anything', async () => {
    const disks = new Disks({
      prefix: join(folder, 'vm'),
      bytes: 2 ** 60,
      replace: true,
      make: () => Promise.reject(new Error('called')),
    });
    await expect(disks.upTo(4)).rejects.toThrow(
      /no space for the disks: 4 times 1048576 TiB wanted in .*, .* free; free some, or give --disk-size/,
    );
  });

  it('leaves no half-made file when the file system fills up on the way', async () => {
    const disks = new Disks({
      prefix: join(folder, 'vm'),
      bytes: BYTES,
      replace: true,
      make: async (path) => {
        await writeFile(path, 'half');
        throw new Error('No space left on device');
      },
    });
    await expect(disks.upTo(1)).rejects.toThrow(DiskFailed);
    await expect(disks.upTo(1)).rejects.toThrow(/vm0\.img could not be made: No space left on device/);
    expect(await readdir(folder)).toEqual([]);
  });

  it('does not trust a maker that wrote less than it should', async () => {
    const disks = new Disks({
      prefix: join(folder, 'vm'),
      bytes: BYTES,
      replace: true,
      make: (path) => writeFile(path, 'short'),
    });
    await expect(disks.upTo(1)).rejects.toThrow(/5 bytes instead of 65536/);
  });

  it('never touches a file of the user’s', async () => {
    const path = join(folder, 'mine0.img');
    await writeFile(path, 'precious');
    const disks = new Disks({ prefix: join(folder, 'mine'), bytes: BYTES, replace: false, make });
    await expect(disks.upTo(1)).rejects.toThrow(/mine0\.img is already there/);
    await disks.remove();
    expect(existsSync(path)).toBe(true);
  });
});

describe('ResultsStore', () => {
  it('says that it could not save, and the cells that were saved stay', async () => {
    const path = join(folder, 'results.json');
    const store = new ResultsStore(path, sampleResults({ cells: [] }));
    await store.add([sampleCell()]);
    await rm(folder, { recursive: true });
    await expect(store.add([sampleCell({ workload: 'cpu/b' })])).rejects.toThrow(SaveFailed);
    expect(store.results.cells).toEqual([sampleCell()]);
    await expect(store.save()).rejects.toThrow(/cannot save .*results\.json/);
  });

  it('takes a workload as measured only when the cells of all its engines are there', async () => {
    const store = new ResultsStore(join(folder, 'results.json'), sampleResults({ cells: [] }));
    const workload = {
      spec: mockSpec({ name: 'cpu/sieve' }),
      engines: ['bare', 'full'],
      skipped: [{ engine: 'para', reason: '' }],
    };
    const group = { vms: 1, vcpus: 1, memoryBytes: 1, workloads: [workload] };
    await store.add([sampleCell(), sampleCell({ engine: 'full' })]);
    expect(store.has(group, workload)).toBe(false);
    await store.add([sampleCell({ engine: 'para', status: 'skipped' })]);
    expect(store.has(group, workload)).toBe(true);
    expect(store.has({ ...group, vms: 2 }, workload)).toBe(false);
  });

  it('replaces a cell that is measured again', async () => {
    const store = new ResultsStore(join(folder, 'results.json'), sampleResults({ cells: [] }));
    await store.add([sampleCell(), sampleCell({ engine: 'full' })]);
    await store.add([sampleCell({ median: 7 })]);
    expect(store.results.cells.map(({ engine, median }) => [engine, median])).toEqual([
      ['full', 100],
      ['bare', 7],
    ]);
  });
});
