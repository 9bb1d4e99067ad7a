/** What the virtualizing engines counted, for one operation: crossings between guest and host, interrupts, TLB misses. */
import type { Cell, Results } from '../harness/results.js';
import { figure, sizeText } from './format.js';
import type { TextTable } from './tables.js';

/** For one operation of the cell's unit; null: the engine does not count it. */
export interface PerOperation {
  /** VM exits, or hypercalls. */
  crossings: number | null;
  /** Each kind of crossing, most frequent first, without those that did not happen. */
  reasons: { reason: string; count: number }[];
  /** Interrupts that the guest took, or events delivered to it. */
  interrupts: number | null;
  tlbMisses: number | null;
  /** Where the vCPUs' time went, percent; null: not measured. */
  time: { part: string; percent: number }[] | null;
}

/** How an engine's counters show its crossings: `exits.mmio_write`, `hypercall_sched_op`. */
const CROSSING = /^(?:exits\.|hypercall_(?!errors$))(.+)$/;
const TIME = /^time\.(.+)_ns$/;
/** Reasons that a table has room for. */
const SHOWN = 4;

/** null: nothing was counted, or the cell has no figure. */
export function perOperation(cell: Cell): PerOperation | null {
  const operations = cell.operations ?? cell.rounds.reduce((sum, round) => sum + round.ops, 0);
  if (cell.status !== 'ok' || !(operations > 0)) return null;
  const { counters } = cell;
  const reasons = matching(counters, CROSSING)
    .map(({ name, value }) => ({ reason: name, count: value / operations }))
    .sort((a, b) => b.count - a.count);
  const per = (...names: string[]) => {
    const present = names.filter((name) => name in counters);
    return present.length === 0 ? null : present.reduce((sum, name) => sum + counters[name], 0) / operations;
  };
  const found: PerOperation = {
    crossings: reasons.length === 0 ? null : reasons.reduce((sum, { count }) => sum + count, 0),
    reasons: reasons.filter(({ count }) => count > 0),
    interrupts: per('interrupts', 'events_delivered'),
    tlbMisses: per('tlb.misses', 'tlb.fetch_misses'),
    time: timeShares(counters),
  };
  return found.crossings === null && found.interrupts === null && found.tlbMisses === null ? null : found;
}

/** A row a cell that has counters, in the order of the file. */
export function countersTable(results: Results): TextTable {
  const found = results.cells.flatMap((cell) => {
    const per = perOperation(cell);
    return per === null ? [] : [{ cell, per }];
  });
  const hasTime = found.some(({ per }) => per.time !== null);
  const head = ['workload', 'size', 'engine', 'crossings', 'of which', 'interrupts', 'TLB misses'];
  const body = found.map(({ cell, per }) => [
    cell.workload,
    sizeText(cell.vms, cell.vcpus),
    cell.engine,
    figure(per.crossings),
    reasonsText(per),
    figure(per.interrupts),
    figure(per.tlbMisses),
    ...(hasTime ? [timeText(per)] : []),
  ]);
  return { head: hasTime ? [...head, 'time of the vCPUs'] : head, body };
}

function matching(counters: Cell['counters'], pattern: RegExp): { name: string; value: number }[] {
  return Object.entries(counters).flatMap(([name, value]) => {
    const match = pattern.exec(name);
    return match === null ? [] : [{ name: match[1], value }];
  });
}

function timeShares(counters: Cell['counters']): PerOperation['time'] {
  const parts = matching(counters, TIME);
  const all = parts.reduce((sum, { value }) => sum + value, 0);
  return all > 0 ? parts.map(({ name, value }) => ({ part: name, percent: (100 * value) / all })) : null;
}

function reasonsText({ reasons }: PerOperation): string {
  const shown = reasons.slice(0, SHOWN).map(({ reason, count }) => `${reason} ${figure(count)}`);
  return shown.length === 0 ? '—' : shown.join(', ');
}

function timeText({ time }: PerOperation): string {
  const shown = (time ?? []).filter(({ percent }) => percent >= 0.5);
  return shown.length === 0 ? '—' : shown.map(({ part, percent }) => `${part} ${percent.toFixed(0)} %`).join(', ');
}
