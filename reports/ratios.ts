/**
 * Geometric means over workloads with their intervals, against three references: bare metal, bare metal without
 * vectorization, and the engine's peer (QEMU, for `full`). All from the paired samples of the results file.
 */
import { pairedRatios } from '../harness/pairs.js';
import { peerOf } from '../harness/peers.js';
import { deriveSeed } from '../harness/random.js';
import type { Cell, Results } from '../harness/results.js';
import { type Estimate, geometricMeanOfMedians } from '../harness/statistics.js';
import { BARE, BARE_SCALAR, engineNames, headlineRows, type Row, rows, SUMMARY_GROUPS } from './model.js';

/** How many times as good as the reference, over the workloads of one kind. */
export interface Mean extends Estimate {
  engine: string;
  /** Kind of work. */
  label: string;
  /** Each workload's median, worst first. */
  workloads: { workload: string; ratio: number }[];
}

export interface EngineMeans {
  engine: string;
  label: string;
  ofBareMetal: Mean | null;
  ofScalarBareMetal: Mean | null;
  ofPeer: Mean | null;
}

type Reference = (row: Row) => Cell | undefined;

const GROUPS = [...SUMMARY_GROUPS, { label: 'operating system', groups: ['os'] }];

/** One record an engine and kind of work that has any mean. os/… has one against the peer alone. */
export function engineMeans(results: Results): EngineMeans[] {
  const list = headlineRows(results);
  const hasScalar = results.cells.some((cell) => cell.engine === BARE_SCALAR && cell.status === 'ok');
  // Where the compiler finds nothing to vectorize, the two builds are the same and only one was measured.
  const scalar: Reference = (row) => row.cells.get(BARE_SCALAR) ?? row.cells.get(BARE);
  return virtualEngines(results).flatMap((engine) =>
    GROUPS.flatMap(({ label, groups }) => {
      const mine = list.filter((row) => groups.includes(row.group));
      const isOs = groups.includes('os');
      const peer = peerOf(engine);
      const mean = (reference: Reference) => meanOf(engine, label, mine, reference, results.run.seed);
      const means = {
        engine,
        label,
        ofBareMetal: isOs ? null : mean((row) => row.cells.get(BARE)),
        ofScalarBareMetal: isOs || !hasScalar ? null : mean(scalar),
        ofPeer: peer === undefined ? null : mean((row) => row.cells.get(peer)),
      };
      return means.ofBareMetal || means.ofPeer ? [means] : [];
    }),
  );
}

/** Engines that a peer was measured beside, with that peer. */
export function comparedWithPeers(results: Results): { engine: string; peer: string }[] {
  return virtualEngines(results).flatMap((engine) => {
    const peer = peerOf(engine);
    const has = results.cells.some((cell) => cell.engine === engine && cell.ratioToPeer);
    return peer !== undefined && has ? [{ engine, peer }] : [];
  });
}

/** Rows in which some engine was measured beside its peer, or one of the two failed. */
export function peerRows(results: Results, sizes: 'all' | 'headline' = 'all'): Row[] {
  const pairs = comparedWithPeers(results);
  const list = sizes === 'all' ? rows(results) : headlineRows(results);
  return list.filter((row) => pairs.some(({ engine, peer }) => row.cells.has(engine) && row.cells.has(peer)));
}

function virtualEngines(results: Results): string[] {
  return engineNames(results).filter((name) => name !== BARE && name !== BARE_SCALAR);
}

function meanOf(engine: string, label: string, list: Row[], reference: Reference, seed: number): Mean | null {
  const measured = list.flatMap((row) => {
    const [cell, other] = [row.cells.get(engine), reference(row)];
    const ratios = cell && other ? pairedRatios(cell, other) : [];
    return ratios.length > 0 ? [{ workload: row.workload, ratios }] : [];
  });
  const mean = geometricMeanOfMedians(
    measured.map(({ ratios }) => ratios),
    deriveSeed(seed, 'mean', engine, label),
  );
  if (mean === null) return null;
  const workloads = measured
    .map(({ workload, ratios }) => ({ workload, ratio: median(ratios) }))
    .sort((a, b) => a.ratio - b.ratio);
  return { ...mean, engine, label, workloads };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}
