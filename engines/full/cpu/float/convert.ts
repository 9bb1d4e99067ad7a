import { FLAG, type Format, infinity, isZero, nan, type Result, round, shiftRound, signed, unpack } from './format.js';

/** Conversions, comparisons, minimum, maximum, classification (unprivileged specification, 11.7 to 11.9). */

export function between(bits: bigint, from: Format, to: Format, mode: number): Result {
  const a = unpack(bits, from);
  if (a.kind === 'nan') return nan(to, a.signaling ? FLAG.NV : 0);
  if (a.kind === 'infinite') return { bits: infinity(a.negative, to), flags: 0 };
  if (isZero(a)) return { bits: signed(0n, a.negative, to), flags: 0 };
  return round(a.negative, a.significand, a.exponent, to, mode);
}

export function fromInteger(value: bigint, to: Format, mode: number): Result {
  if (value === 0n) return { bits: 0n, flags: 0 };
  return round(value < 0n, value < 0n ? -value : value, 0, to, mode);
}

/** To an integer in [low, high]; what does not fit is invalid and saturates (NaN as +infinity). */
export function toInteger(bits: bigint, from: Format, mode: number, low: bigint, high: bigint): Result {
  const a = unpack(bits, from);
  if (a.kind === 'nan') return { bits: high, flags: FLAG.NV };
  if (a.kind === 'infinite') return { bits: a.negative ? low : high, flags: FLAG.NV };
  // A number that is far too large need not be written out.
  if (a.exponent > 64 && a.significand !== 0n) return { bits: a.negative ? low : high, flags: FLAG.NV };
  const { kept, exact } = shiftRound(a.significand, -a.exponent, a.negative, mode);
  const value = a.negative ? -kept : kept;
  if (value < low) return { bits: low, flags: FLAG.NV };
  if (value > high) return { bits: high, flags: FLAG.NV };
  return { bits: value, flags: exact ? 0 : FLAG.NX };
}

/** Orders raw bits of numbers that are no NaNs; -0 below +0. */
const rank = (bits: bigint, f: Format): bigint => ((bits & f.sign) !== 0n ? -(bits - f.sign) - 1n : bits);

/** feq is quiet: only signaling NaNs are invalid; flt and fle are invalid for all NaNs. */
export function compare(aBits: bigint, bBits: bigint, f: Format, relation: 'eq' | 'lt' | 'le'): Result {
  const [a, b] = [unpack(aBits, f), unpack(bBits, f)];
  if (a.kind === 'nan' || b.kind === 'nan') {
    const invalid = relation !== 'eq' || a.signaling || b.signaling;
    return { bits: 0n, flags: invalid ? FLAG.NV : 0 };
  }
  const bothZero = isZero(a) && isZero(b);
  const [left, right] = bothZero ? [0n, 0n] : [rank(aBits, f), rank(bBits, f)];
  const holds = relation === 'eq' ? left === right : relation === 'lt' ? left < right : left <= right;
  return { bits: holds ? 1n : 0n, flags: 0 };
}

/** minimumNumber and maximumNumber (11.6): a NaN loses against a number; -0 is below +0. */
export function extremum(aBits: bigint, bBits: bigint, f: Format, largest: boolean): Result {
  const [a, b] = [unpack(aBits, f), unpack(bBits, f)];
  const flags = a.signaling || b.signaling ? FLAG.NV : 0;
  if (a.kind === 'nan') return { bits: b.kind === 'nan' ? f.canonicalNan : bBits, flags };
  if (b.kind === 'nan') return { bits: aBits, flags };
  const aFirst = rank(aBits, f) < rank(bBits, f);
  return { bits: aFirst === largest ? bBits : aBits, flags };
}

/** The ten classes of fclass, one bit each (table 11.5). */
export function classify(bits: bigint, f: Format): Result {
  const a = unpack(bits, f);
  if (a.kind === 'nan') return { bits: a.signaling ? 0x100n : 0x200n, flags: 0 };
  const distance = magnitudeClass(a.kind === 'infinite', a.significand, f);
  // From -infinity (bit 0) over the zeros (3 and 4) to +infinity (bit 7).
  return { bits: 1n << BigInt(a.negative ? 3 - distance : 4 + distance), flags: 0 };
}

/** 0 zero, 1 subnormal, 2 normal, 3 infinite. */
function magnitudeClass(infinite: boolean, significand: bigint, f: Format): number {
  if (infinite) return 3;
  if (significand === 0n) return 0;
  return significand >> BigInt(f.fraction) === 0n ? 1 : 2;
}
