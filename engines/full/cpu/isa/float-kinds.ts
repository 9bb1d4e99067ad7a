import type { Body, Local } from '../wasm/body.js';
import { type F64, f32, f64, fusedMultiplyAdd, type I32, type I64, i32, i64, type Value } from '../wasm/value.js';
import type { Emitter } from './emitter.js';

/**
 * What single and double precision have in common, so that each floating-point instruction is written once,
 * and how each finds out whether a rounded result was exact (wasm has no flags).
 */
export interface FloatKind<T extends 'f32' | 'f64'> {
  readonly type: T;
  readonly suffix: 's' | 'd';
  /** Bit 25 of the encoding. */
  readonly format: 0 | 1;
  fs(e: Emitter, operand: 1 | 2 | 3): Value<T>;
  setFd(e: Emitter, value: Value<T>): void;
  add(a: Value<T>, b: Value<T>): Value<T>;
  sub(a: Value<T>, b: Value<T>): Value<T>;
  mul(a: Value<T>, b: Value<T>): Value<T>;
  div(a: Value<T>, b: Value<T>): Value<T>;
  sqrt(a: Value<T>): Value<T>;
  neg(a: Value<T>): Value<T>;
  /** a * b + c, rounded once; see hasFusedMultiplyAdd(). */
  fused(a: Value<T>, b: Value<T>, c: Value<T>): Value<T>;
  abs(a: Value<T>): Value<T>;
  min(a: Value<T>, b: Value<T>): Value<T>;
  max(a: Value<T>, b: Value<T>): Value<T>;
  eq(a: Value<T>, b: Value<T>): I32;
  ne(a: Value<T>, b: Value<T>): I32;
  lt(a: Value<T>, b: Value<T>): I32;
  le(a: Value<T>, b: Value<T>): I32;
  convertI64S(value: I64): Value<T>;
  convertI64U(value: I64): Value<T>;
  zero(): Value<T>;
  constant(value: number): Value<T>;
  /** Powers of two some way from the ends of the normal range: between them nothing over- or underflows. */
  /** Of a significand. */
  readonly digits: number;
  readonly smallest: number;
  readonly largest: number;
  /** Biased exponent field. */
  exponent(value: Value<T>): I32;
  /** The exponent field of infinities. */
  readonly infinity: number;
  /** 0 for infinities and NaNs (exponent field all ones), zeros, subnormals, and fields of 1 and 2, in two instructions. */
  ordinary(value: Value<T>): I32;
  /** 1 unless infinity or NaN. */
  finite(value: Value<T>): I32;
  /** 1 for positive normal numbers. */
  positiveNormal(value: Value<T>): I32;
  /** For r = a * b, a / b, sqrt(a), rounded to nearest, all three normal (or an operand 0): 1 when r is not exact. */
  mulInexact(body: Body, a: Local<T>, b: Local<T>, r: Local<T>): I32;
  divInexact(body: Body, a: Local<T>, b: Local<T>, r: Local<T>): I32;
  sqrtInexact(body: Body, a: Local<T>, r: Local<T>): I32;
}

const exponent64 = (value: F64): I32 =>
  i32.and(i32.wrap(i64.shrU(i64.reinterpret(value), i64.const(52))), i32.const(0x7ff));

const upper = (value: F64): I32 => i32.wrap(i64.shrU(i64.reinterpret(value), i64.const(32)));

/** Trailing zeros of a double's 53-bit significand. */
const trailing = (value: F64): I32 => i32.wrap(i64.ctz(i64.or(i64.reinterpret(value), i64.const(1n << 52n))));

/**
 * A product of significands with m and n trailing zeros has exactly m + n of them, among 105 bits, or 106 when the
 * exponent says so; it is exact when no more than 53 remain. (If rounding carried into the exponent, the product had
 * more than 53 bits, and the test, stricter by one then, says inexact as well.)
 */
function product64Inexact(a: F64, b: F64, product: F64): I32 {
  const exponents = i32.sub(i32.add(exponent64(a), exponent64(b)), i32.const(1023));
  const needed = i32.add(i32.const(52), i32.sub(exponent64(product), exponents));
  const inexact = i32.ltS(i32.add(trailing(a), trailing(b)), needed);
  const nonzero = i32.and(f64.ne(a, f64.const(0)), f64.ne(b, f64.const(0)));
  return i32.and(inexact, nonzero);
}

/** Without these bits a significand has 26 digits, and a product of two such has at most 52: it is exact. */
const HALF_MASK = (1 << 27) - 1;

export const DOUBLE: FloatKind<'f64'> = {
  ...f64,
  type: 'f64',
  fused: fusedMultiplyAdd.f64,
  digits: 53,
  suffix: 'd',
  format: 1,
  fs: (e, operand) => e.fs64(operand),
  setFd: (e, value) => e.setFd64(value),
  zero: () => f64.const(0),
  constant: f64.const,
  smallest: 2 ** -1020,
  largest: 2 ** 1020,
  exponent: exponent64,
  infinity: 0x7ff,
  // The field plus one has no bit above its lowest two.
  ordinary: (value) => i32.and(i32.add(upper(value), i32.const(1 << 20)), i32.const(0x7fc << 20)),
  finite: (value) => f64.ge(f64.sub(value, value), f64.const(0)),
  positiveNormal: (value) => i32.ltU(i32.sub(upper(value), i32.const(1 << 20)), i32.const(0x7fe << 20)),
  mulInexact: (body, a, b, r) => {
    const result = body.local('i32', i32.const(0));
    const low = i64.and(i64.or(i64.reinterpret(a), i64.reinterpret(b)), i64.const(HALF_MASK));
    body.if(i64.ne(low, i64.const(0)), () => body.set(result, product64Inexact(a, b, r)));
    return result;
  },
  divInexact: (body, a, b, r) => {
    const back = body.keep(f64.mul(r, b));
    return i32.or(f64.ne(back, a), product64Inexact(r, b, back));
  },
  sqrtInexact: (body, a, r) => {
    const back = body.keep(f64.mul(r, r));
    return i32.or(f64.ne(back, a), product64Inexact(r, r, back));
  },
};

/** Products of two singles are exact as doubles, so each test is one comparison. */
export const SINGLE: FloatKind<'f32'> = {
  ...f32,
  constant: f32.const,
  smallest: 2 ** -124,
  largest: 2 ** 124,
  type: 'f32',
  fused: fusedMultiplyAdd.f32,
  digits: 24,
  suffix: 's',
  format: 0,
  fs: (e, operand) => e.fs32(operand),
  setFd: (e, value) => e.setFd32(value),
  zero: () => f32.const(0),
  exponent: (value) => i32.and(i32.shrU(i32.reinterpret(value), i32.const(23)), i32.const(0xff)),
  infinity: 0xff,
  ordinary: (value) => i32.and(i32.add(i32.reinterpret(value), i32.const(1 << 23)), i32.const(0xfc << 23)),
  finite: (value) => f32.le(f32.const(0), f32.sub(value, value)),
  positiveNormal: (value) => i32.ltU(i32.sub(i32.reinterpret(value), i32.const(1 << 23)), i32.const(0xfe << 23)),
  mulInexact: (_body, a, b, r) => f64.ne(f64.mul(f64.promote(a), f64.promote(b)), f64.promote(r)),
  divInexact: (_body, a, b, r) => f64.ne(f64.mul(f64.promote(r), f64.promote(b)), f64.promote(a)),
  sqrtInexact: (_body, a, r) => f64.ne(f64.mul(f64.promote(r), f64.promote(r)), f64.promote(a)),
};

/** For r = a + b: 1 when it is not exact. TwoSum finds no error just when both operands come back. */
export function sumInexact<T extends 'f32' | 'f64'>(kind: FloatKind<T>, a: Value<T>, b: Value<T>, r: Value<T>): I32 {
  return i32.or(kind.ne(kind.sub(r, a), b), kind.ne(kind.sub(r, b), a));
}
