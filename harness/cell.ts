/** From the rounds of a cell to the record that is saved. */
import type { SampleResult } from '../engines/engine.js';
import type { PolicyWork, WorkloadSpec } from '../workloads/spec.js';
import { foldChecksums } from './checksums.js';
import { clockDriftPct, figure, higherIsBetter, operationsPerSecond, windowNs } from './figures.js';
import { pairedRounds } from './pairs.js';
import { peerOf } from './peers.js';
import { BASELINE, SCALAR_BASELINE } from './plan.js';
import { type PolicySample, policyDetails, policyFigure } from './policy-figure.js';
import { deriveSeed } from './random.js';
import type { Cell, PeerRatio, Percent, Round } from './results.js';
import type { TimedSample } from './sample.js';
import { estimate, pairedPercent } from './statistics.js';

/** A drift of the guest's clock beyond this is reported with the cell, percent. */
export const DRIFT_LIMIT_PCT = 0.5;

/** What a cell is measured with. */
export interface CellSetting {
  spec: WorkloadSpec;
  engine: string;
  vms: number;
  vcpus: number;
  memoryBytes: number;
  seed: number;
}

/** One engine's way through a workload: what it measured, and how it ended. */
export interface Track {
  setting: CellSetting;
  rounds: Round[];
  counters: Record<string, number>;
  outcome: { status: 'ok' } | { status: 'failed' | 'skipped'; reason: string; consoleTail: string[] };
}

export function newTrack(setting: CellSetting): Track {
  return { setting, rounds: [], counters: {}, outcome: { status: 'ok' } };
}

/** Takes a measured sample into the track. `alone`: of machine 0 by itself, where the figure compares with that. @throws NoFigure */
export function addRound(
  track: Track,
  round: number,
  position: number,
  sample: TimedSample,
  alone?: SampleResult,
): Round {
  const { spec } = track.setting;
  const { results } = sample;
  const policy: PolicySample = { beside: results, ...(alone === undefined ? {} : { alone }) };
  const taken: Round = {
    round,
    position,
    value: spec.policy ? policyFigure(spec.policy, policy) : figure(spec, results, sample.windowNs),
    windowNs: sample.windowNs,
    ops: sum(results, (result) => result.ops),
    units: sum(results, (result) => result.units),
    clockDriftPct: clockDriftPct(results),
    cpuSeconds: sum(results, (result) => result.cpuSeconds),
    checksum: foldChecksums(results),
    perVm: results.map((result) =>
      spec.policy ? operationsPerSecond(result) : figure(spec, [result], windowNs([result])),
    ),
    ...(spec.policy ? { details: policyDetails(policy) } : {}),
  };
  track.rounds.push(taken);
  for (const result of results) addCounters(track.counters, result.counters);
  return taken;
}

/** The record of one cell; `tracks` holds all engines of the same workload, for the percents. */
export function cellOf(track: Track, tracks: readonly Track[], finishedAt: Date): Cell {
  const { spec, engine, vms, vcpus, memoryBytes, seed } = track.setting;
  const ok = track.outcome.status === 'ok';
  const samples = track.rounds.map((round) => round.value);
  const found = ok ? estimate(samples, deriveSeed(seed, 'interval', engine, spec.name, vms, vcpus)) : null;
  return {
    engine,
    workload: spec.name,
    vms,
    vcpus,
    metric: spec.metric,
    unit: spec.unit,
    higherIsBetter: higherIsBetter(spec.metric),
    samples,
    median: found?.median ?? null,
    ci: found === null ? null : [found.low, found.high],
    clockDriftPct: worstDrift(track.rounds),
    percentOfBareMetal: ok ? percentOf(track, tracks, BASELINE) : null,
    percentOfBareMetalScalar: ok && spec.vectorizable ? percentOf(track, tracks, SCALAR_BASELINE) : null,
    promise: spec.policy ? promiseOf(spec.policy, found?.median ?? null) : null,
    ratioToPeer: ok ? ratioToPeer(track, tracks) : null,
    cpuSecondsPerOp: ok ? cpuPerOp(track) : null,
    counters: track.counters,
    operations: ok ? operationsOf(track) : null,
    status: track.outcome.status,
    reason: track.outcome.status === 'ok' ? null : track.outcome.reason,
    consoleTail: track.outcome.status === 'ok' ? [] : track.outcome.consoleTail,
    warnings: ok ? warnings(track, tracks) : [],
    memoryBytes,
    rounds: track.rounds,
    finishedAt: finishedAt.toISOString(),
  };
}

/** Percent of a baseline over the rounds that both have; null where there is none or it would make no sense (os/…). */
function percentOf(track: Track, tracks: readonly Track[], baseline: string): Percent | null {
  return track.setting.spec.comparable ? paired(track, tracks, baseline, 'percent') : null;
}

function promiseOf({ promise }: PolicyWork, median: number | null): Cell['promise'] {
  const low = promise.low ?? null;
  const kept = median === null ? null : median <= promise.high && (low === null || median >= low);
  return { low, high: promise.high, kept };
}

/** How many times as good as the engine's peer; null where it has none in this cell. */
function ratioToPeer(track: Track, tracks: readonly Track[]): PeerRatio | null {
  const peer = peerOf(track.setting.engine);
  if (peer === undefined) return null;
  const percent = paired(track, tracks, peer, 'ratio');
  if (percent === null) return null;
  const { median, low, high, pairs } = percent;
  return { peer, median: median / 100, low: low / 100, high: high / 100, pairs };
}

/** Percent of another engine over the rounds that both have. */
function paired(track: Track, tracks: readonly Track[], other: string, purpose: string): Percent | null {
  const { spec, engine, vms, vcpus, seed } = track.setting;
  const reference = tracks.find((candidate) => candidate.setting.engine === other);
  if (reference === undefined || reference.outcome.status !== 'ok') return null;
  const pairs = pairedRounds(track.rounds, reference.rounds);
  return pairedPercent(
    pairs.map(([value]) => value),
    pairs.map(([, base]) => base),
    higherIsBetter(spec.metric),
    deriveSeed(seed, purpose, engine, other, spec.name, vms, vcpus),
  );
}

function warnings(track: Track, tracks: readonly Track[]): string[] {
  const found: string[] = [];
  const drift = worstDrift(track.rounds);
  if (drift !== null && Math.abs(drift) > DRIFT_LIMIT_PCT) {
    found.push(`the guest's clock and the host's differ by up to ${drift.toFixed(2)} % in a sample`);
  }
  const baseline = tracks.find((other) => other.setting.engine === BASELINE);
  if (track.setting.spec.comparable && baseline !== undefined && baseline.outcome.status !== 'ok') {
    found.push('bare metal has no figure for this cell, so there is no percent');
  }
  return found;
}

function worstDrift(rounds: readonly Round[]): number | null {
  if (rounds.length === 0) return null;
  return rounds.reduce((worst, r) => (Math.abs(r.clockDriftPct) > Math.abs(worst) ? r.clockDriftPct : worst), 0);
}

/** CPU seconds of all VMs for one operation of the figure's unit (one I/O, one unit, one MB). */
function cpuPerOp(track: Track): number | null {
  const ops = operationsOf(track);
  const cpuSeconds = sum(track.rounds, (round) => round.cpuSeconds);
  return ops > 0 && cpuSeconds > 0 ? cpuSeconds / ops : null;
}

/** Of the figure's unit (an I/O, a unit, a MB). */
function operationsOf(track: Track): number {
  return sum(track.rounds, (round) => round.ops) * track.setting.spec.scale;
}

function addCounters(total: Record<string, number>, more: Record<string, number>): void {
  for (const [name, value] of Object.entries(more)) total[name] = (total[name] ?? 0) + value;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
