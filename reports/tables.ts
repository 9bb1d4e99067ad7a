/** The rows that Markdown and the page both lay out. */
import type { Cell, Results } from '../harness/results.js';
import {
  figure,
  medianText,
  percentCell,
  percentWithInterval,
  sizeText,
  statusText,
  timesWithInterval,
} from './format.js';
import { BARE, BARE_SCALAR, engineNames, isCompared, type Row, rows } from './model.js';
import { comparedWithPeers, type EngineMeans, engineMeans, type Mean, peerRows } from './ratios.js';

export interface TextTable {
  head: string[];
  body: string[][];
}

/** Percent of bare metal of everything but os, at every size; without vectorization where that was measured. */
export function percentTable(results: Results): TextTable {
  const list = rows(results).filter(isCompared);
  const engines = engineNames(results).filter((name) => name !== BARE && list.some((row) => row.cells.has(name)));
  const scalar = engines.filter(
    (name) =>
      name !== BARE_SCALAR && results.cells.some((cell) => cell.engine === name && cell.percentOfBareMetalScalar),
  );
  const head = ['workload', 'size', 'bare metal', ...engines.map((name) => `${name}, % of bare metal`)];
  head.push(...scalar.map((name) => `${name}, % of bare metal without vectorization`));
  const body = list.map((row) => [
    ...sizeOf(row),
    medianOf(row, BARE),
    ...engines.map((name) => percentCell(row.cells.get(name))),
    ...scalar.map((name) => {
      const percent = row.cells.get(name)?.percentOfBareMetalScalar;
      return percent ? percentWithInterval(percent) : '—';
    }),
  ]);
  return { head, body };
}

/** How many times as fast as its peer each engine is, at every size. */
export function peerTable(results: Results): TextTable {
  const pairs = comparedWithPeers(results);
  const head = ['workload', 'size', ...pairs.map(({ engine, peer }) => `${engine} / ${peer}`)];
  const body = peerRows(results).map((row) => [
    ...sizeOf(row),
    ...pairs.map(({ engine, peer }) => ratioCell(row.cells.get(engine), row.cells.get(peer))),
  ]);
  return { head, body };
}

function ratioCell(cell: Cell | undefined, peer: Cell | undefined): string {
  if (!cell || !peer) return 'not measured';
  if (cell.ratioToPeer) return timesWithInterval(cell.ratioToPeer);
  const without = cell.status === 'ok' ? peer : cell;
  return `${without.engine} ${statusText(without)}`;
}

/** Geometric means of each engine by kind of work, against every reference that was measured. */
export function meansTable(results: Results): TextTable {
  const means = engineMeans(results);
  const columns: { head: string; cell: (each: EngineMeans) => Mean | null; text: (mean: Mean) => string }[] = [
    { head: '% of bare metal', cell: (each) => each.ofBareMetal, text: percentOf },
    { head: '% of bare metal without vectorization', cell: (each) => each.ofScalarBareMetal, text: percentOf },
    { head: 'times QEMU', cell: (each) => each.ofPeer, text: timesWithInterval },
  ];
  const shown = columns.filter(({ cell }) => means.some((each) => cell(each) !== null));
  const body = means.map((each) => [
    each.engine,
    each.label,
    String(Math.max(...shown.map(({ cell }) => cell(each)?.workloads.length ?? 0))),
    ...shown.map(({ cell, text }) => {
      const mean = cell(each);
      return mean === null ? '—' : text(mean);
    }),
  ]);
  return { head: ['engine', 'work', 'workloads', ...shown.map(({ head }) => head)], body };
}

function percentOf({ median, low, high }: Mean): string {
  return percentWithInterval({ median: 100 * median, low: 100 * low, high: 100 * high });
}

/** Each engine's own figure of the os workloads. */
export function osTable(results: Results): TextTable {
  const list = rows(results).filter((row) => row.group === 'os');
  const engines = engineNames(results).filter((name) => list.some((row) => row.cells.has(name)));
  const body = list.map((row) => [...sizeOf(row), ...engines.map((name) => medianOf(row, name))]);
  return { head: ['workload', 'size', ...engines], body };
}

/** What policies promise, and what was measured: of the engines that have policies. */
export function policyTable(results: Results): TextTable {
  const cells = results.cells.filter((cell) => cell.promise && cell.status !== 'skipped');
  const body = cells.map((cell) => [
    cell.workload,
    cell.engine,
    medianText(cell),
    cell.ci ? `${figure(cell.ci[0])} to ${figure(cell.ci[1])}` : '—',
    promiseText(cell),
    cell.promise?.kept === null ? '—' : cell.promise?.kept ? 'kept' : 'not kept',
  ]);
  return { head: ['workload', 'engine', 'figure', '95 % interval', 'promised', ''], body };
}

function promiseText({ promise, unit }: Cell): string {
  if (!promise) return '—';
  const { low, high } = promise;
  return low === null ? `at most ${figure(high)} ${unit}` : `${figure(low)} to ${figure(high)} ${unit}`;
}

function sizeOf(row: Row): string[] {
  return [row.workload, sizeText(row.vms, row.vcpus)];
}

function medianOf(row: Row, engine: string): string {
  const cell = row.cells.get(engine);
  return cell ? medianText(cell) : 'not measured';
}
