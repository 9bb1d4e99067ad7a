import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { Interrupted } from '#harness/guard.js';
import { scaledDeadlines } from '#harness/machines.js';
import { seededRandom } from '#harness/random.js';
import { cellKey, parseResults } from '#harness/results.js';
import { runPlan } from '#harness/run.js';
import { MockEngine, type MockOptions, mockSpec, VirtualClock } from '../support/mock-engine.mjs';
import { mockEnvironment, mockPlan, mockStore, runMocks, silent } from '../support/mock-run.js';

const clock = new VirtualClock();
const mock = (name: string, options: Partial<MockOptions> = {}) =>
  new MockEngine({ name, clock, kind: name.startsWith('bare') ? 'bare metal' : 'full virtualization', ...options });
const KEY = 'cpu/a vms=1 vcpus=1';

describe('a run', () => {
  it('reports the ratio that two engines have, whatever drift they share', async () => {
    const random = seededRandom(5);
    let host = 1;
    const drifting = (rate: number) => () => {
      host *= 0.97; // the host gets slower all the time, by far more than the engines differ
      return rate * host * (0.999 + 0.002 * random());
    };
    const engines = [mock('bare', { opsPerSecond: drifting(1000) }), mock('full', { opsPerSecond: drifting(250) })];
    const { cells } = await runMocks({ engines, profile: { samples: 20 } });
    const percent = cells.get(`full ${KEY}`)?.percentOfBareMetal;
    expect(percent?.pairs).toBe(20);
    expect(percent?.low).toBeLessThan(25);
    expect(percent?.high).toBeGreaterThan(25);
    expect(Math.abs((percent?.median ?? 0) - 25)).toBeLessThan(1);
    expect(cells.get(`bare ${KEY}`)?.percentOfBareMetal).toMatchObject({ median: 100, low: 100, high: 100 });
  });

  it('boots a machine of its own for each sample of the start, and none of bare metal', async () => {
    const [bare, full] = [mock('bare'), mock('full', { bootMs: 80 })];
    const spec = mockSpec({
      name: 'linux/boot',
      group: 'linux',
      metric: 'time-per-op',
      unit: 'ms',
      scale: 1e6,
      boots: true,
    });
    const run = { engines: [bare, full], specs: [spec], profile: { samples: 5 }, clock };
    const { cells } = await runMocks(run);
    expect([...cells.keys()]).toEqual(['full linux/boot vms=1 vcpus=1']);
    expect(cells.get('full linux/boot vms=1 vcpus=1')).toMatchObject({
      cpuSecondsPerOp: null,
      samples: [80, 80, 80, 80, 80],
    });
    expect(full.log.filter((line) => line === 'boot 0')).toHaveLength(5);
    expect(full.running).toBe(0);
    expect(bare.log).toEqual(['close']);
  });

  it('a start that fails is a failed cell', async () => {
    const full = mock('full', { bootFails: true });
    const spec = mockSpec({ name: 'linux/boot', group: 'linux', boots: true });
    const { cells } = await runMocks({ engines: [full], specs: [spec] });
    expect(cells.get('full linux/boot vms=1 vcpus=1')).toMatchObject({ status: 'failed', consoleTail: ['no kernel'] });
  });

  it('sets full beside QEMU in pairs, os/… too, and nothing else', async () => {
    const engines = [
      mock('bare', { opsPerSecond: () => 1000 }),
      mock('full', { opsPerSecond: () => 300 }),
      mock('qemu', { opsPerSecond: () => 100 }),
    ];
    const specs = [mockSpec(), mockSpec({ name: 'os/t', metric: 'time-per-op', unit: 'ns', comparable: false })];
    const { cells } = await runMocks({ engines, specs });
    expect(cells.get(`full ${KEY}`)?.ratioToPeer).toMatchObject({ peer: 'qemu', median: expect.closeTo(3, 6) });
    expect(cells.get('full os/t vms=1 vcpus=1')?.ratioToPeer?.median).toBeCloseTo(3, 6);
    expect(cells.get(`qemu ${KEY}`)?.ratioToPeer).toBeNull();
    expect(cells.get(`bare ${KEY}`)?.ratioToPeer).toBeNull();
  });

  it('takes the figure from the doorbells: 1000 ops a second are 1000 units/s, and 10 % of 100 ns are 1000 ns', async () => {
    const engines = [mock('bare', { opsPerSecond: () => 1e7 }), mock('full', { opsPerSecond: () => 1e6 })];
    const specs = [mockSpec(), mockSpec({ name: 'memory/t', metric: 'time-per-op', unit: 'ns' })];
    const { cells } = await runMocks({ engines, specs });
    expect(cells.get(`bare ${KEY}`)?.median).toBeCloseTo(1e7, 0);
    const full = cells.get('full memory/t vms=1 vcpus=1');
    expect(full?.median).toBeCloseTo(1000, 6);
    expect(full?.higherIsBetter).toBe(false);
    expect(full?.percentOfBareMetal?.median).toBeCloseTo(10, 6);
  });

  it('warms up disk and network for a second, everything else for one sample', async () => {
    const engine = mock('bare');
    const specs = [mockSpec(), mockSpec({ name: 'net/b', group: 'net', needs: { peer: true } })];
    await runMocks({ engines: [engine], specs, profile: { samples: 5 } });
    expect(engine.durations).toEqual({ 'cpu/a': Array(6).fill(250), 'net/b': [1000, ...Array(5).fill(250)] });
  });

  it('goes on warming up while an engine translates: 4 s at most, that engine alone', async () => {
    const engines = [
      mock('bare'),
      mock('full', { translations: ({ sample, vm }) => (sample < 4 && vm === 1 ? 2 : 1) }),
      mock('qemu', { translations: () => 2 }),
    ];
    const specs = [mockSpec(), mockSpec({ name: 'net/b', group: 'net', needs: { peer: true } })];
    await runMocks({ engines, specs, profile: { samples: 6 }, options: { vms: [2] } });
    const durations = (name: string) => engines.map((engine) => engine.durations[name].filter((_, n) => n % 2 === 0));
    const sixAfter = (first: number, more: number) => [first, ...Array(more + 6).fill(250)];
    expect(durations('net/b')).toEqual([sixAfter(1000, 0), sixAfter(1000, 3), sixAfter(1000, 12)]);
    expect(durations('cpu/a')).toEqual([sixAfter(250, 0), sixAfter(250, 3), sixAfter(250, 15)]);
  });

  it('adds up what several VMs do, and keeps each one’s share', async () => {
    const engines = [mock('bare', { opsPerSecond: ({ vm }) => (vm === 0 ? 100 : 300) })];
    const { cells } = await runMocks({ engines, options: { vms: [2] } });
    const cell = cells.get('bare cpu/a vms=2 vcpus=1');
    expect(cell?.median).toBeCloseTo(400, 6);
    expect(cell?.rounds[0].perVm.map(Math.round)).toEqual([100, 300]);
  });

  it('holds the VMs at a barrier: all are prepared before one starts, and stay booted', async () => {
    const engine = mock('bare');
    await runMocks({ engines: [engine], options: { vms: [3] }, specs: [mockSpec(), mockSpec({ name: 'cpu/b' })] });
    const log = engine.log.join('; ');
    expect(log).toMatch(/^boot 0; boot 1; boot 2; prepare 0 cpu\/a; prepare 1 cpu\/a; prepare 2 cpu\/a; start 0/);
    expect(engine.log.filter((line) => line.startsWith('boot'))).toHaveLength(3);
    expect(log).toMatch(/start 0; start 1; start 2; start 0; start 1; start 2/);
    expect(engine.running).toBe(0);
    expect(engine.log.at(-1)).toBe('close');
  });

  it('interleaves: in every round each engine takes one sample before the next round begins', async () => {
    const order: string[] = [];
    const tell = (name: string) => (at: { sample: number }) => {
      order.push(`${at.sample}${name}`);
      return 1000;
    };
    const engines = ['bare', 'full', 'para'].map((name) => mock(name, { opsPerSecond: tell(name) }));
    await runMocks({ engines, profile: { samples: 6 } });
    const measured = order.filter((word) => !word.startsWith('0'));
    const rounds = Array.from({ length: 7 }, (_, i) => measured.slice(3 * i, 3 * i + 3));
    for (const [i, round] of rounds.entries()) {
      expect([...round].sort()).toEqual([`${i + 1}bare`, `${i + 1}full`, `${i + 1}para`]);
    }
    expect(new Set(rounds.slice(1).map((round) => round.map((w) => w.slice(1)).join())).size).toBeGreaterThan(1);
  });

  it('reports a drift of the guest’s clock over 0.5 %, and no smaller one', async () => {
    const { cells } = await runMocks({ engines: [mock('bare', { driftPct: 0.4 }), mock('full', { driftPct: -0.8 })] });
    expect(cells.get(`bare ${KEY}`)?.warnings).toEqual([]);
    expect(cells.get(`full ${KEY}`)?.clockDriftPct).toBeCloseTo(-0.8, 6);
    expect(cells.get(`full ${KEY}`)?.warnings.join()).toMatch(/differ by up to -0\.80 %/);
  });

  it('measures the doorbells by themselves', async () => {
    const { store } = await runMocks({ engines: [mock('bare')] });
    expect(store.results.engines[0].doorbellNs).toMatchObject({ median: 2000 });
  });

  it('gives bare metal without vectorization its own percent, where the workload is vectorizable', async () => {
    const engines = [
      mock('bare', { opsPerSecond: () => 400 }),
      mock('bare-novec', { opsPerSecond: () => 200 }),
      mock('full', { opsPerSecond: () => 100 }),
    ];
    const specs = [mockSpec({ vectorizable: true }), mockSpec({ name: 'cpu/b' })];
    const { cells } = await runMocks({ engines, specs, profile: { engines: ['bare', 'full'] } });
    expect(cells.get(`full ${KEY}`)?.percentOfBareMetal?.median).toBeCloseTo(25, 6);
    expect(cells.get(`full ${KEY}`)?.percentOfBareMetalScalar?.median).toBeCloseTo(50, 6);
    expect(cells.get('full cpu/b vms=1 vcpus=1')?.percentOfBareMetalScalar).toBeNull();
    expect(cells.has('bare-novec cpu/b vms=1 vcpus=1')).toBe(false);
  });

  it('gives os workloads no percent', async () => {
    const specs = [mockSpec({ name: 'os/trap', group: 'os', comparable: false, metric: 'time-per-op' })];
    const { cells } = await runMocks({ engines: [mock('bare'), mock('full')], specs });
    expect(cells.get('full os/trap vms=1 vcpus=1')).toMatchObject({ status: 'ok', percentOfBareMetal: null });
  });
});

describe('a cell fails alone', () => {
  const specs = [mockSpec(), mockSpec({ name: 'cpu/b' })];
  const others = (cells: Map<string, { status: string }>) =>
    [...cells].filter(([, c]) => c.status === 'ok').map(([k]) => k);

  it('when the engine crashes: the console is kept, the others go on, the machine is booted again', async () => {
    const full = mock('full', { crash: (at) => at.workload === 'cpu/a' && at.sample === 3 });
    const { cells } = await runMocks({ engines: [mock('bare'), full], specs });
    const failed = cells.get(`full ${KEY}`);
    expect(failed).toMatchObject({
      status: 'failed',
      reason: 'full crashed',
      consoleTail: ['last words'],
      median: null,
    });
    expect(failed?.samples).toHaveLength(1);
    expect(failed?.percentOfBareMetal).toBeNull();
    expect(others(cells)).toHaveLength(3);
    expect(full.log.filter((line) => line === 'boot 0')).toHaveLength(2);
    expect(full.running).toBe(0);
  });

  it('when the engine never answers, even past the deadline that it was given', async () => {
    const full = mock('full', { hang: (at) => at.workload === 'cpu/a' });
    const deadlines = { bootMs: 10, prepareMs: 10, sampleMs: 5, graceMs: 5 };
    const { cells } = await runMocks({
      engines: [mock('bare'), full],
      specs,
      options: { sampleMs: 10 },
      environment: { deadlines },
    });
    expect(cells.get(`full ${KEY}`)).toMatchObject({ status: 'failed' });
    expect(cells.get(`full ${KEY}`)?.reason).toMatch(/did not end within 20 ms/);
    expect(others(cells)).toHaveLength(3);
    expect(full.running).toBe(0);
  });

  it('when the answer is another one than bare metal’s: both values are shown', async () => {
    const full = mock('full', { wrongAnswer: (at) => (at.workload === 'cpu/a' && at.sample === 4 ? 'x' : undefined) });
    const { cells } = await runMocks({ engines: [full, mock('bare'), mock('para')], specs });
    expect(cells.get(`full ${KEY}`)?.reason).toMatch(
      /^wrong answer: checksum [0-9a-f]{16}, where bare has [0-9a-f]{16} \(VM 0, same seed\)$/,
    );
    expect(others(cells)).toHaveLength(5);
  });

  it('when the guest finds errors in its data, when nothing was done, when nothing boots', async () => {
    const broken = [
      mock('e1', { errors: () => 2 }),
      mock('e2', { opsPerSecond: () => 0 }),
      mock('e3', { bootFails: true }),
      mock('e4', { opsPerSecond: () => Number.NaN }),
    ];
    const { cells } = await runMocks({ engines: [mock('bare'), ...broken] });
    expect(cells.get(`e1 ${KEY}`)?.reason).toMatch(/verification found 2 errors/);
    expect(cells.get(`e2 ${KEY}`)?.reason).toMatch(/not one operation/);
    expect(cells.get(`e3 ${KEY}`)).toMatchObject({ reason: 'e3 VM 0 did not boot', consoleTail: ['no kernel'] });
    expect(cells.get(`e4 ${KEY}`)?.reason).toMatch(/not one operation/);
    expect(cells.get(`bare ${KEY}`)?.status).toBe('ok');
  });

  it('and an engine that does not boot twice in a row is not asked a third time', async () => {
    const three = [...specs, mockSpec({ name: 'cpu/c' })];
    const full = mock('full', { bootFails: true });
    const { cells } = await runMocks({ engines: [mock('bare'), full], specs: three });
    expect(full.log.filter((line) => line === 'boot 0')).toHaveLength(2);
    expect(cells.get('full cpu/c vms=1 vcpus=1')).toMatchObject({ status: 'failed', reason: 'full VM 0 did not boot' });
  });

  it('when bare metal fails the others keep their figure, without a percent and with a warning', async () => {
    const { cells } = await runMocks({ engines: [mock('bare', { crash: () => true }), mock('full')] });
    expect(cells.get(`full ${KEY}`)).toMatchObject({ status: 'ok', percentOfBareMetal: null });
    expect(cells.get(`full ${KEY}`)?.median).toBeGreaterThan(0);
    expect(cells.get(`full ${KEY}`)?.warnings.join()).toMatch(/bare metal has no figure/);
  });

  it('and is skipped with the engine’s reason where the engine cannot do the work', async () => {
    const { cells } = await runMocks({ engines: [mock('bare'), mock('para', { unsupported: { 'cpu/a': 'no MMU' } })] });
    expect(cells.get(`para ${KEY}`)).toMatchObject({ status: 'skipped', reason: 'no MMU' });
  });

  it('and is skipped on every engine where the machine is too small', async () => {
    const small = [mockSpec({ minVcpus: 2 }), mockSpec({ name: 'cpu/b' })];
    const { cells } = await runMocks({ engines: [mock('bare'), mock('full')], specs: small });
    expect(cells.get(`full ${KEY}`)).toMatchObject({ status: 'skipped', reason: 'needs at least 2 vCPUs' });
    expect(cells.get('full cpu/b vms=1 vcpus=1')?.status).toBe('ok');
  });

  it('when its disk or its peer cannot be had; what needs neither goes on', async () => {
    const withDisk = [
      mockSpec(),
      mockSpec({ name: 'block/r', needs: { disk: true } }),
      mockSpec({ name: 'net/u', needs: { peer: true } }),
    ];
    const environment = {
      disks: () => Promise.reject(new Error('no space for the disks')),
      peer: () => Promise.reject(new Error('no peer')),
    };
    const { cells } = await runMocks({ engines: [mock('bare')], specs: withDisk, environment });
    expect(cells.get('bare block/r vms=1 vcpus=1')).toMatchObject({
      status: 'failed',
      reason: 'no space for the disks',
    });
    expect(cells.get('bare net/u vms=1 vcpus=1')).toMatchObject({ status: 'failed', reason: 'no peer' });
    expect(cells.get(`bare ${KEY}`)?.status).toBe('ok');
  });
});

it('deadlines grow with overcommitment', () => {
  const deadlines = { bootMs: 10, prepareMs: 20, sampleMs: 30, graceMs: 5 };
  expect(scaledDeadlines(deadlines, 32, 2)).toEqual({ bootMs: 160, prepareMs: 320, sampleMs: 480, graceMs: 5 });
  expect(scaledDeadlines(deadlines, 1, 2)).toEqual(deadlines);
});

describe('a run that is stopped', () => {
  it('keeps the cells that were done, stops the machines, and goes on later without measuring them again', async () => {
    const specs = [mockSpec(), mockSpec({ name: 'cpu/b' }), mockSpec({ name: 'cpu/c' })];
    const stop = new AbortController();
    const engine = mock('bare');
    const run = { engines: [engine], specs };
    const plan = mockPlan(run);
    const store = await mockStore(plan, run.engines);
    const progress = {
      ...silent,
      workload: (w: { workload: string }) => void (w.workload === 'cpu/b' && stop.abort()),
    };
    const environment = mockEnvironment({ ...run, progress, environment: { signal: stop.signal } });
    await expect(runPlan(plan, store, environment)).rejects.toThrow(Interrupted);
    expect(engine.running).toBe(0);
    const saved = parseResults(await readFile(store.path, 'utf8'), store.path);
    expect(saved.cells.map((cell) => cell.workload)).toEqual(['cpu/a']);

    engine.log.length = 0;
    await runPlan(plan, store, mockEnvironment(run));
    expect(engine.log.filter((line) => line.startsWith('prepare'))).toEqual(['prepare 0 cpu/b', 'prepare 0 cpu/c']);
    expect(store.results.cells).toHaveLength(3);
  });

  it('measures what had failed again, on all engines, since samples are paired', async () => {
    const failing = new Set(['cpu/b']);
    const engines = [mock('bare'), mock('full', { crash: ({ workload }) => failing.has(workload) })];
    const run = { engines, specs: [mockSpec(), mockSpec({ name: 'cpu/b' })] };
    const plan = mockPlan(run);
    const store = await mockStore(plan, run.engines);
    await runPlan(plan, store, mockEnvironment(run));
    const cells = () => Object.fromEntries(store.results.cells.map((cell) => [cellKey(cell), cell.status]));
    const failed = Object.entries(cells()).filter(([, status]) => status === 'failed');
    expect(failed).toEqual([[expect.stringMatching(/full.*cpu\/b/), 'failed']]);

    failing.clear();
    for (const engine of engines) engine.log.length = 0;
    await runPlan(plan, store, mockEnvironment(run));
    expect(engines.map(({ log }) => log.filter((line) => line.startsWith('prepare')))).toEqual([
      ['prepare 0 cpu/b'],
      ['prepare 0 cpu/b'],
    ]);
    expect(Object.values(cells())).toEqual(['ok', 'ok', 'ok', 'ok']);
  });
});
