/** The whole path with real guests on every engine that this host can run: disks, peer, samples, answers, results, nothing left. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { main } from '#harness/cli.js';
import { type Context, hostShell, probeEngines } from '#harness/context.js';
import { type Cell, cellKey, readResults } from '#harness/results.js';

let folder: string;
let context: Context;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virtax-e2e-'));
  context = await hostShell().context();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs `virtax bench` and gives its cells by name. */
async function bench(
  name: string,
  ...args: string[]
): Promise<{ status: number; cells: Map<string, Cell>; text: string }> {
  let text = '';
  const output = {
    isTTY: false,
    columns: 80,
    write: (more: string) => {
      text += more;
    },
  };
  const out = join(folder, name);
  const words = [
    'bench',
    '--profile',
    'quick',
    '--samples',
    '5',
    '--duration',
    '20',
    '--disk-size',
    '8M',
    '--no-reports',
  ];
  const shell = { out: output, err: output, context: async () => ({ ...context, out: output, err: output }) };
  const status = await main([...words, '--out', out, ...args], shell);
  const { cells } = await readResults(join(out, 'results.json'));
  return { status, cells: new Map(cells.map((cell) => [cellKey(cell), cell])), text };
}

const usable = async () => {
  const probed = await probeEngines(context.engines);
  const names = probed.filter(({ probe }) => probe.ok).map(({ engine }) => engine.name);
  return names.filter((name) => !name.endsWith('-virtio')); // configurations: the last test's
};

describe('bench on real guests', () => {
  it('measures cpu, disk and network on every engine, with the same answers, and leaves nothing behind', async () => {
    const engines = await usable();
    expect(engines).toContain('bare');
    const workloads = ['cpu/lists', 'block/randread-4k-qd32', 'net/udp-rr'];
    const { status, cells, text } = await bench(
      'all',
      '--engines',
      engines.join(','),
      '--workloads',
      workloads.join(','),
    );
    const wrong = [...cells.values()]
      .filter((cell) => cell.status !== 'ok')
      .map((cell) => `${cellKey(cell)}: ${cell.reason}`);
    expect(wrong).toEqual([]);
    expect(status, text).toBe(0);
    for (const workload of workloads) {
      const bare = cells.get(`bare ${workload} vms=1 vcpus=1`);
      const others = engines.filter((engine) => !engine.startsWith('bare'));
      for (const engine of others) {
        const cell = cells.get(`${engine} ${workload} vms=1 vcpus=1`);
        expect(cell?.rounds.map((round) => round.checksum)).toEqual(bare?.rounds.map((round) => round.checksum));
        expect(cell?.percentOfBareMetal?.pairs).toBe(5);
      }
    }
    expect(await readdir(join(folder, 'all'))).toEqual(['results.json']);
  });

  it('gives the same answers through PV drivers', async () => {
    const { status, cells, text } = await bench(
      'virtio',
      '--engines',
      'bare,full-virtio',
      '--workloads',
      'block/*qd32,net/udp-rr',
    );
    expect(status, text).toBe(0);
    for (const workload of ['block/randread-4k-qd32', 'block/randwrite-4k-qd32', 'net/udp-rr']) {
      const [bare, virtio] = ['bare', 'full-virtio'].map((engine) => cells.get(`${engine} ${workload} vms=1 vcpus=1`));
      expect(virtio?.rounds.map((round) => round.checksum)).toEqual(bare?.rounds.map((round) => round.checksum));
    }
  });

  it('takes the answers of bare metal with and without vectorization for the same', async () => {
    const { status, cells } = await bench(
      'novec',
      '--engines',
      'bare',
      '--workloads',
      'cpu/matmul,memory/triad',
      '--vms',
      '2',
    );
    expect(status).toBe(0);
    const scalar = cells.get('bare-novec cpu/matmul vms=2 vcpus=1');
    expect(scalar?.rounds[0].perVm).toHaveLength(2);
    expect(scalar?.rounds.map((round) => round.checksum)).toEqual(
      cells.get('bare cpu/matmul vms=2 vcpus=1')?.rounds.map((round) => round.checksum),
    );
  });
});
