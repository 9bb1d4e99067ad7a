/**
 * Floating point by its definition: a result is the representable neighbour of the exact (rational) value that the
 * rounding mode names. Neighbours are found by bisection over all representable numbers; nothing is shifted or aligned.
 */

export interface Shape {
  width: number;
  fraction: number;
}
export const SINGLE: Shape = { width: 32, fraction: 23 };
export const DOUBLE: Shape = { width: 64, fraction: 52 };

export const NX = 1;
export const UF = 2;
export const OF = 4;
export const DZ = 8;
export const NV = 16;

export interface Outcome {
  bits: bigint;
  flags: number;
}

/** numerator / denominator, the latter positive. */
interface Rational {
  n: bigint;
  d: bigint;
}

const exponentBits = ({ width, fraction }: Shape): number => width - fraction - 1;
const bias = (shape: Shape): number => 2 ** (exponentBits(shape) - 1) - 1;
const infinityOf = (shape: Shape): bigint => ((1n << BigInt(exponentBits(shape))) - 1n) << BigInt(shape.fraction);
const signOf = (shape: Shape): bigint => 1n << BigInt(shape.width - 1);
export const nanOf = (shape: Shape): bigint => infinityOf(shape) | (1n << BigInt(shape.fraction - 1));

const twoTo = (exponent: number): Rational =>
  exponent >= 0 ? { n: 1n << BigInt(exponent), d: 1n } : { n: 1n, d: 1n << BigInt(-exponent) };
const times = (a: Rational, b: Rational): Rational => ({ n: a.n * b.n, d: a.d * b.d });
const plus = (a: Rational, b: Rational): Rational => ({ n: a.n * b.d + b.n * a.d, d: a.d * b.d });
const over = (a: Rational, b: Rational): Rational =>
  b.n < 0n ? { n: -a.n * b.d, d: a.d * -b.n } : { n: a.n * b.d, d: a.d * b.n };
const negated = (a: Rational): Rational => ({ n: -a.n, d: a.d });
const order = (a: Rational, b: Rational): number => {
  const difference = a.n * b.d - b.n * a.d;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
};

/** Value of a magnitude's bits; those of infinity stand for the next power of two. */
function magnitude(bits: bigint, shape: Shape): Rational {
  const exponent = Number(bits >> BigInt(shape.fraction));
  const fraction = bits & ((1n << BigInt(shape.fraction)) - 1n);
  const significand = exponent === 0 ? fraction : fraction | (1n << BigInt(shape.fraction));
  return times({ n: significand, d: 1n }, twoTo(Math.max(exponent, 1) - bias(shape) - shape.fraction));
}

const isNan = (bits: bigint, shape: Shape): boolean => (bits & ~signOf(shape)) > infinityOf(shape);
const isSignaling = (bits: bigint, shape: Shape): boolean =>
  isNan(bits, shape) && ((bits >> BigInt(shape.fraction - 1)) & 1n) === 0n;
const isInfinite = (bits: bigint, shape: Shape): boolean => (bits & ~signOf(shape)) === infinityOf(shape);
const isNegative = (bits: bigint, shape: Shape): boolean => (bits & signOf(shape)) !== 0n;
const isZero = (bits: bigint, shape: Shape): boolean => (bits & ~signOf(shape)) === 0n;
const numberOf = (bits: bigint, shape: Shape): Rational => {
  const value = magnitude(bits & ~signOf(shape), shape);
  return isNegative(bits, shape) ? negated(value) : value;
};

/** How a candidate compares with the exact magnitude: -1, 0, 1. */
type Compare = (candidate: Rational) => number;

/** The neighbour of the exact value among all magnitudes of a shape, infinity's bits included as the next power. */
function neighbour(compare: Compare, negative: boolean, shape: Shape, mode: number): { bits: bigint; exact: boolean } {
  let low = 0n;
  let high = infinityOf(shape);
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (compare(magnitude(middle, shape)) <= 0) low = middle;
    else high = middle;
  }
  if (compare(magnitude(low, shape)) === 0) return { bits: low, exact: true };
  const halfway = times(plus(magnitude(low, shape), magnitude(high, shape)), { n: 1n, d: 2n });
  const side = -compare(halfway); // where the exact value lies: above (1), at (0), below (-1)
  const nearest = side > 0 || (side === 0 && (mode === 4 || (low & 1n) === 1n));
  const away = mode === 0 || mode === 4 ? nearest : mode === 2 ? negative : mode === 3 ? !negative : false;
  return { bits: away ? high : low, exact: false };
}

/** Rounds an exact, nonzero value that is known by comparison. */
function roundBy(compare: Compare, negative: boolean, shape: Shape, mode: number): Outcome {
  const sign = negative ? signOf(shape) : 0n;
  // The same precision with far larger exponents tells of overflow and tininess.
  const wide: Shape = { width: shape.width + 4, fraction: shape.fraction };
  const unbounded = neighbour(compare, negative, wide, mode);
  const unboundedValue = magnitude(unbounded.bits, wide);
  if (order(unboundedValue, magnitude(infinityOf(shape), shape)) >= 0) {
    const toInfinity = mode === 0 || mode === 4 || mode === (negative ? 2 : 3);
    return { bits: sign | (toInfinity ? infinityOf(shape) : infinityOf(shape) - 1n), flags: OF | NX };
  }
  const { bits, exact } = neighbour(compare, negative, shape, mode);
  const tiny = order(unboundedValue, magnitude(1n << BigInt(shape.fraction), shape)) < 0;
  return { bits: sign | bits, flags: exact ? 0 : tiny ? NX | UF : NX };
}

function roundRational(value: Rational, shape: Shape, mode: number): Outcome {
  const negative = value.n < 0n;
  const size = negative ? negated(value) : value;
  return roundBy((candidate) => order(candidate, size), negative, shape, mode);
}

const nan = (shape: Shape, ...operands: bigint[]): Outcome => ({
  bits: nanOf(shape),
  flags: operands.some((bits) => isSignaling(bits, shape)) ? NV : 0,
});
const invalid = (shape: Shape): Outcome => ({ bits: nanOf(shape), flags: NV });
const exactly = (bits: bigint): Outcome => ({ bits, flags: 0 });
const flip = (bits: bigint, shape: Shape): bigint => bits ^ signOf(shape);

export function add(a: bigint, b: bigint, shape: Shape, mode: number): Outcome {
  if (isNan(a, shape) || isNan(b, shape)) return nan(shape, a, b);
  if (isInfinite(a, shape) && isInfinite(b, shape) && a !== b) return invalid(shape);
  if (isInfinite(a, shape)) return exactly(a);
  if (isInfinite(b, shape)) return exactly(b);
  return sum(numberOf(a, shape), numberOf(b, shape), isNegative(a, shape), isNegative(b, shape), shape, mode);
}

/** a + b where a zero's sign is given beside it. */
function sum(a: Rational, b: Rational, aNegative: boolean, bNegative: boolean, shape: Shape, mode: number): Outcome {
  const exact = plus(a, b);
  if (exact.n !== 0n) return roundRational(exact, shape, mode);
  const negative = aNegative === bNegative ? aNegative : mode === 2;
  return exactly(negative ? signOf(shape) : 0n);
}

export const sub = (a: bigint, b: bigint, shape: Shape, mode: number): Outcome =>
  isNan(b, shape) ? nan(shape, a, b) : add(a, flip(b, shape), shape, mode);

export function mul(a: bigint, b: bigint, shape: Shape, mode: number): Outcome {
  if (isNan(a, shape) || isNan(b, shape)) return nan(shape, a, b);
  const sign = (a ^ b) & signOf(shape);
  const infinite = isInfinite(a, shape) || isInfinite(b, shape);
  const zero = isZero(a, shape) || isZero(b, shape);
  if (infinite) return zero ? invalid(shape) : exactly(sign | infinityOf(shape));
  if (zero) return exactly(sign);
  return roundRational(times(numberOf(a, shape), numberOf(b, shape)), shape, mode);
}

export function div(a: bigint, b: bigint, shape: Shape, mode: number): Outcome {
  if (isNan(a, shape) || isNan(b, shape)) return nan(shape, a, b);
  const sign = (a ^ b) & signOf(shape);
  if (isInfinite(a, shape)) return isInfinite(b, shape) ? invalid(shape) : exactly(sign | infinityOf(shape));
  if (isInfinite(b, shape)) return exactly(sign);
  if (isZero(b, shape)) return isZero(a, shape) ? invalid(shape) : { bits: sign | infinityOf(shape), flags: DZ };
  if (isZero(a, shape)) return exactly(sign);
  return roundRational(over(numberOf(a, shape), numberOf(b, shape)), shape, mode);
}

export function sqrt(a: bigint, shape: Shape, mode: number): Outcome {
  if (isNan(a, shape)) return nan(shape, a);
  if (isZero(a, shape)) return exactly(a);
  if (isNegative(a, shape)) return invalid(shape);
  if (isInfinite(a, shape)) return exactly(a);
  const value = numberOf(a, shape);
  return roundBy((candidate) => order(times(candidate, candidate), value), false, shape, mode);
}

/** (±)(a * b) (±) c. */
export function fma(
  a: bigint,
  b: bigint,
  c: bigint,
  shape: Shape,
  mode: number,
  flipProduct: boolean,
  flipAddend: boolean,
): Outcome {
  const infinite = isInfinite(a, shape) || isInfinite(b, shape);
  const zero = isZero(a, shape) || isZero(b, shape);
  if (isNan(a, shape) || isNan(b, shape)) return nan(shape, a, b, c);
  if (infinite && zero) return invalid(shape);
  if (isNan(c, shape)) return nan(shape, c);
  const addend = flipAddend ? flip(c, shape) : c;
  const negative = (isNegative(a, shape) !== isNegative(b, shape)) !== flipProduct;
  if (infinite) return add((negative ? signOf(shape) : 0n) | infinityOf(shape), addend, shape, mode);
  if (isInfinite(addend, shape)) return exactly(addend);
  const product = times(numberOf(a, shape), numberOf(b, shape));
  const left = flipProduct ? negated(product) : product;
  return sum(left, numberOf(addend, shape), negative, isNegative(addend, shape), shape, mode);
}

export function convert(a: bigint, from: Shape, to: Shape, mode: number): Outcome {
  if (isNan(a, from)) return { bits: nanOf(to), flags: isSignaling(a, from) ? NV : 0 };
  const sign = isNegative(a, from) ? signOf(to) : 0n;
  if (isInfinite(a, from)) return exactly(sign | infinityOf(to));
  if (isZero(a, from)) return exactly(sign);
  return roundRational(numberOf(a, from), to, mode);
}

export const fromInteger = (value: bigint, to: Shape, mode: number): Outcome =>
  value === 0n ? exactly(0n) : roundRational({ n: value, d: 1n }, to, mode);

/** Saturates with NV; the result is a signed or unsigned integer. */
export function toInteger(a: bigint, from: Shape, mode: number, low: bigint, high: bigint): Outcome {
  if (isNan(a, from)) return { bits: high, flags: NV };
  if (isInfinite(a, from)) return { bits: isNegative(a, from) ? low : high, flags: NV };
  const value = numberOf(a, from);
  const floor = value.n >= 0n ? value.n / value.d : -((-value.n + value.d - 1n) / value.d);
  const exact = floor * value.d === value.n;
  const side = order(plus(value, { n: -floor, d: 1n }), { n: 1n, d: 2n });
  const awayFromZero = value.n < 0n ? floor : floor + 1n;
  const towardsZero = value.n < 0n ? floor + 1n : floor;
  const nearest =
    side < 0 ? floor : side > 0 ? floor + 1n : mode === 4 ? awayFromZero : floor % 2n === 0n ? floor : floor + 1n;
  const choices = [nearest, towardsZero, floor, floor + 1n, nearest];
  const rounded = exact ? floor : choices[mode];
  if (rounded < low) return { bits: low, flags: NV };
  if (rounded > high) return { bits: high, flags: NV };
  return { bits: rounded, flags: exact ? 0 : NX };
}

export function compare(a: bigint, b: bigint, shape: Shape, relation: 'eq' | 'lt' | 'le'): Outcome {
  if (isNan(a, shape) || isNan(b, shape)) {
    const quiet = relation === 'eq' && !isSignaling(a, shape) && !isSignaling(b, shape);
    return { bits: 0n, flags: quiet ? 0 : NV };
  }
  const wide = (bits: bigint): Rational => numberOf(bits, shape);
  const by = order(wide(a), wide(b));
  const holds = relation === 'eq' ? by === 0 : relation === 'lt' ? by < 0 : by <= 0;
  return exactly(holds ? 1n : 0n);
}

export function extremum(a: bigint, b: bigint, shape: Shape, largest: boolean): Outcome {
  const flags = isSignaling(a, shape) || isSignaling(b, shape) ? NV : 0;
  if (isNan(a, shape)) return { bits: isNan(b, shape) ? nanOf(shape) : b, flags };
  if (isNan(b, shape)) return { bits: a, flags };
  const by = order(numberOf(a, shape), numberOf(b, shape));
  const aLess = by < 0 || (by === 0 && isNegative(a, shape));
  return { bits: aLess === largest ? b : a, flags };
}
