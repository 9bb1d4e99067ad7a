/** `virtax bench`: from flags to results and reports. */
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { DiskConfig } from '../../engines/engine.js';
import { allowedCpus } from '../../engines/process/affinity.js';
import type { Clock } from '../clock.js';
import type { Context } from '../context.js';
import { Disks } from '../disks.js';
import { formatDuration } from '../format.js';
import { Interrupted } from '../guard.js';
import { SYSTEM_DEADLINES } from '../machines.js';
import { makeDisk, Peer } from '../native-tools.js';
import { placementOn } from '../placement.js';
import type { Progress } from '../progress.js';
import { PlainProgress } from '../progress-plain.js';
import { TerminalProgress } from '../progress-terminal.js';
import type { Cell } from '../results.js';
import { type BenchEnvironment, runPlan } from '../run.js';
import { onStopSignals } from '../signals.js';
import { type ResultsStore, SaveFailed } from '../store.js';
import type { BenchFlags } from './bench-options.js';
import { type Prepared, prepare } from './bench-prepare.js';
import { writeAllReports } from './report.js';

const BUFFERED =
  'the file system of the disks takes no O_DIRECT: block figures are of the page cache (see `virtax doctor`)';

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

async function measure(prepared: Prepared, flags: BenchFlags, context: Context, progress: Progress): Promise<number> {
  const { store, plan, folder } = prepared;
  const inFolder = flags.diskFile === undefined;
  const prefix = inFolder ? join(folder, 'disks', 'vm') : resolve(flags.diskFile ?? '');
  const disks = new Disks({ prefix, bytes: plan.key.diskBytes, replace: inFolder, make: makeDisk });
  const placement = placementOn(allowedCpus());
  const peer = new Peer(placement.peer);
  const stop = onStopSignals();
  const keepTime = stopwatch(store, context.clock);
  const environment: BenchEnvironment = {
    engines: new Map(prepared.engines.map(({ engine }) => [engine.name, engine])),
    clock: context.clock,
    progress,
    signal: stop.signal,
    deadlines: prepared.guest === undefined ? context.deadlines : SYSTEM_DEADLINES,
    waiting: { pollUs: prepared.pollUs },
    ...(prepared.guest === undefined ? {} : { guest: prepared.guest }),
    cores: availableParallelism(),
    placement,
    disks: (count) => notedDisks(disks, count, store, progress),
    peer: () => peer.port(),
    beforeSave: keepTime,
  };
  try {
    await store.save();
    await runPlan(plan, store, environment);
    store.results.run.finished = true;
    keepTime();
    await store.save();
    return exitStatus(store.results.cells);
  } catch (error) {
    return failure(error, store, stop.exitStatus(), context, progress);
  } finally {
    progress.end();
    stop.release();
    await Promise.all([peer.stop(), disks.remove()]);
    if (inFolder) await rm(dirname(prefix), { recursive: true, force: true });
  }
}

/** A run that skipped all of its cells has measured nothing, which a script must not take for success. */
function exitStatus(cells: readonly Cell[]): number {
  return cells.some(({ status }) => status === 'failed') || !cells.some(({ status }) => status === 'ok') ? 1 : 0;
}

/** Brings the run's duration up to date, whatever it was when the run was resumed. */
function stopwatch(store: ResultsStore, clock: Clock): () => void {
  const began = clock.nowNs();
  const before = store.results.run.durationMs;
  return () => {
    store.results.run.durationMs = before + Number(clock.nowNs() - began) / 1e6;
  };
}

/** Makes the disks, and keeps with the results what a reader must know of them. */
async function notedDisks(disks: Disks, count: number, store: ResultsStore, progress: Progress): Promise<DiskConfig[]> {
  const made = await disks.upTo(count);
  const { run } = store.results;
  run.disk = await disks.describe();
  if (made.some(({ direct }) => !direct) && !run.notes.includes(BUFFERED)) {
    run.notes.push(BUFFERED);
    progress.note(`note: ${BUFFERED}`);
  }
  return made;
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
  const { renderCounters, renderTable } = await import('../../reports/index.js');
  context.out.write(`\n${renderTable(results, context.out.isTTY)}\n`);
  if (flags.counters) context.out.write(`${renderCounters(results, context.out.isTTY)}\n`);
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
