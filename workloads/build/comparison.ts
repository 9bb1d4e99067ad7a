import { median, quantile } from 'simple-statistics';

/** One figure of the native image beside the same of an ordinary program; more is better in both. */
export interface Comparison {
  workload: string;
  against: string;
  unit: string;
  /** Least ratio of the medians that is accepted. */
  limit: number;
  /** Both sides of each round, measured one after the other. */
  pairs: { bare: number; other: number }[];
}

/** Median of the paired ratios, and the middle half of them. */
export function ratio({ pairs }: Comparison): { median: number; low: number; high: number } {
  const ratios = pairs.map(({ bare, other }) => bare / other);
  return { median: median(ratios), low: quantile(ratios, 0.25), high: quantile(ratios, 0.75) };
}

/** Rounds that fall behind are repeated so often, all of them counting: a busy host shows single rounds wrong. */
const BATCHES = 3;

/** Pairs until the native image is level by their median, at most BATCHES times the rounds. */
export async function compare(
  about: Omit<Comparison, 'pairs'>,
  rounds: number,
  bare: Side,
  other: Side,
): Promise<Comparison> {
  const comparison: Comparison = { ...about, pairs: [] };
  for (let batch = 0; batch < BATCHES; batch++) {
    comparison.pairs.push(...(await pairUp(rounds, bare, other)));
    if (ratio(comparison).median >= comparison.limit) break;
  }
  return comparison;
}

/** One measurement; the round tells what it may repeat and what not. */
export type Side = (round: number) => Promise<number>;

/** Runs both sides in turn; who goes first changes from round to round, so that drift and warm caches favour nobody. */
async function pairUp(rounds: number, bare: Side, other: Side): Promise<Comparison['pairs']> {
  const pairs = [];
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 0) {
      const first = await bare(round);
      pairs.push({ bare: first, other: await other(round) });
    } else {
      const first = await other(round);
      pairs.push({ bare: await bare(round), other: first });
    }
  }
  return pairs;
}
