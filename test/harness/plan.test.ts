import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { balancedOrders } from '#harness/balance.js';
import { expandPlan, makePlan, memoryFor, type PlanContext, planDifferences } from '#harness/plan.js';
import { builtInProfiles, readProfileFile } from '#harness/profiles.js';
import { seededRandom } from '#harness/random.js';
import { mockSpec } from '../support/mock-engine.mjs';
import { mockProfile } from '../support/mock-run.js';

const context: PlanContext = {
  specs: [
    mockSpec({ vectorizable: true }),
    mockSpec({ name: 'cpu/b' }),
    mockSpec({ name: 'os/ipi', group: 'os', minVcpus: 2, comparable: false }),
  ],
  engines: [
    { name: 'bare' },
    { name: 'bare-novec' },
    { name: 'full' },
    { name: 'para', unavailable: 'no shared memory' },
  ],
  availableBytes: 2 ** 30,
  images: { a: '00' },
};
const profile = mockProfile({
  groups: [
    { workloads: ['cpu/*'], vms: [1], vcpus: [1] },
    { workloads: ['cpu/a'], vms: [1, 2], vcpus: [1] },
  ],
});
const sizes = (plan: ReturnType<typeof makePlan>) =>
  plan.groups.flatMap((g) => g.workloads.map((w) => `${w.spec.name} ${g.vms}x${g.vcpus}`));

describe('balancedOrders', () => {
  it('gives each engine each position equally often, in every block of as many rounds as there are engines', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 1, max: 5 }), fc.nat(), (n, blocks, seed) => {
        const engines = Array.from({ length: n }, (_, i) => `e${i}`);
        const orders = balancedOrders(engines, n * blocks, seededRandom(seed));
        expect(orders).toHaveLength(n * blocks);
        for (let block = 0; block < blocks; block++) {
          for (let position = 0; position < n; position++) {
            const there = orders.slice(block * n, block * n + n).map((order) => order[position]);
            expect([...there].sort()).toEqual(engines);
          }
        }
      }),
    );
  });

  it('lets each engine follow each other one equally often (Williams)', () => {
    for (const n of [2, 3, 4, 5]) {
      const engines = Array.from({ length: n }, (_, i) => `e${i}`);
      const counts = new Map<string, number>();
      for (const order of balancedOrders(engines, 2 * n, seededRandom(3))) {
        for (let i = 1; i < n; i++) {
          const pair = `${order[i - 1]}>${order[i]}`;
          counts.set(pair, (counts.get(pair) ?? 0) + 1);
        }
      }
      expect(counts.size).toBe(n * (n - 1));
      expect(new Set(counts.values())).toEqual(new Set([2]));
    }
  });

  it('ends where no engine is left', () => {
    expect(balancedOrders([], 3, seededRandom(1))).toEqual([[], [], []]);
  });

  it('is decided by the seed', () => {
    const orders = (seed: number) => JSON.stringify(balancedOrders(['a', 'b', 'c', 'd'], 12, seededRandom(seed)));
    expect(orders(1)).toBe(orders(1));
    expect(new Set([1, 2, 3, 4, 5].map(orders)).size).toBeGreaterThan(1);
  });
});

describe('makePlan', () => {
  it('merges groups of the same size and keeps the registry’s order', () => {
    expect(sizes(makePlan(profile, { seed: 1 }, context))).toEqual(['cpu/a 1x1', 'cpu/b 1x1', 'cpu/a 2x1']);
  });

  it('adds bare metal without vectorization beside bare, where a workload is vectorizable', () => {
    const plan = makePlan(profile, { seed: 1 }, context);
    expect(plan.groups[0].workloads.map((w) => w.engines)).toEqual([
      ['bare', 'bare-novec', 'full'],
      ['bare', 'full'],
    ]);
  });

  it('takes the grid of --vms and --vcpus instead of the profile’s', () => {
    const plan = makePlan(profile, { seed: 1, vms: [1, 4], vcpus: [2] }, context);
    expect(sizes(plan)).toEqual(['cpu/a 1x2', 'cpu/b 1x2', 'cpu/a 4x2', 'cpu/b 4x2']);
  });

  it('picks by --workloads, and adds what the profile lacks to its first group', () => {
    expect(sizes(makePlan(profile, { seed: 1, workloads: ['cpu/b'] }, context))).toEqual(['cpu/b 1x1']);
    expect(sizes(makePlan(profile, { seed: 1, workloads: ['os/ipi'] }, context))).toEqual(['os/ipi 1x1']);
  });

  it('skips, with the reason, what cannot be: an engine, too few vCPUs, too little memory', () => {
    const plan = makePlan(profile, { seed: 1, engines: ['full', 'para'], workloads: ['cpu/b', 'os/ipi'] }, context);
    const [b, ipi] = plan.groups[0].workloads;
    expect(b).toMatchObject({ engines: ['full'], skipped: [{ engine: 'para', reason: 'no shared memory' }] });
    expect(ipi).toMatchObject({
      engines: [],
      skipped: [{ engine: 'full', reason: 'needs at least 2 vCPUs' }, { engine: 'para' }],
    });
    const large = makePlan(profile, { seed: 1, engines: ['full'], vms: [32], workloads: ['cpu/b'] }, context);
    expect(large.groups[0].workloads[0].skipped[0].reason).toMatch(
      /32 VMs of 64 MiB need more memory than is free \(1 GiB\)/,
    );
  });

  it('leaves a workload out at too few vCPUs when the plan has it at enough', () => {
    const plan = makePlan(
      mockProfile({ groups: [{ workloads: ['os/ipi'], vms: [1], vcpus: [1, 2] }] }),
      { seed: 1 },
      context,
    );
    expect(sizes(plan)).toEqual(['os/ipi 1x2']);
  });

  it('names what is nearest to a wrong name', () => {
    expect(() => makePlan(profile, { seed: 1, engines: ['bear'] }, context)).toThrow(
      /unknown engine "bear": did you mean bare/,
    );
    expect(() => makePlan(profile, { seed: 1, workloads: ['ipj'] }, context)).toThrow(/did you mean os\/ipi/);
    expect(() => makePlan(profile, { seed: 1, workloads: ['zzzzzzzz/*'] }, context)).toThrow(
      /known: cpu\/a, cpu\/b, os\/ipi/,
    );
  });

  it('gives a VM memory for its workload on every vCPU that takes part', () => {
    const spec = mockSpec({ memoryPerCpu: 20 << 20 });
    expect(memoryFor([spec], 1)).toBe(64 << 20);
    expect(memoryFor([spec], 8)).toBe(192 << 20);
    expect(memoryFor([{ ...spec, cpus: 'one' }], 8)).toBe(64 << 20);
  });

  it('comes back from what a results file keeps of it', () => {
    const plan = makePlan(profile, { seed: 1 }, context);
    expect(expandPlan(JSON.parse(JSON.stringify(plan.key)), context)).toEqual(plan);
    const other = makePlan(profile, { seed: 2, samples: 9 }, { ...context, images: { a: '11' } });
    expect(planDifferences(plan.key, plan.key)).toEqual([]);
    expect(planDifferences(plan.key, other.key).map((line) => line.split(':')[0])).toEqual([
      'samples',
      'seed',
      'images',
    ]);
  });
});

describe('configurations with PV drivers', () => {
  const specs = [mockSpec(), mockSpec({ name: 'block/b', group: 'block', needs: { disk: true } })];
  const engines = ['bare', 'full', 'full-virtio', 'para', 'bare-novec'].map((name) => ({ name }));
  const measured = (names: string[]) =>
    makePlan(
      mockProfile({ engines: names }),
      { seed: 1 },
      { specs, engines, availableBytes: 2 ** 40, images: {} },
    ).groups[0].workloads.map((workload) => workload.engines);

  it('join where a disk or a card is used, beside the engine that they are a configuration of', () => {
    expect(measured(['bare', 'full', 'full-virtio'])).toEqual([
      ['bare', 'full'],
      ['bare', 'full', 'full-virtio'],
    ]);
  });

  it('do all the work where that engine was not asked for', () => {
    expect(measured(['bare', 'full-virtio'])).toEqual([
      ['bare', 'full-virtio'],
      ['bare', 'full-virtio'],
    ]);
  });
});

describe('profiles', () => {
  it('that come with virtax are valid, in order, and select workloads that exist', async () => {
    const { workloads } = await import('#workloads/index.js');
    const profiles = await builtInProfiles();
    expect(profiles.map((p) => p.name)).toEqual(['quick', 'standard', 'full', 'debian']);
    const engines = ['bare', 'bare-novec', 'full', 'para'].map((name) => ({ name }));
    const plans = profiles
      .slice(0, 3)
      .map((p) => makePlan(p, { seed: 1 }, { specs: workloads, engines, availableBytes: 2 ** 40, images: {} }));
    const groupsOf = (plan: (typeof plans)[number]) =>
      new Set(plan.groups.flatMap((g) => g.workloads.map((w) => w.spec.group)));
    expect(plans.map((plan) => groupsOf(plan).size)).toEqual([6, 6, 7]); // policy is no part of the shorter ones
    const standard = plans[1].groups.map((g) => [g.vms, g.vcpus].join());
    for (const size of ['1,1', '1,2', '1,4', '2,1', '4,1']) expect(standard).toContain(size);
    const { linuxWorkloads } = await import('#workloads/linux/spec.js');
    const debian = makePlan(
      profiles[3],
      { seed: 1 },
      {
        specs: linuxWorkloads,
        engines: [...engines, { name: 'full-virtio' }, { name: 'qemu' }, { name: 'qemu-virtio' }],
        availableBytes: 2 ** 40,
        images: {},
      },
    );
    expect(debian.key.workloads).toEqual(linuxWorkloads.map(({ name }) => name));
  });

  it('of the user’s own are checked: the message names the place', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'virtax-profile-'));
    const path = join(folder, 'mine.json');
    const valid = {
      name: 'x',
      summary: '',
      engines: ['bare'],
      samples: 5,
      sampleMs: 100,
      diskSize: '64M',
      groups: [{ workloads: ['*'], vms: [1], vcpus: [1] }],
    };
    await writeFile(path, JSON.stringify(valid));
    expect((await readProfileFile(path)).diskSize).toBe(64 << 20);
    for (const [bad, message] of [
      [{ ...valid, samples: 1 }, /samples: /],
      [{ ...valid, diskSize: '64Q' }, /diskSize: .*is no size/],
      [{ ...valid, groups: [{ workloads: ['*'], vms: [33], vcpus: [1] }] }, /groups\[0\]\.vms\[0\]/],
      [{ ...valid, extra: 1 }, /extra/],
    ] as const) {
      await writeFile(path, JSON.stringify(bad));
      await expect(readProfileFile(path)).rejects.toThrow(message);
    }
    await writeFile(path, '{');
    await expect(readProfileFile(path)).rejects.toThrow(/not valid JSON/);
    await rm(folder, { recursive: true });
    await expect(readProfileFile(path)).rejects.toThrow(/ENOENT/);
  });
});
