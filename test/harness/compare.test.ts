import { describe, expect, it } from 'vitest';
import { compareResults, isRegression } from '#harness/compare.js';
import type { Cell, Results } from '#harness/results.js';
import { sampleCell, sampleResults } from '../support/sample-results.js';

const percent = (median: number, spread = 1) => ({ median, low: median - spread, high: median + spread, pairs: 5 });
const file = (cell: Partial<Cell>, over: Partial<Results> = {}) =>
  sampleResults({ ...over, cells: [sampleCell(cell)] });
const verdict = (base: Results, now: Results, threshold = 5) => compareResults(base, now, threshold)[0].verdict;

describe('compareResults', () => {
  it('calls a change real only beyond the threshold and with intervals apart', () => {
    const base = file({ engine: 'full', percentOfBareMetal: percent(50) });
    const now = (median: number, spread?: number) =>
      file({ engine: 'full', percentOfBareMetal: percent(median, spread) });
    expect(verdict(base, now(40))).toBe('regression');
    expect(verdict(base, now(60))).toBe('improvement');
    expect(verdict(base, now(48.9))).toBe('same'); // intervals overlap
    expect(verdict(base, now(47.8), 5)).toBe('same'); // -4.4 %, intervals apart
    expect(verdict(base, now(40, 12))).toBe('same'); // -20 %, intervals overlap
    expect(verdict(base, now(40), 30)).toBe('same');
  });

  it('knows that of a time less is better', () => {
    const time = (median: number) =>
      file({
        workload: 'os/trap',
        metric: 'time-per-op',
        unit: 'ns',
        higherIsBetter: false,
        percentOfBareMetal: null,
        median,
        ci: [median - 1, median + 1],
      });
    expect(verdict(time(100), time(150))).toBe('regression');
    expect(verdict(time(100), time(70))).toBe('improvement');
    expect(compareResults(time(100), time(50), 5)[0].changePct).toBeCloseTo(100);
  });

  it('compares figures that are no percent only on the same kind of host', () => {
    const slow = file({ median: 50, ci: [49, 51] }, { host: { ...sampleResults().host, cpu: 'Another CPU' } });
    expect(verdict(file({}), slow)).toBe('not comparable');
    expect(verdict(file({}), file({ median: 50, ci: [49, 51] }))).toBe('regression');
    const other = file(
      { engine: 'full', percentOfBareMetal: percent(20) },
      { host: { ...sampleResults().host, cpu: 'Another CPU' } },
    );
    expect(verdict(file({ engine: 'full', percentOfBareMetal: percent(50) }), other)).toBe('regression');
  });

  it('counts a cell that fails now as a regression; one that is missing it only tells', () => {
    const failed = file({ status: 'failed', median: null, ci: null, reason: 'crashed', percentOfBareMetal: null });
    expect(compareResults(file({}), failed, 5).map(isRegression)).toEqual([true]);
    expect(verdict(failed, file({}))).toBe('works now');
    expect(verdict(failed, failed)).toBe('not comparable');
    const missing = compareResults(file({}), file({ vms: 2 }), 5);
    expect(missing.map(({ verdict: v }) => v)).toEqual(['missing']);
    expect(missing.some(isRegression)).toBe(false);
  });
});
