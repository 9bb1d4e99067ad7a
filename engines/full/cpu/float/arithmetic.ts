import {
  bitLength,
  FLAG,
  type Format,
  infinity,
  isZero,
  nan,
  type Result,
  RM,
  round,
  signed,
  type Unpacked,
  unpack,
} from './format.js';

/** The arithmetic operations, on raw bits (IEEE 754-2008, 5.4.1; NaN results are canonical). */

const invalidIf = (...operands: Unpacked[]): number => (operands.some((x) => x.signaling) ? FLAG.NV : 0);
const anyNan = (...operands: Unpacked[]): boolean => operands.some((x) => x.kind === 'nan');
const exactly = (bits: bigint): Result => ({ bits, flags: 0 });

/** The exact sum, as a signed integer and an exponent. */
function exactSum(a: Unpacked, b: Unpacked): { sum: bigint; exponent: number } {
  const exponent = Math.min(a.exponent, b.exponent);
  const value = (x: Unpacked): bigint => {
    const magnitude = x.significand << BigInt(x.exponent - exponent);
    return x.negative ? -magnitude : magnitude;
  };
  return { sum: value(a) + value(b), exponent };
}

/** Sum of unpacked numbers that are no NaNs. */
function addUnpacked(a: Unpacked, b: Unpacked, f: Format, mode: number): Result {
  if (a.kind === 'infinite' && b.kind === 'infinite' && a.negative !== b.negative) return nan(f, FLAG.NV);
  if (a.kind === 'infinite') return exactly(infinity(a.negative, f));
  if (b.kind === 'infinite') return exactly(infinity(b.negative, f));
  const { sum, exponent } = exactSum(a, b);
  if (sum !== 0n) return round(sum < 0n, sum < 0n ? -sum : sum, exponent, f, mode);
  // Zeros of like sign keep it; an exact zero is +0, but -0 when rounding down (6.3).
  const bothZero = isZero(a) && isZero(b) && a.negative === b.negative;
  return exactly(signed(0n, bothZero ? a.negative : mode === RM.RDN, f));
}

const negated = (x: Unpacked, negate: boolean): Unpacked => (negate ? { ...x, negative: !x.negative } : x);

export function add(aBits: bigint, bBits: bigint, f: Format, mode: number, subtract: boolean): Result {
  const a = unpack(aBits, f);
  const b = unpack(bBits, f);
  if (anyNan(a, b)) return nan(f, invalidIf(a, b));
  return addUnpacked(a, negated(b, subtract), f, mode);
}

/** The exact product of numbers that are no NaNs; undefined for 0 * infinity. */
function product(a: Unpacked, b: Unpacked): Unpacked | undefined {
  const negative = a.negative !== b.negative;
  const infinite = a.kind === 'infinite' || b.kind === 'infinite';
  if (infinite && (isZero(a) || isZero(b))) return undefined;
  return {
    kind: infinite ? 'infinite' : 'finite',
    negative,
    significand: a.significand * b.significand,
    exponent: a.exponent + b.exponent,
    signaling: false,
  };
}

/** Rounds an exact result. */
function finish(x: Unpacked, f: Format, mode: number): Result {
  if (x.kind === 'infinite') return exactly(infinity(x.negative, f));
  if (x.significand === 0n) return exactly(signed(0n, x.negative, f));
  return round(x.negative, x.significand, x.exponent, f, mode);
}

export function multiply(aBits: bigint, bBits: bigint, f: Format, mode: number): Result {
  const a = unpack(aBits, f);
  const b = unpack(bBits, f);
  if (anyNan(a, b)) return nan(f, invalidIf(a, b));
  const exact = product(a, b);
  return exact === undefined ? nan(f, FLAG.NV) : finish(exact, f, mode);
}

export function divide(aBits: bigint, bBits: bigint, f: Format, mode: number): Result {
  const a = unpack(aBits, f);
  const b = unpack(bBits, f);
  if (anyNan(a, b)) return nan(f, invalidIf(a, b));
  const negative = a.negative !== b.negative;
  if (a.kind === 'infinite') return b.kind === 'infinite' ? nan(f, FLAG.NV) : exactly(infinity(negative, f));
  if (b.kind === 'infinite') return exactly(signed(0n, negative, f));
  if (isZero(b)) return isZero(a) ? nan(f, FLAG.NV) : { bits: infinity(negative, f), flags: FLAG.DZ };
  if (isZero(a)) return exactly(signed(0n, negative, f));
  // Enough quotient bits for any format, and a sticky bit below them.
  const shift = Math.max(0, 2 * f.fraction + 8 + bitLength(b.significand) - bitLength(a.significand));
  const numerator = a.significand << BigInt(shift);
  const quotient = numerator / b.significand;
  const sticky = quotient * b.significand === numerator ? 0n : 1n;
  return round(negative, (quotient << 1n) | sticky, a.exponent - b.exponent - shift - 1, f, mode);
}

/** The largest integer whose square is at most n (Newton). */
function integerSqrt(n: bigint): bigint {
  let x = 1n << BigInt((bitLength(n) + 1) >> 1);
  for (;;) {
    const next = (x + n / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}

export function squareRoot(bits: bigint, f: Format, mode: number): Result {
  const a = unpack(bits, f);
  if (a.kind === 'nan') return nan(f, invalidIf(a));
  if (isZero(a)) return exactly(bits);
  if (a.negative) return nan(f, FLAG.NV);
  if (a.kind === 'infinite') return exactly(bits);
  let shift = 2 * f.fraction + 10;
  if (((a.exponent - shift) & 1) !== 0) shift++;
  const scaled = a.significand << BigInt(shift);
  const root = integerSqrt(scaled);
  const sticky = root * root === scaled ? 0n : 1n;
  return round(false, (root << 1n) | sticky, (a.exponent - shift) / 2 - 1, f, mode);
}

/** a * b + c, rounded once. Infinity times zero is invalid even when c is a quiet NaN (11.6). */
export function fusedMultiplyAdd(
  [aBits, bBits, cBits]: readonly [bigint, bigint, bigint],
  f: Format,
  mode: number,
  { negateProduct, negateAddend }: { negateProduct: boolean; negateAddend: boolean },
): Result {
  const [a, b, c] = [unpack(aBits, f), unpack(bBits, f), unpack(cBits, f)];
  const invalid = (a.kind === 'infinite' && isZero(b)) || (isZero(a) && b.kind === 'infinite');
  if (anyNan(a, b, c)) return nan(f, invalidIf(a, b, c) | (invalid ? FLAG.NV : 0));
  const exact = product(a, b);
  if (exact === undefined) return nan(f, FLAG.NV);
  return addUnpacked(negated(exact, negateProduct), negated(c, negateAddend), f, mode);
}
