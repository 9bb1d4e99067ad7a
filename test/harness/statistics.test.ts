import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '#harness/random.js';
import {
  estimate,
  geometricMeanOfMedians,
  intervalsApart,
  normalCdf,
  pairedPercent,
  studentQuantile975,
} from '#harness/statistics.js';

describe('published values', () => {
  // Student's t, two-sided 95 %: NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2.
  it.each([
    [1, 12.706],
    [2, 4.303],
    [3, 3.182],
    [4, 2.776],
    [5, 2.571],
    [9, 2.262],
    [19, 2.093],
    [29, 2.045],
    [100, 1.984],
  ])('t(0.975, %i) = %f', (df, t) => expect(Math.abs(studentQuantile975(df) / t - 1)).toBeLessThan(0.005));

  // Φ: Abramowitz and Stegun, table 26.1; the far tail: erfc to 10 digits.
  it.each([
    [0, 0.5],
    [-1, 0.1586552539],
    [-1.96, 0.0249978951],
    [-3, 0.001349898],
    [-4.5, 3.3976731e-6],
    [1.6448536, 0.95],
  ])('Φ(%f) = %f', (x, p) => expect(Math.abs(normalCdf(x) / p - 1)).toBeLessThan(1e-5));
});

describe('the geometric mean of medians', () => {
  it('is that of the workloads’ medians; of one workload its own estimate', () => {
    expect(
      geometricMeanOfMedians(
        [
          [2, 2, 2],
          [8, 8, 8],
        ],
        1,
      ),
    ).toEqual({
      median: expect.closeTo(4, 12),
      low: expect.closeTo(4, 12),
      high: expect.closeTo(4, 12),
    });
    expect(geometricMeanOfMedians([[3, 1, 2, 5, 4]], 1)).toEqual(estimate([3, 1, 2, 5, 4], 1));
  });

  it('is absent without ratios above 0', () => {
    expect(geometricMeanOfMedians([], 1)).toBeNull();
    expect(geometricMeanOfMedians([[1], []], 1)).toBeNull();
    expect(geometricMeanOfMedians([[1], [0]], 1)).toBeNull();
  });

  it('has an interval that holds the truth about 95 times of 100', () => {
    const random = seededRandom(3);
    // 6 workloads of 5 pairs each, ratios skewed around a median of 2.
    const drawn = () => 2 * Math.exp(0.1 * (random() + random() + random() - 1.5));
    let held = 0;
    for (let run = 0; run < 200; run++) {
      const groups = Array.from({ length: 6 }, () => Array.from({ length: 5 }, drawn));
      const found = geometricMeanOfMedians(groups, run);
      if (found !== null && found.low <= 2 && found.high >= 2) held++;
    }
    expect(held).toBeGreaterThanOrEqual(184);
    expect(held).toBeLessThan(200);
  });
});

describe('estimate', () => {
  it('is the median, and for 5 samples the range', () => {
    expect(estimate([3, 1, 2, 5, 4], 1)).toEqual({ median: 3, low: 1, high: 5 });
    expect(estimate([4, 1, 3, 2], 1)?.median).toBe(2.5);
    expect(estimate([7], 1)).toEqual({ median: 7, low: 7, high: 7 });
  });

  it('is absent where there is nothing to estimate', () => {
    expect(estimate([], 1)).toBeNull();
    expect(estimate([1, Number.NaN], 1)).toBeNull();
    expect(estimate([1, Number.POSITIVE_INFINITY], 1)).toBeNull();
  });

  it('is the same for the same seed and never outside of the samples', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1e9, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 30 }),
        fc.nat(),
        (xs, seed) => {
          const found = estimate(xs, seed);
          expect(found).toEqual(estimate([...xs].reverse(), seed));
          if (found === null) throw new Error('no estimate');
          expect(found.low).toBeGreaterThanOrEqual(Math.min(...xs));
          expect(found.high).toBeLessThanOrEqual(Math.max(...xs));
          expect(found.low).toBeLessThanOrEqual(found.median);
          expect(found.high).toBeGreaterThanOrEqual(found.median);
        },
      ),
      { numRuns: 50 },
    );
  });

  // Distributions whose median is known; the interval must hold it in about 95 % of cases. 5 samples cannot do better
  // than 1 - 2/2^5 = 93.75 %.
  const distributions = {
    exponential: { median: Math.LN2, draw: (u: number) => -Math.log(1 - u) },
    'log-logistic (skewed, as times are)': { median: 1, draw: (u: number) => Math.exp(logit(u)) },
  };
  const logit = (u: number) => Math.log(u / (1 - u));
  for (const [name, { median, draw }] of Object.entries(distributions)) {
    it.each([5, 7])(`covers the median of a ${name} distribution with %i samples`, (n) => {
      const random = seededRandom(n);
      const runs = 600;
      let held = 0;
      for (let i = 0; i < runs; i++) {
        const found = estimate(
          Array.from({ length: n }, () => draw(random() || 0.5)),
          i,
        );
        if (found !== null && found.low <= median && median <= found.high) held++;
      }
      expect(held / runs).toBeGreaterThan(0.92);
      expect(held / runs).toBeLessThan(0.995);
    });
  }
});

describe('pairedPercent', () => {
  it('is exact where the ratio is, whatever both sides do together', () => {
    const base = [100, 50, 200, 75, 10];
    const half = base.map((value) => value / 2);
    expect(pairedPercent(half, base, true, 1)).toEqual({ median: 50, low: 50, high: 50, pairs: 5 });
    expect(pairedPercent(half, base, false, 1)).toEqual({ median: 200, low: 200, high: 200, pairs: 5 });
  });

  it('is absent, never infinite, where a figure is zero or missing', () => {
    expect(pairedPercent([1], [0], true, 1)).toBeNull();
    expect(pairedPercent([0], [1], false, 1)).toBeNull();
    expect(pairedPercent([], [], true, 1)).toBeNull();
    expect(pairedPercent([Number.NaN], [1], true, 1)).toBeNull();
    expect(() => pairedPercent([1, 2], [1], true, 1)).toThrow(RangeError);
  });
});

it('intervals that touch are not apart', () => {
  expect(intervalsApart({ low: 1, high: 2 }, { low: 2, high: 3 })).toBe(false);
  expect(intervalsApart({ low: 1, high: 2 }, { low: 2.1, high: 3 })).toBe(true);
  expect(intervalsApart({ low: 2.1, high: 3 }, { low: 1, high: 2 })).toBe(true);
});
