import type { Body, Local } from '../wasm/body.js';
import { type F64, f32, f64, type I32, type I64, i32, i64, select } from '../wasm/value.js';

/**
 * Binary floating point taken apart in WebAssembly (IEEE 754-2008 with RISC-V's choices; unprivileged specification,
 * chapters 11 and 12). Singles are computed on as doubles, which hold all of them exactly; only what is rounded to differs.
 */

export const FLAG = { NX: 1, UF: 2, OF: 4, DZ: 8, NV: 16 } as const;
/** Rounding modes (table 11.1). */
export const RM = { RNE: 0, RTZ: 1, RDN: 2, RUP: 3, RMM: 4 } as const;

/** Upper half of a register that holds a single (12.2). */
export const BOX = 0xffffffff00000000n;
export const CANONICAL_NAN = { single: 0x7fc00000n, double: 0x7ff8000000000000n } as const;

export const FRACTION_BITS = 52;
export const IMPLICIT = 1n << 52n;
export const SIGN = 1n << 63n;
export const BIAS = 1023;

/** How to round: bit 0 is 1 for doubles, 0 for singles; the rounding mode is above it. */
export const roundingOf = (how: I32): I32 => i32.shrU(how, i32.const(1));
export const isDouble = (how: I32): I32 => i32.and(how, i32.const(1));

/** (-1)^negative * significand * 2^(exponent - 52). */
export interface Unpacked {
  readonly negative: Local<'i32'>;
  readonly exponent: Local<'i32'>;
  readonly significand: Local<'i64'>;
}

/** Of a finite double. Subnormal ones have the least exponent, and no digit before the point. */
export function unpack(body: Body, value: F64): Unpacked {
  const bits = body.keep(i64.reinterpret(value));
  const field = body.keep(i32.and(i32.wrap(i64.shrU(bits, i64.const(FRACTION_BITS))), i32.const(0x7ff)));
  const normal = body.keep(i32.ne(field, i32.const(0)));
  const exponent = body.keep(i32.add(field, i32.sub(i32.const(1 - BIAS), normal)));
  const implicit = i64.shl(i64.extendU(normal), i64.const(FRACTION_BITS));
  const significand = body.keep(i64.or(i64.and(bits, i64.const(IMPLICIT - 1n)), implicit));
  return { negative: body.keep(i32.wrap(i64.shrU(bits, i64.const(63)))), exponent, significand };
}

/** The same with the first digit in bit 52, unless it is zero. */
export function unpackNormal(body: Body, value: F64): Unpacked {
  const unpacked = unpack(body, value);
  const { exponent, significand } = unpacked;
  const shift = body.keep(i64.sub(i64.clz(significand), i64.const(63 - FRACTION_BITS)));
  body.set(significand, i64.shl(significand, shift));
  body.set(exponent, i32.sub(exponent, i32.wrap(shift)));
  return unpacked;
}

/** 1 when any bit is set, as the last bit of a significand that stands for all behind it. */
export const sticky = (bits: I64): I64 => i64.extendU(i64.ne(bits, i64.const(0)));

/** A register's value; a single that is not NaN-boxed is the canonical NaN. */
export function defineValue(body: Body): void {
  const raw = body.parameter(0, 'i64');
  const how = body.parameter(1, 'i32');
  body.if(isDouble(how), () => body.return(f64.reinterpret(raw)));
  const boxed = i64.geU(raw, i64.const(BOX));
  const low = select(boxed, i32.wrap(raw), i32.const(Number(CANONICAL_NAN.single)));
  body.return(f64.promote(f32.reinterpret(low)));
  body.unreachable();
}

/** Whether a register holds a signaling NaN. */
export function defineSignaling(body: Body): void {
  const raw = body.parameter(0, 'i64');
  const how = body.parameter(1, 'i32');
  const double = { infinity: 0x7ffn << 52n, quiet: 1n << 51n, magnitude: SIGN - 1n };
  const single = { infinity: 0xffn << 23n, quiet: 1n << 22n, magnitude: 0x7fffffffn };
  const test = ({ infinity, quiet, magnitude }: typeof double): I32 =>
    i32.and(i64.gtU(i64.and(raw, i64.const(magnitude)), i64.const(infinity)), i64.eqz(i64.and(raw, i64.const(quiet))));
  body.if(isDouble(how), () => body.return(test(double)));
  body.return(i32.and(i64.geU(raw, i64.const(BOX)), test(single)));
  body.unreachable();
}

/** A register's bits for a value that the format holds. */
export function definePack(body: Body): void {
  const value = body.parameter(0, 'f64');
  const how = body.parameter(1, 'i32');
  body.if(isDouble(how), () => body.return(i64.reinterpret(value)));
  body.return(i64.or(i64.extendU(i32.reinterpret(f32.demote(value))), i64.const(BOX)));
  body.unreachable();
}
