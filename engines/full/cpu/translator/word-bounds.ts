import { type Bound, type Knowledge, type Linear, termsKey } from './affine.js';
import type { Movement, Path, WordPath } from './strips.js';

const LIMITS = { words: 6, step: 512 } as const;

/** How a value moves with a loop's iterations; undefined: not so simply that it could be checked for many of them. */
export function pathOf({ terms, low, high }: Linear, moves: readonly (Movement | undefined)[]): Path | undefined {
  let [back, forth] = [0, 0];
  const steps: { register: number; factor: number }[] = [];
  for (const [register, factor] of terms) {
    const move = moves[register];
    if (move === undefined || (move.steps.length > 0 && factor < 0)) return undefined;
    back -= Math.min(0, factor * move.low, factor * move.high);
    forth += Math.max(0, factor * move.low, factor * move.high);
    for (const step of move.steps) steps.push({ register: step.register, factor: step.factor * factor });
  }
  if (back + forth > LIMITS.step || steps.length > 1) return undefined;
  return { terms, low, high, back, forth, steps };
}

/**
 * Compilers count in words, and extend them where they are an address's part: an index is what it seems to be as long as it
 * does not overflow. Collects what a strip must check of that before it is entered.
 */
export class Bounds {
  private readonly found = new Set<Bound>();

  constructor(
    private readonly end: Knowledge,
    private readonly moves: readonly (Movement | undefined)[],
  ) {}

  /** A value is needed, and that what it is made of moves as it does. */
  need(value: Linear, { steps }: Path): void {
    this.add(value);
    for (const { register } of steps) this.add(this.end[register]);
  }

  /** undefined: they are too many, or cannot be checked. */
  paths(): WordPath[] | undefined {
    const paths = new Map<string, WordPath>();
    for (const { value, least } of this.found) {
      // which grows
      const path = pathOf(value, this.moves);
      if (path === undefined) return undefined;
      this.need(value, path);
      const known = paths.get(termsKey(value));
      if (known === undefined) {
        paths.set(termsKey(value), { ...path, least });
        continue;
      }
      known.low = Math.min(known.low, path.low);
      known.high = Math.max(known.high, path.high);
      known.least = Math.max(known.least, least);
    }
    const all = [...paths.values()];
    const needed = all.filter((path) => !all.some((other) => implies(other, path)));
    return needed.length > LIMITS.words ? undefined : needed;
  }

  /** Whether a value is what it is taken for wherever all that is needed is. After paths(). */
  include(value: Linear): boolean {
    return [...this.boundsOf(value)].every((bound) => this.found.has(bound));
  }

  private add(value: Linear | undefined): void {
    if (value !== undefined) for (const bound of this.boundsOf(value)) this.found.add(bound);
  }

  /** Its own, and those of the registers that it is made of, as they move. */
  private *boundsOf(value: Linear): Iterable<Bound> {
    yield* value.bounds ?? [];
    for (const register of value.terms.keys()) yield* this.end[register]?.bounds ?? [];
  }
}

/** Whether a path is the other one an iteration later: that is checked for one iteration more than there are. */
function implies(path: Path & { least: number }, later: WordPath): boolean {
  const [step] = path.steps;
  if (step === undefined || path === later) return false;
  const terms = new Map(path.terms);
  terms.set(step.register, (terms.get(step.register) ?? 0) + step.factor);
  const same = termsKey({ ...path, terms }) === termsKey(later);
  return same && later.low >= path.low && later.high <= path.high && later.least <= path.least;
}
