/**
 * Medians with intervals. All of it is about few samples (5 to 30) of skewed distributions, so nothing here assumes a
 * normal one. A statistic that cannot be had is null: never 0, NaN or infinity.
 */
import { medianSorted, probit, quantileSorted } from 'simple-statistics';
import { type Random, seededRandom } from './random.js';

export interface Estimate {
  median: number;
  low: number;
  high: number;
}

const RESAMPLES = 4000;

/**
 * Median and its bootstrap 95 % interval.
 *
 * The percentile bootstrap is too narrow for small n (the median of 7: 87.5 % coverage). It is expanded as Hesterberg
 * proposes ("What Teachers Should Know About the Bootstrap", 2015, section 5.3): the tails are cut at
 * Φ(-√(n/(n-1)) · t(0.975, n-1)) instead of 2.5 %. Coverage is then 94 to 98 % for 5 and more samples, whatever the
 * distribution; with 5 the interval is the range (93.75 % is all that 5 samples can give).
 * @returns null when there is no sample or one that is not finite
 */
export function estimate(samples: readonly number[], seed: number): Estimate | null {
  if (samples.length === 0 || !samples.every(Number.isFinite)) return null;
  const sorted = Float64Array.from(samples).sort();
  const median = medianSorted([...sorted]);
  if (sorted[0] === sorted[sorted.length - 1]) return { median, low: median, high: median };
  const medians = bootstrapMedians(sorted, seededRandom(seed));
  const tail = expandedTail(samples.length);
  return { median, low: quantileSorted(medians, tail), high: quantileSorted(medians, 1 - tail) };
}

/**
 * Percent of a reference that `values` reach, of samples taken in pairs (same round): median of the pairs' ratios and
 * its interval by resampling pairs, so that what moved both samples of a round cancels.
 * @returns null when there is no pair or a figure that is not above 0
 */
export function pairedPercent(
  values: readonly number[],
  reference: readonly number[],
  higherIsBetter: boolean,
  seed: number,
): (Estimate & { pairs: number }) | null {
  if (values.length !== reference.length) throw new RangeError('pairs need as many samples on either side');
  if (![...values, ...reference].every((value) => Number.isFinite(value) && value > 0)) return null;
  const ratios = values.map((value, i) => 100 * (higherIsBetter ? value / reference[i] : reference[i] / value));
  const found = estimate(ratios, seed);
  return found === null ? null : { ...found, pairs: ratios.length };
}

/**
 * Geometric mean over workloads of the medians of paired ratios, and its interval: the pairs of every workload are
 * resampled by themselves. One workload's interval is that of its median; of more, Student's t has as many more degrees
 * of freedom.
 * @param groups ratios of the pairs, by workload; the same unit as the answer's
 * @returns null when there is none, or a ratio is not above 0
 */
export function geometricMeanOfMedians(groups: readonly (readonly number[])[], seed: number): Estimate | null {
  if (groups.length === 0 || !groups.every((group) => group.length > 0 && group.every((x) => x > 0 && x < Infinity)))
    return null;
  if (groups.length === 1) return estimate(groups[0], seed);
  const random = seededRandom(seed);
  const logs = new Float64Array(RESAMPLES);
  let mean = 0;
  for (const group of groups) {
    const sorted = Float64Array.from(group, Math.log).sort();
    mean += medianSorted([...sorted]) / groups.length;
    drawMedians(sorted, random).forEach((median, i) => {
      logs[i] += median / groups.length;
    });
  }
  const least = Math.min(...groups.map((group) => group.length));
  const freedom = groups.reduce((sum, group) => sum + group.length - 1, 0);
  const tail = least < 2 ? 0 : normalCdf(-Math.sqrt(least / (least - 1)) * studentQuantile975(freedom));
  const resampled = [...logs.sort()];
  return {
    median: Math.exp(mean),
    low: Math.exp(quantileSorted(resampled, tail)),
    high: Math.exp(quantileSorted(resampled, 1 - tail)),
  };
}

/** Whether two intervals have no point in common. */
export function intervalsApart(a: { low: number; high: number }, b: { low: number; high: number }): boolean {
  return a.high < b.low || b.high < a.low;
}

function bootstrapMedians(sorted: Float64Array, random: Random): number[] {
  return [...drawMedians(sorted, random).sort()];
}

/** Medians of resamples with replacement. Counts how often each of the sorted values was drawn: no sorting inside. */
function drawMedians(sorted: Float64Array, random: Random): Float64Array {
  const n = sorted.length;
  const drawn = new Uint16Array(n);
  const medians = new Float64Array(RESAMPLES);
  for (let i = 0; i < RESAMPLES; i++) {
    drawn.fill(0);
    for (let j = 0; j < n; j++) drawn[Math.floor(random() * n)]++;
    medians[i] = (sorted[rankOf((n - 1) >> 1, drawn)] + sorted[rankOf(n >> 1, drawn)]) / 2;
  }
  return medians;
}

/** Index of the value that stands at `place` in a resample. */
function rankOf(place: number, drawn: Uint16Array): number {
  let index = 0;
  for (let passed = drawn[0]; passed <= place; passed += drawn[index]) index++;
  return index;
}

function expandedTail(n: number): number {
  if (n < 2) return 0;
  return normalCdf(-Math.sqrt(n / (n - 1)) * studentQuantile975(n - 1));
}

/** Quantile 0.975 of Student's t. Exact for 1 and 2 degrees of freedom, else Cornish-Fisher's expansion (< 0.5 % off). */
export function studentQuantile975(df: number): number {
  if (df === 1) return Math.tan(Math.PI * 0.475);
  const p = 0.975;
  if (df === 2) return (2 * p - 1) / Math.sqrt(2 * p * (1 - p));
  const z = probit(p);
  const g1 = (z ** 3 + z) / 4;
  const g2 = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const g3 = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  const g4 = (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92160;
  return z + g1 / df + g2 / df ** 2 + g3 / df ** 3 + g4 / df ** 4;
}

/** Φ(x) for x <= 0, also far out: continued fraction of Mills' ratio beyond 3, the power series of erf before. */
export function normalCdf(x: number): number {
  if (x > 0) return 1 - normalCdf(-x);
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  if (x < -3) {
    let fraction = 0;
    for (let k = 60; k > 0; k--) fraction = k / (-x + fraction);
    return density / (-x + fraction);
  }
  let term = x;
  let sum = x;
  for (let k = 1; k < 60; k++) {
    term *= (x * x) / (2 * k + 1);
    sum += term;
  }
  return 0.5 + density * sum;
}
