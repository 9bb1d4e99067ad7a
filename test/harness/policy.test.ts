/** Workloads of group policy: several machines under one policy, each in its role, and what is made of their samples. */
import { describe, expect, it } from 'vitest';
import { type PolicySample, policyFigure } from '#harness/policy-figure.js';
import { renderMarkdown } from '#reports/markdown.js';
import { policyTable } from '#reports/tables.js';
import type { PolicyWork, WorkloadSpec } from '#workloads/spec.js';
import type { SampleResult } from '../../engines/engine.js';
import { MockEngine, type MockOptions, mockSpec, VirtualClock } from '../support/mock-engine.mjs';
import { mockPlan, runMocks } from '../support/mock-run.js';
import { cell, results } from '../support/results.js';

const clock = new VirtualClock();
const para = (options: Partial<MockOptions> = {}) =>
  new MockEngine({ name: 'para', clock, policies: true, ...options });
const work = (over: Partial<PolicyWork> = {}): PolicyWork => ({
  policy: { order: 'wfq' },
  roles: ['cpu/a', 'cpu/b'],
  figure: 'share',
  promise: { low: 77, high: 83 },
  ...over,
});
const spec = (policy: PolicyWork): WorkloadSpec =>
  mockSpec({ name: 'policy/p', group: 'policy', metric: 'policy', unit: '%', comparable: false, policy });
const KEY = 'policy/p vms=2 vcpus=1';

describe('a policy workload', () => {
  it('runs on as many machines as it has roles, whatever the grid, and is skipped where there are no policies', () => {
    const engines = [new MockEngine({ name: 'bare', clock }), para()];
    const plan = mockPlan({ engines, specs: [mockSpec(), spec(work())], options: { vms: [1, 4], vcpus: [2] } });
    expect(
      plan.groups.map(({ vms, vcpus, workloads }) => [vms, vcpus, workloads.map(({ spec: s }) => s.name)]),
    ).toEqual([
      [1, 2, ['cpu/a']],
      [4, 2, ['cpu/a']],
      [2, 1, ['policy/p']],
    ]);
    const [policy] = plan.groups[2].workloads;
    expect(policy.engines).toEqual(['para']);
    expect(policy.skipped).toEqual([
      { engine: 'bare', reason: expect.stringMatching(/no I\/O queue.*--engines para/) },
    ]);
  });

  it('puts its policy into force, gives each machine its role, and takes the policy away again', async () => {
    const engine = para({ opsPerSecond: ({ vm }) => (vm === 0 ? 4000 : 1000) });
    const { cells } = await runMocks({ engines: [engine], specs: [spec(work())] });
    const order = engine.log.filter((line) => /^(policy|prepare)/.test(line));
    expect(order).toEqual(['policy wfq', 'prepare 0 cpu/a', 'prepare 1 cpu/b', 'policy fifo']);
    const measured = cells.get(`para ${KEY}`);
    expect(measured).toMatchObject({ status: 'ok', promise: { low: 77, high: 83, kept: true } });
    expect(measured?.median).toBeCloseTo(80, 9);
    expect(measured?.rounds[0].perVm.map(Math.round)).toEqual([4000, 1000]);
  });

  it('says when a promise is not kept', async () => {
    const engine = para({ opsPerSecond: ({ vm }) => (vm === 0 ? 3000 : 1000) });
    const { cells } = await runMocks({ engines: [engine], specs: [spec(work())] });
    expect(cells.get(`para ${KEY}`)?.promise?.kept).toBe(false);
  });

  it('compares with machine 0 alone, in the same round', async () => {
    let busy = 0;
    const engine = para({
      counters: ({ vm }) => {
        busy = vm === 0 ? busy + 1 : 0; // of two samples in a row of machine 0 the first is the one alone
        return { p99ns: busy === 1 ? 1000 : 1400 };
      },
    });
    const p99 = spec(work({ figure: 'p99-ratio', promise: { high: 1.5 } }));
    const { cells } = await runMocks({ engines: [engine], specs: [p99] });
    expect(cells.get(`para ${KEY}`)?.median).toBeCloseTo(1.4, 9);
    expect(cells.get(`para ${KEY}`)?.rounds[0].details).toMatchObject({ alone_p99ns: 1000, beside_p99ns: 1400 });
  });
});

const sample = (ops: number, ms: number, counters = {}): SampleResult => ({
  ...{ startNs: 0n, stopNs: BigInt(ms * 1e6), guestNs: ms * 1e6, units: 1, ops, checksum: '', errors: 0 },
  ...{ cpuSeconds: 0, counters },
});

describe('the figure of a policy', () => {
  it.each<[string, PolicyWork, PolicySample, number]>([
    ['share: by rates, not by counts', work(), { beside: [sample(400, 100), sample(200, 200)] }, 80],
    ['of a cap', work({ figure: 'of-cap', cap: 1000 }), { beside: [sample(250, 250), sample(9, 250)] }, 100],
    ['the longest', work({ figure: 'longest' }), { beside: [sample(1, 1, { maxns: 5e6 }), sample(1, 1)] }, 5],
  ])('%s', (_, policy, samples, value) => {
    expect(policyFigure(policy, samples)).toBeCloseTo(value, 9);
  });

  it('is none where the guest reports nothing', () => {
    expect(() => policyFigure(work({ figure: 'longest' }), { beside: [sample(1, 1)] })).toThrow(/maxns/);
    expect(() => policyFigure(work(), { beside: [sample(0, 1), sample(0, 1)] })).toThrow(/NaN/);
  });
});

describe('reports of policies', () => {
  const cells = [
    cell('para', 'policy/disk-shares', { metric: 'policy', unit: '%', promise: { low: 77, high: 83, kept: true } }),
    cell('para', 'policy/disk-p99', { metric: 'policy', unit: '×', promise: { low: null, high: 1.5, kept: false } }),
  ];

  it('show what is promised and whether it is kept, and no percent of bare metal', () => {
    const { body } = policyTable(results(cells));
    expect(body.map((row) => [row[0], ...row.slice(4)])).toEqual([
      ['policy/disk-shares', '77.0 to 83.0 %', 'kept'],
      ['policy/disk-p99', 'at most 1.50 ×', 'not kept'],
    ]);
    const markdown = renderMarkdown(results(cells));
    expect(markdown).toContain('## Policies of the I/O queue');
    expect(markdown).not.toContain('## Percent of bare metal');
  });
});
