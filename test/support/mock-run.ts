/** A whole run on mock engines, in memory but for its results file. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makePlan, type Plan, type PlanOptions } from '#harness/plan.js';
import type { Profile } from '#harness/profiles.js';
import type { Progress } from '#harness/progress.js';
import { type Cell, cellKey, type Results } from '#harness/results.js';
import { type BenchEnvironment, runPlan } from '#harness/run.js';
import { ResultsStore } from '#harness/store.js';
import type { WorkloadSpec } from '../../workloads/spec.js';
import { type MockEngine, mockSpec, VirtualClock } from './mock-engine.mjs';
import { sampleResults } from './sample-results.js';

export const silent: Progress = {
  begin: () => {},
  workload: () => {},
  step: () => {},
  figure: () => {},
  cell: () => {},
  note: () => {},
  end: () => {},
};

export function mockProfile(over: Partial<Profile> = {}): Profile {
  return {
    name: 'mock',
    summary: '',
    engines: ['bare', 'full'],
    samples: 5,
    sampleMs: 250,
    diskSize: 1 << 20,
    pollUs: 0,
    groups: [{ workloads: ['*'], vms: [1], vcpus: [1] }],
    ...over,
  };
}

export interface MockRun {
  engines: MockEngine[];
  specs?: WorkloadSpec[];
  profile?: Partial<Profile>;
  options?: Partial<PlanOptions>;
  environment?: Partial<BenchEnvironment>;
  progress?: Progress;
  clock?: VirtualClock;
  store?: ResultsStore;
}

export function mockPlan(run: MockRun): Plan {
  const profile = mockProfile({ engines: run.engines.map((engine) => engine.name), ...run.profile });
  const context = {
    specs: run.specs ?? [mockSpec()],
    engines: run.engines.map(({ name, applyPolicy }) => ({ name, ...(applyPolicy ? { hasPolicies: true } : {}) })),
    availableBytes: 2 ** 40,
    images: {},
  };
  return makePlan(profile, { seed: 1, ...run.options }, context);
}

export async function mockStore(plan: Plan, engines: readonly MockEngine[]): Promise<ResultsStore> {
  const folder = await mkdtemp(join(tmpdir(), 'virtax-run-'));
  const blank = sampleResults();
  const results: Results = {
    ...blank,
    run: { ...blank.run, plan: plan.key },
    engines: engines.map(({ name, kind }) => ({ ...blank.engines[0], facts: {}, name, kind })),
    cells: [],
  };
  return new ResultsStore(join(folder, 'results.json'), results);
}

export function mockEnvironment(run: MockRun): BenchEnvironment {
  return {
    engines: new Map(run.engines.map((engine) => [engine.name, engine])),
    clock: run.clock ?? new VirtualClock(),
    progress: run.progress ?? silent,
    signal: new AbortController().signal,
    deadlines: { bootMs: 1000, prepareMs: 1000, sampleMs: 1000, graceMs: 1000 },
    waiting: { pollUs: 0 },
    cores: 2,
    disks: async (count) =>
      Array.from({ length: count }, (_, i) => ({ path: `/disk${i}`, bytes: 1 << 20, direct: true })),
    peer: async () => 9000,
    placement: { peer: undefined, netMachines: undefined },
    ...run.environment,
  };
}

/** Runs the plan and gives the cells by `engine workload vms=… vcpus=…`. */
export async function runMocks(run: MockRun): Promise<{ cells: Map<string, Cell>; store: ResultsStore; plan: Plan }> {
  const plan = mockPlan(run);
  const store = run.store ?? (await mockStore(plan, run.engines));
  await runPlan(plan, store, mockEnvironment(run));
  return { cells: new Map(store.results.cells.map((cell) => [cellKey(cell), cell])), store, plan };
}
