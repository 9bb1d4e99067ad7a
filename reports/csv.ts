/** One line a cell, and one line a sample, for spreadsheets and statistics programs. RFC 4180. */
import { stringify } from 'csv-stringify/sync';
import type { Cell, Results } from '../harness/results.js';
import { perOperation } from './counters.js';

/** Cells: the columns are fixed; new ones are added at the end. Empty: not measured. */
export function cellsCsv(results: Results): string {
  return stringify(results.cells.map(cellRecord), { header: true, columns: CELL_COLUMNS });
}

/** Every counter of every cell: sums over the samples. */
export function countersCsv(results: Results): string {
  const records = results.cells.flatMap((cell) => {
    const operations = cell.operations ?? cell.rounds.reduce((sum, round) => sum + round.ops, 0);
    return Object.entries(cell.counters).map(([counter, total]) => ({
      ...identity(cell),
      counter,
      total,
      per_operation: operations > 0 ? total / operations : undefined,
    }));
  });
  return stringify(records, { header: true, columns: COUNTER_COLUMNS });
}

/** Samples in the order in which they were taken. */
export function samplesCsv(results: Results): string {
  const records = results.cells.flatMap((cell) =>
    cell.rounds.map((round) => ({
      ...identity(cell),
      round: round.round,
      position: round.position,
      value: round.value,
      unit: cell.unit,
      window_ns: round.windowNs,
      ops: round.ops,
      units: round.units,
      clock_drift_pct: round.clockDriftPct,
      cpu_seconds: round.cpuSeconds,
      checksum: round.checksum,
    })),
  );
  return stringify(records, { header: true, columns: SAMPLE_COLUMNS });
}

const CELL_COLUMNS = [
  'engine',
  'workload',
  'vms',
  'vcpus',
  'status',
  'metric',
  'unit',
  'higher_is_better',
  'samples',
  'median',
  'ci_low',
  'ci_high',
  'percent_of_bare_metal',
  'percent_low',
  'percent_high',
  'percent_of_scalar_bare_metal',
  'percent_scalar_low',
  'percent_scalar_high',
  'cpu_seconds_per_op',
  'clock_drift_pct',
  'memory_bytes',
  'reason',
  'peer',
  'times_peer',
  'times_peer_low',
  'times_peer_high',
  'crossings_per_op',
  'interrupts_per_op',
  'tlb_misses_per_op',
];

const COUNTER_COLUMNS = ['engine', 'workload', 'vms', 'vcpus', 'counter', 'total', 'per_operation'];

const SAMPLE_COLUMNS = [
  'engine',
  'workload',
  'vms',
  'vcpus',
  'round',
  'position',
  'value',
  'unit',
  'window_ns',
  'ops',
  'units',
  'clock_drift_pct',
  'cpu_seconds',
  'checksum',
];

function identity(cell: Cell): { engine: string; workload: string; vms: number; vcpus: number } {
  return { engine: cell.engine, workload: cell.workload, vms: cell.vms, vcpus: cell.vcpus };
}

function cellRecord(cell: Cell): Record<string, string | number | boolean | null | undefined> {
  const { percentOfBareMetal: percent, percentOfBareMetalScalar: scalar } = cell;
  const counted = perOperation(cell);
  return {
    ...identity(cell),
    status: cell.status,
    metric: cell.metric,
    unit: cell.unit,
    higher_is_better: String(cell.higherIsBetter),
    samples: cell.samples.length,
    median: cell.median,
    ci_low: cell.ci?.[0],
    ci_high: cell.ci?.[1],
    percent_of_bare_metal: percent?.median,
    percent_low: percent?.low,
    percent_high: percent?.high,
    percent_of_scalar_bare_metal: scalar?.median,
    percent_scalar_low: scalar?.low,
    percent_scalar_high: scalar?.high,
    cpu_seconds_per_op: cell.cpuSecondsPerOp,
    clock_drift_pct: cell.clockDriftPct,
    memory_bytes: cell.memoryBytes,
    reason: cell.reason,
    peer: cell.ratioToPeer?.peer,
    times_peer: cell.ratioToPeer?.median,
    times_peer_low: cell.ratioToPeer?.low,
    times_peer_high: cell.ratioToPeer?.high,
    crossings_per_op: counted?.crossings,
    interrupts_per_op: counted?.interrupts,
    tlb_misses_per_op: counted?.tlbMisses,
  };
}
