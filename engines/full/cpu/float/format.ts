/**
 * Exact binary floating point on BigInt (IEEE 754-2008 with RISC-V's choices): numbers are taken apart, computed
 * without any rounding, and rounded once. Slow and plain; the interpreter comes here for what wasm cannot promise.
 */

export const FLAG = { NX: 1, UF: 2, OF: 4, DZ: 8, NV: 16 } as const;
/** Rounding modes (unprivileged specification, table 11.1). */
export const RM = { RNE: 0, RTZ: 1, RDN: 2, RUP: 3, RMM: 4 } as const;

export interface Format {
  /** Bits of the significand that are stored. */
  fraction: number;
  /** Largest biased exponent: that of infinities. */
  special: number;
  bias: number;
  sign: bigint;
  canonicalNan: bigint;
}

const format = (width: number, fraction: number): Format => {
  const exponentBits = width - fraction - 1;
  const special = (1 << exponentBits) - 1;
  const quiet = 1n << BigInt(fraction - 1);
  return {
    fraction,
    special,
    bias: special >> 1,
    sign: 1n << BigInt(width - 1),
    canonicalNan: (BigInt(special) << BigInt(fraction)) | quiet,
  };
};

export const BINARY32 = format(32, 23);
export const BINARY64 = format(64, 52);

/** (-1)^negative * significand * 2^exponent, or one of the special values. */
export interface Unpacked {
  kind: 'finite' | 'infinite' | 'nan';
  negative: boolean;
  significand: bigint;
  exponent: number;
  signaling: boolean;
}

export function unpack(bits: bigint, f: Format): Unpacked {
  const negative = (bits & f.sign) !== 0n;
  const biased = Number((bits >> BigInt(f.fraction)) & BigInt(f.special));
  const fraction = bits & ((1n << BigInt(f.fraction)) - 1n);
  const base = { negative, signaling: false };
  if (biased === f.special && fraction !== 0n) {
    const signaling = fraction >> BigInt(f.fraction - 1) === 0n;
    return { ...base, kind: 'nan', significand: fraction, exponent: 0, signaling };
  }
  if (biased === f.special) return { ...base, kind: 'infinite', significand: 0n, exponent: 0 };
  const significand = biased === 0 ? fraction : fraction | (1n << BigInt(f.fraction));
  return { ...base, kind: 'finite', significand, exponent: Math.max(biased, 1) - f.bias - f.fraction };
}

export const isZero = (x: Unpacked): boolean => x.kind === 'finite' && x.significand === 0n;

export interface Result {
  bits: bigint;
  flags: number;
}

export const nan = (f: Format, flags = 0): Result => ({ bits: f.canonicalNan, flags });
export const signed = (magnitude: bigint, negative: boolean, f: Format): bigint =>
  negative ? magnitude | f.sign : magnitude;
export const infinity = (negative: boolean, f: Format): bigint =>
  signed(BigInt(f.special) << BigInt(f.fraction), negative, f);

export const bitLength = (value: bigint): number =>
  value === 0n ? 0 : value.toString(16).length * 4 - leadingZeros(value);

/** Leading zeros of the topmost hexadecimal digit. */
function leadingZeros(value: bigint): number {
  return Math.clz32(Number.parseInt(value.toString(16)[0], 16)) - 28;
}

/** Whether to round a magnitude up, by what is cut off: `rest` of `unit`, and whether the kept part is odd. */
function roundsUp(rest: bigint, unit: bigint, odd: boolean, negative: boolean, mode: number): boolean {
  if (rest === 0n) return false;
  const twice = rest * 2n;
  switch (mode) {
    case RM.RNE:
      return twice > unit || (twice === unit && odd);
    case RM.RMM:
      return twice >= unit;
    case RM.RDN:
      return negative;
    case RM.RUP:
      return !negative;
    default:
      return false;
  }
}

/** value / 2^shift, rounded to an integer; a negative shift is exact. */
export function shiftRound(
  value: bigint,
  shift: number,
  negative: boolean,
  mode: number,
): { kept: bigint; exact: boolean } {
  if (shift <= 0) return { kept: value << BigInt(-shift), exact: true };
  const unit = 1n << BigInt(shift);
  const kept = value >> BigInt(shift);
  const rest = value & (unit - 1n);
  const up = roundsUp(rest, unit, (kept & 1n) === 1n, negative, mode);
  return { kept: up ? kept + 1n : kept, exact: rest === 0n };
}

/**
 * Rounds (-1)^negative * significand * 2^exponent into a format. The significand is not 0; for a result that is not
 * exact in any number of bits its last bit must be sticky and far below. Tininess is detected after rounding.
 */
export function round(negative: boolean, significand: bigint, exponent: number, f: Format, mode: number): Result {
  const top = bitLength(significand) + exponent - 1;
  const lowest = 1 - f.bias - f.fraction;
  const unbounded = top - f.fraction;
  const scale = Math.max(unbounded, lowest);
  const { kept, exact } = shiftRound(significand, scale - exponent, negative, mode);
  // kept may have carried into the next power of two: the addition below carries into the exponent then.
  const biased = scale - lowest;
  const normal = kept >> BigInt(f.fraction) !== 0n;
  const magnitude = normal ? (BigInt(biased) << BigInt(f.fraction)) + kept : kept;
  if (magnitude >= infinity(false, f)) return overflow(negative, f, mode);
  let flags = exact ? 0 : FLAG.NX;
  if (!exact && tiny(significand, exponent, unbounded, lowest, negative, f, mode)) flags |= FLAG.UF;
  return { bits: signed(magnitude, negative, f), flags };
}

/** Below the smallest normal number even when rounded with an unbounded exponent (11.2). */
function tiny(
  significand: bigint,
  exponent: number,
  unbounded: number,
  lowest: number,
  negative: boolean,
  f: Format,
  mode: number,
): boolean {
  if (unbounded >= lowest) return false;
  const { kept } = shiftRound(significand, unbounded - exponent, negative, mode);
  return unbounded + bitLength(kept) < lowest + f.fraction + 1;
}

function overflow(negative: boolean, f: Format, mode: number): Result {
  const toInfinity = mode === RM.RNE || mode === RM.RMM || mode === (negative ? RM.RDN : RM.RUP);
  const magnitude = infinity(false, f);
  return { bits: signed(toInfinity ? magnitude : magnitude - 1n, negative, f), flags: FLAG.OF | FLAG.NX };
}
