/**
 * Two results files, cell by cell. What can be is compared as percent of bare metal, since that was measured in pairs and
 * holds across hosts; other figures (os/…, bare metal itself) only between runs on the same kind of host.
 */
import { BASELINE, SCALAR_BASELINE } from './plan.js';
import { type Cell, cellKey, type Results } from './results.js';
import { intervalsApart } from './statistics.js';

export type Verdict = 'regression' | 'improvement' | 'same' | 'fails now' | 'works now' | 'missing' | 'not comparable';

export interface Comparison {
  cell: Cell;
  verdict: Verdict;
  /** `%` of bare metal, or the cell's own unit. */
  unit: string;
  base: number | null;
  now: number | null;
  /** How much better (above 0) or worse the new figure is, percent of the base. */
  changePct: number | null;
}

/** Every cell of the base against the same cell of the new run. `thresholdPct`: changes up to it are `same`. */
export function compareResults(base: Results, now: Results, thresholdPct: number): Comparison[] {
  const found = new Map(now.cells.map((cell) => [cellKey(cell), cell]));
  const sameHost = base.host.cpu === now.host.cpu && base.host.cores === now.host.cores;
  return base.cells.map((cell) => compareCells(cell, found.get(cellKey(cell)), thresholdPct, sameHost));
}

/** Whether a comparison should stop a pipeline. */
export function isRegression({ verdict }: Comparison): boolean {
  return verdict === 'regression' || verdict === 'fails now';
}

function compareCells(base: Cell, now: Cell | undefined, thresholdPct: number, sameHost: boolean): Comparison {
  const bare = { cell: base, unit: base.unit, base: base.median, now: now?.median ?? null, changePct: null };
  if (now === undefined) return { ...bare, verdict: 'missing' };
  if (base.status === 'ok' && now.status === 'failed') return { ...bare, verdict: 'fails now' };
  if (base.status === 'failed' && now.status === 'ok') return { ...bare, verdict: 'works now' };
  const figures = comparableFigures(base, now, sameHost);
  if (figures === null) return { ...bare, verdict: 'not comparable' };
  const { unit, before, after, higherIsBetter } = figures;
  const ratio = higherIsBetter ? after.median / before.median : before.median / after.median;
  const changePct = 100 * (ratio - 1);
  const real = Math.abs(changePct) > thresholdPct && intervalsApart(before, after);
  const verdict = !real ? 'same' : changePct < 0 ? 'regression' : 'improvement';
  return { cell: base, verdict, unit, base: before.median, now: after.median, changePct };
}

interface Figure {
  median: number;
  low: number;
  high: number;
}

function comparableFigures(
  base: Cell,
  now: Cell,
  sameHost: boolean,
): { unit: string; before: Figure; after: Figure; higherIsBetter: boolean } | null {
  const isReference = base.engine === BASELINE || base.engine === SCALAR_BASELINE;
  if (!isReference && base.percentOfBareMetal !== null && now.percentOfBareMetal !== null) {
    return {
      unit: '% of bare metal',
      before: base.percentOfBareMetal,
      after: now.percentOfBareMetal,
      higherIsBetter: true,
    };
  }
  const before = absolute(base);
  const after = absolute(now);
  if (!sameHost || before === null || after === null || base.unit !== now.unit) return null;
  return { unit: base.unit, before, after, higherIsBetter: base.higherIsBetter };
}

function absolute(cell: Cell): Figure | null {
  if (cell.status !== 'ok' || cell.median === null || cell.median <= 0 || cell.ci === null) return null;
  return { median: cell.median, low: cell.ci[0], high: cell.ci[1] };
}
