/** Before a run: plan, folder and the results file that it will fill, or the one that is resumed. */

import { join, resolve } from 'node:path';
import type { GuestSystem } from '../../engines/engine.js';
import { allowedCpus } from '../../engines/process/affinity.js';
import { packageRoot } from '../../workloads/package-root.js';
import type { Context, ProbedEngine } from '../context.js';
import { load } from '../doctor.js';
import { chooseGuest } from '../guest-system.js';
import { availableMemory, gitCommit, hostFacts } from '../host.js';
import { imageHashes } from '../image-hashes.js';
import { newRunFolder, RESULTS_FILE } from '../out-folder.js';
import { placementNote, placementOn } from '../placement.js';
import { expandPlan, makePlan, type Plan, type PlanContext, planDifferences } from '../plan.js';
import { type EngineInfo, type Host, type Results, readResults, SCHEMA_VERSION } from '../results.js';
import { ResultsStore } from '../store.js';
import { UsageError } from '../usage.js';
import { version } from '../version.js';
import { type BenchFlags, choosesPlan, planOptions, profileOf } from './bench-options.js';

/** Share of the free memory that VMs may take: the harness, the engines and the page cache want some too. */
const MEMORY_SHARE = 0.8;

export interface Prepared {
  plan: Plan;
  store: ResultsStore;
  engines: ProbedEngine[];
  pollUs: number;
  /** What the machines boot; absent: the project's own guest. */
  guest?: GuestSystem;
  folder: string;
}

/** @throws UsageError, ResultsError */
export async function prepare(flags: BenchFlags, argv: readonly string[], context: Context): Promise<Prepared> {
  const options = planOptions(flags);
  const profile = await profileOf(await withGuestOf(flags));
  const { engines, specs, guest } = await chooseGuest(flags, profile, context);
  const { images, notes } = imageHashes();
  if (guest !== undefined) Object.assign(images, guest.facts);
  const host = hostFacts();
  notes.push(...loadNote(host));
  const planContext: PlanContext = {
    specs,
    engines: engines.map(({ engine, probe }) => ({
      name: engine.name,
      ...(probe.ok ? {} : { unavailable: probe.reason }),
      ...(engine.applyPolicy === undefined ? {} : { hasPolicies: true }),
    })),
    availableBytes: availableMemory() * MEMORY_SHARE,
    images,
  };
  if (flags.resume !== undefined) {
    const wanted = choosesPlan(flags) ? makePlan(profile, options, planContext) : undefined;
    return { ...(await resume(flags.resume, wanted, planContext, engines)), ...(guest === undefined ? {} : { guest }) };
  }
  const plan = makePlan(profile, options, planContext);
  if (plan.key.workloads.some((name) => name.startsWith('net/'))) notes.push(placementNote(placementOn(allowedCpus())));
  const folder = await newRunFolder(flags.out, profile.name, context.clock.date());
  const results: Results = {
    schema: SCHEMA_VERSION,
    tool: { name: 'virtax', version: version() },
    host,
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
    ...(guest === undefined ? {} : { guest }),
    plan,
    store: new ResultsStore(join(folder, RESULTS_FILE), results),
    engines,
    pollUs: profile.pollUs,
    folder,
  };
}

/** The flags with the guest of the run that is taken up again. */
async function withGuestOf(flags: BenchFlags): Promise<BenchFlags> {
  if (flags.resume === undefined || choosesPlan(flags)) return flags;
  const { run } = await readResults(join(resolve(flags.resume), RESULTS_FILE));
  return run.plan.workloads.some((name) => name.startsWith('linux/')) ? { ...flags, guest: 'debian' } : flags;
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

/** Other work on the host, as `virtax doctor` judges it. */
function loadNote({ cores, loadAverage }: Host): string[] {
  const finding = load(cores, loadAverage ?? 0);
  return finding.verdict === 'bad' ? [`other work was running when the run began: load ${finding.found}`] : [];
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
