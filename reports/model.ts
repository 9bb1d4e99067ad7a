/**
 * What all report formats show, derived from a results file alone: every format lays out the same rows, so that a table,
 * a chart and the page can never tell different stories.
 */
import type { Cell, EngineInfo, Results } from '../harness/results.js';

/** The engine that percent of bare metal refers to, and its build without vectorization. */
export const BARE = 'bare';
export const BARE_SCALAR = 'bare-novec';

/** One workload at one number of VMs and vCPUs, with what each engine made of it (null: not measured). */
export interface Row {
  workload: string;
  group: string;
  vms: number;
  vcpus: number;
  cells: Map<string, Cell>;
}

export type Axis = 'vms' | 'vcpus';

/** How one engine's figure grows along an axis, the other count being held at its least. */
export interface ScalingSeries {
  engine: string;
  points: { count: number; cell: Cell; relative: number | null; low: number | null; high: number | null }[];
}

export interface Scaling {
  axis: Axis;
  workload: string;
  counts: number[];
  series: ScalingSeries[];
}

/** Percent of bare metal over a set of workloads. The range is over the workloads: it is no confidence interval. */
export interface Summary {
  engine: string;
  label: string;
  geometricMean: number;
  least: { workload: string; percent: number };
  most: { workload: string; percent: number };
  workloads: number;
  missing: string[];
}

/** Which groups are averaged together; os is never part of a mean: its figures have no bare-metal percent. */
export const SUMMARY_GROUPS: { label: string; groups: string[] }[] = [
  { label: 'CPU and memory', groups: ['cpu', 'memory'] },
  { label: 'disk', groups: ['block'] },
  { label: 'network', groups: ['net'] },
  { label: 'mixed', groups: ['mixed'] },
  { label: 'Linux program', groups: ['linux'] },
];

/** Groups whose figures are each engine's own: a percent of bare metal would make no sense. */
export const isCompared = ({ group }: Pick<Row, 'group'>): boolean => group !== 'os' && group !== 'policy';

export function groupOf(workload: string): string {
  return workload.split('/', 1)[0] ?? workload;
}

/** Engines with at least one cell, in the order of the file, and those that could not run. */
export function engineNames(results: Results): string[] {
  const names = new Set(results.engines.map((engine) => engine.name));
  for (const cell of results.cells) names.add(cell.engine);
  return [...names];
}

export function engineInfo(results: Results, name: string): EngineInfo | undefined {
  return results.engines.find((engine) => engine.name === name);
}

/** All rows in the order of the file. */
export function rows(results: Results): Row[] {
  const byKey = new Map<string, Row>();
  for (const cell of results.cells) {
    const key = `${cell.workload} ${cell.vms} ${cell.vcpus}`;
    let row = byKey.get(key);
    if (!row) {
      row = {
        workload: cell.workload,
        group: groupOf(cell.workload),
        vms: cell.vms,
        vcpus: cell.vcpus,
        cells: new Map(),
      };
      byKey.set(key, row);
    }
    row.cells.set(cell.engine, cell);
  }
  return [...byKey.values()];
}

/** For each workload the row with the fewest VMs, then vCPUs: the plain comparison, before any scaling. */
export function headlineRows(results: Results): Row[] {
  const least = new Map<string, Row>();
  for (const row of rows(results)) {
    const best = least.get(row.workload);
    if (!best || row.vms < best.vms || (row.vms === best.vms && row.vcpus < best.vcpus)) least.set(row.workload, row);
  }
  return [...least.values()];
}

/** Rows whose percent of bare metal makes sense: some engine has one, or would have one had it not failed. */
export function comparableRows(results: Results): Row[] {
  return headlineRows(results).filter(isCompared);
}

export function geometricMean(values: number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Geometric means of each virtualizing engine by kind of work, over the headline rows. */
export function summaries(results: Results): Summary[] {
  const comparable = comparableRows(results);
  const engines = engineNames(results).filter((name) => name !== BARE && name !== BARE_SCALAR);
  return engines.flatMap((engine) =>
    SUMMARY_GROUPS.flatMap(({ label, groups }) => {
      const summary = summarize(
        engine,
        label,
        comparable.filter((row) => groups.includes(row.group)),
      );
      return summary ? [summary] : [];
    }),
  );
}

function summarize(engine: string, label: string, group: Row[]): Summary | null {
  const measured: { workload: string; percent: number }[] = [];
  const missing: string[] = [];
  for (const row of group) {
    const percent = row.cells.get(engine)?.percentOfBareMetal?.median;
    if (percent !== undefined && percent > 0) measured.push({ workload: row.workload, percent });
    else missing.push(row.workload);
  }
  if (measured.length === 0) return null;
  measured.sort((a, b) => a.percent - b.percent);
  return {
    engine,
    label,
    geometricMean: geometricMean(measured.map((each) => each.percent)),
    least: measured[0] as Summary['least'],
    most: measured[measured.length - 1] as Summary['most'],
    workloads: measured.length,
    missing,
  };
}

/** Every throughput measured at two or more counts along the axis; the time of one operation does not add up over VMs. */
export function scaling(results: Results, axis: Axis): Scaling[] {
  const other: Axis = axis === 'vms' ? 'vcpus' : 'vms';
  const all = rows(results).filter((row) => [...row.cells.values()].some((cell) => cell.higherIsBetter));
  const workloads = [...new Set(all.map((row) => row.workload))];
  return workloads.flatMap((workload) => {
    const mine = all.filter((row) => row.workload === workload);
    const held = Math.min(...mine.map((row) => row[other]));
    const along = mine.filter((row) => row[other] === held).sort((a, b) => a[axis] - b[axis]);
    if (along.length < 2) return [];
    const series = engineNames(results).flatMap((engine) => scalingSeries(engine, axis, along));
    return [{ axis, workload, counts: along.map((row) => row[axis]), series }];
  });
}

function scalingSeries(engine: string, axis: Axis, along: Row[]): ScalingSeries[] {
  const cells = along.flatMap((row) => {
    const cell = row.cells.get(engine);
    return cell ? [{ count: row[axis], cell }] : [];
  });
  if (cells.length < 2) return [];
  const base = cells.find(({ cell }) => cell.median)?.cell.median ?? null;
  const points = cells.map(({ count, cell }) => ({
    count,
    cell,
    relative: ratio(cell.median, base),
    low: ratio(cell.ci?.[0] ?? null, base),
    high: ratio(cell.ci?.[1] ?? null, base),
  }));
  return [{ engine, points }];
}

function ratio(value: number | null, base: number | null): number | null {
  return value === null || !base ? null : value / base;
}

/** Cells that have no figure, with the reason: never left out silently. */
export function troubles(results: Results): Cell[] {
  return results.cells.filter((cell) => cell.status !== 'ok');
}
