/** `virtax bench`: from flags to results and reports. */

import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { packageRoot } from '../../workloads/package-root.js';
import { type Context, type ProbedEngine, probeEngines } from '../context.js';
import { Disks } from '../disks.js';
import { formatDuration } from '../format.js';
import { Interrupted } from '../guard.js';
import { availableMemory, gitCommit, hostFacts } from '../host.js';
import { imageHashes } from '../image-hashes.js';
import { makeDisk, Peer } from '../native-tools.js';
import { newRunFolder, RESULTS_FILE } from '../out-folder.js';
import { expandPlan, makePlan, type Plan, type PlanContext, planDifferences } from '../plan.js';
import type { Progress } from '../progress.js';
import { PlainProgress } from '../progress-plain.js';
import { TerminalProgress } from '../progress-terminal.js';
import { type EngineInfo, type Results, readResults, SCHEMA_VERSION } from '../results.js';
import { type BenchEnvironment, runPlan } from '../run.js';
import { onStopSignals } from '../signals.js';
import { ResultsStore, SaveFailed } from '../store.js';
import { UsageError } from '../usage.js';
import { version } from '../version.js';
import { type BenchFlags, choosesPlan, planOptions, profileOf } from './bench-options.js';
import { writeAllReports } from './report.js';

/** Share of the free memory that VMs may take: the harness, the engines and the page cache want some too. */
const MEMORY_SHARE = 0.8;

/** Runs the command. @returns the exit status @throws UsageError, ResultsError */
export async function bench(flags: BenchFlags, argv: readonly string[], context: Context): Promise<number> {
  const prepared = await prepare(flags, argv, context);
  const { store } = prepared;
  const progress: Progress = context.out.isTTY
    ? new TerminalProgress(context.out, context.clock)
    : new PlainProgress(context.out, context.clock);
  for (const note of store.results.run.notes) progress.note(`note: ${note}`);
  const status = await measure(prepared, flags, context, progress);
  if (store.results.cells.length > 0) await conclude(store, flags, context);
  return status;
}

interface Prepared {
  plan: Plan;
  store: ResultsStore;
  engines: ProbedEngine[];
  pollUs: number;
  folder: string;
}

async function prepare(flags: BenchFlags, argv: readonly string[], context: Context): Promise<Prepared> {
  const options = planOptions(flags);
  const profile = await profileOf(flags);
  const engines = await probeEngines(context.engines);
  const { images, notes } = imageHashes();
  const planContext: PlanContext = {
    specs: context.specs,
    engines: engines.map(({ engine, probe }) => ({
      name: engine.name,
      ...(probe.ok ? {} : { unavailable: probe.reason }),
    })),
    availableBytes: availableMemory() * MEMORY_SHARE,
    images,
  };
  if (flags.resume !== undefined) {
    const wanted = choosesPlan(flags) ? makePlan(profile, options, planContext) : undefined;
    return resume(flags.resume, wanted, planContext, engines);
  }
  const plan = makePlan(profile, options, planContext);
  const folder = await newRunFolder(flags.out, profile.name, context.clock.date());
  const results: Results = {
    schema: SCHEMA_VERSION,
    tool: { name: 'virtax', version: version() },
    host: hostFacts(),
    run: {
      profile: profile.name,
      seed: options.seed,
      startedAt: context.clock.date().toISOString(),
      durationMs: 0,
      finished: false,
      sampleMs: plan.key.sampleMs,
      waiting: { pollUs: profile.pollUs },
      commandLine: ['virtax', ...argv],
      gitCommit: await gitCommit(packageRoot()),
      resumed: 0,
      disk: null,
      images,
      notes,
      plan: plan.key,
    },
    engines: engines.filter(({ engine }) => plan.key.engines.includes(engine.name)).map(engineInfo),
    cells: [],
  };
  return {
    plan,
    store: new ResultsStore(join(folder, RESULTS_FILE), results),
    engines,
    pollUs: profile.pollUs,
    folder,
  };
}

/** Takes a stopped run up again: with the plan that its file holds, which flags and images must not contradict. */
async function resume(
  given: string,
  wanted: Plan | undefined,
  context: PlanContext,
  engines: ProbedEngine[],
): Promise<Prepared> {
  const folder = resolve(given);
  const results = await readResults(join(folder, RESULTS_FILE));
  const before = results.run.plan;
  const differences = planDifferences(before, wanted?.key ?? { ...before, images: context.images });
  if (differences.length > 0) {
    const lines = differences.map((line) => `  ${line}`);
    throw new UsageError(
      [`--resume: the run in ${given} was planned otherwise; leave the flags away, or start a new run:`, ...lines].join(
        '\n',
      ),
    );
  }
  results.run.resumed++;
  const store = new ResultsStore(join(folder, RESULTS_FILE), results);
  return { plan: expandPlan(before, context), store, engines, pollUs: results.run.waiting.pollUs, folder };
}

function engineInfo({ engine, probe }: ProbedEngine): EngineInfo {
  return {
    name: engine.name,
    kind: engine.kind,
    summary: engine.summary,
    status: probe.ok ? 'ok' : 'unavailable',
    reason: probe.ok ? null : probe.reason,
    notes: probe.ok ? (probe.notes ?? []) : [],
    facts: {},
    doorbellNs: null,
    bootMs: null,
  };
}

async function measure(prepared: Prepared, flags: BenchFlags, context: Context, progress: Progress): Promise<number> {
  const { store, plan, folder } = prepared;
  const inFolder = flags.diskFile === undefined;
  const prefix = inFolder ? join(folder, 'disks', 'vm') : resolve(flags.diskFile ?? '');
  const disks = new Disks({ prefix, bytes: plan.key.diskBytes, replace: inFolder, make: makeDisk });
  const peer = new Peer();
  const stop = onStopSignals();
  const began = context.clock.nowNs();
  const before = store.results.run.durationMs;
  const keepTime = () => {
    store.results.run.durationMs = before + Number(context.clock.nowNs() - began) / 1e6;
  };
  const environment: BenchEnvironment = {
    engines: new Map(prepared.engines.map(({ engine }) => [engine.name, engine])),
    clock: context.clock,
    progress,
    signal: stop.signal,
    deadlines: context.deadlines,
    waiting: { pollUs: prepared.pollUs },
    bootParallel: availableParallelism(),
    async disks(count) {
      const made = await disks.upTo(count);
      store.results.run.disk = await disks.describe();
      return made;
    },
    peer: () => peer.port(),
    beforeSave: keepTime,
  };
  try {
    await store.save();
    await runPlan(plan, store, environment);
    store.results.run.finished = true;
    keepTime();
    await store.save();
    return store.results.cells.some((cell) => cell.status === 'failed') ? 1 : 0;
  } catch (error) {
    return failure(error, store, stop.exitStatus(), context, progress);
  } finally {
    progress.end();
    stop.release();
    await Promise.all([peer.stop(), disks.remove()]);
    if (inFolder) await rm(dirname(prefix), { recursive: true, force: true });
  }
}

function failure(
  error: unknown,
  store: ResultsStore,
  stopStatus: number,
  context: Context,
  progress: Progress,
): number {
  progress.end();
  const kept = `${store.results.cells.length} finished cells are in ${store.path}`;
  if (error instanceof Interrupted) {
    context.err.write(`stopped: ${kept}; go on with: virtax bench --resume ${dirname(store.path)}\n`);
    return stopStatus;
  }
  if (error instanceof SaveFailed) {
    context.err.write(`virtax: ${error.message}\n`);
    return 1;
  }
  throw error;
}

/** The table and the report files; what fails here does not take the results away. */
async function conclude(store: ResultsStore, flags: BenchFlags, context: Context): Promise<void> {
  const folder = dirname(store.path);
  const { results } = store;
  const { renderTable } = await import('../../reports/index.js');
  context.out.write(`\n${renderTable(results, context.out.isTTY)}\n`);
  const failed = results.cells.filter((cell) => cell.status === 'failed').length;
  const skipped = results.cells.filter((cell) => cell.status === 'skipped').length;
  const ok = results.cells.length - failed - skipped;
  context.out.write(
    `${ok} cells measured, ${failed} failed, ${skipped} skipped in ${formatDuration(results.run.durationMs)}\n`,
  );
  if (flags.reports === false) {
    context.out.write(`${store.path}\n`);
    return;
  }
  const written = await writeAllReports(results, folder).catch((error: Error) => {
    context.err.write(`virtax: the reports could not be written: ${error.message}\n`);
    return [];
  });
  for (const path of [store.path, ...written]) context.out.write(`${path}\n`);
}
