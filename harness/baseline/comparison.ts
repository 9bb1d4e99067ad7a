import { type Estimate, pairedPercent } from '../statistics.js';

/** One figure of the native image beside the same of an ordinary program; more is better in both. */
export interface Comparison {
  workload: string;
  against: string;
  unit: string;
  /** Least median of the ratios that is accepted. */
  limit: number;
  /** Both sides of each round, measured one after the other. */
  pairs: { bare: number; other: number }[];
}

/** Of the bootstrap: any constant, so that the same pairs always give the same interval. */
const SEED = 1;

/** Median of the paired ratios and its 95 % interval. */
export function ratio({ pairs }: Comparison): Estimate {
  const percent = pairedPercent(
    pairs.map(({ bare }) => bare),
    pairs.map(({ other }) => other),
    true,
    SEED,
  );
  if (percent === null) throw new Error('a measurement gave no figure above 0');
  return { median: percent.median / 100, low: percent.low / 100, high: percent.high / 100 };
}

/**
 * ok: level by the median; slow: behind, and the whole interval says so; undecided: behind by the median, but the host is
 * too noisy to tell (which is no fault of the program's).
 */
export type Judgement = 'ok' | 'slow' | 'undecided';

export function judge(comparison: Comparison): Judgement {
  const { median, high } = ratio(comparison);
  if (median >= comparison.limit) return 'ok';
  return high < comparison.limit ? 'slow' : 'undecided';
}

/** Whether more pairs could change the judgement: the interval holds the limit. */
function open(comparison: Comparison): boolean {
  const { low, high } = ratio(comparison);
  return low < comparison.limit && comparison.limit <= high;
}

/** Rounds that do not decide are repeated so often, all of them counting: a busy host shows single rounds wrong. */
const BATCHES = 3;

/** One measurement; the round tells what it may repeat and what not. */
export type Side = (round: number) => Promise<number>;

export interface Sides {
  bare: Side;
  other: Side;
  /** Before each batch: starts the processes of both sides anew, since where the host puts a process's pages stays with it. */
  renew?: () => Promise<void>;
}

/** Pairs until the interval excludes the limit, at most BATCHES times the rounds. */
export async function compare(about: Omit<Comparison, 'pairs'>, rounds: number, sides: Sides): Promise<Comparison> {
  const comparison: Comparison = { ...about, pairs: [] };
  for (let batch = 0; batch < BATCHES; batch++) {
    await sides.renew?.();
    comparison.pairs.push(...(await pairUp(rounds, sides)));
    if (!open(comparison)) break;
  }
  return comparison;
}

/** Runs both sides in turn; who goes first changes from round to round, so that drift and warm caches favour nobody. */
async function pairUp(rounds: number, { bare, other }: Sides): Promise<Comparison['pairs']> {
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
