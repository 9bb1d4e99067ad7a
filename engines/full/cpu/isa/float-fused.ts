import { type Label, type Local, not } from '../wasm/body.js';
import { type F64, f32, f64, i32, i64, select } from '../wasm/value.js';
import { type Definition, define } from './definition.js';
import type { Emitter } from './emitter.js';
import { exactF, floatOptions, mustBeNormal, raiseInexact, withSlowPath } from './float.js';
import { DOUBLE, SINGLE, sumError } from './float-kinds.js';
import { R4 } from './formats.js';

/** F and D, fused multiply-add: rounded once, by error-free transformations (rules of the fast paths: see float.ts). */

/** The sign of a product is flipped (fnmadd, fnmsub), that of the addend too (fmsub, fnmadd). */
const FUSED = [
  { name: 'fmadd', opcode: 0x43, negateProduct: false, negateAddend: false },
  { name: 'fmsub', opcode: 0x47, negateProduct: false, negateAddend: true },
  { name: 'fnmsub', opcode: 0x4b, negateProduct: true, negateAddend: false },
  { name: 'fnmadd', opcode: 0x4f, negateProduct: true, negateAddend: true },
] as const;

type Fused = (typeof FUSED)[number];
const fusedEncoding = (fused: Fused, format: number): [number, number] => [fused.opcode | (format << 25), 0x0600007f];

/**
 * The product of two singles is exact as a double; its sum with the third is rounded to odd (53 bits are more than
 * 24 + 2), which makes the second rounding, to single, the only one that counts (Boldo and Melquiond, 2008).
 */
function fusedSingle(fused: Fused): Definition {
  const name = `${fused.name}.s`;
  const emit = (e: Emitter): void => {
    e.requireFloat();
    const rounding = e.body.keep(e.roundingMode());
    withSlowPath(
      e,
      () => exactF(e, fused.name, 0, rounding, 3),
      (slow) => {
        e.body.brIfUnlikely(rounding, slow);
        const a = f64.promote(e.fs32(1));
        const product = e.body.keep(f64.mul(fused.negateProduct ? f64.neg(a) : a, f64.promote(e.fs32(2))));
        const third = f64.promote(e.fs32(3));
        const addend = e.body.keep(fused.negateAddend ? f64.neg(third) : third);
        const sum = e.body.keep(f64.add(product, addend));
        const odd = e.body.keep(roundToOdd(e, sum, e.body.keep(sumError(DOUBLE, e.body, product, addend, sum))));
        const r = e.body.keep(f32.demote(odd));
        mustBeNormal(e, SINGLE, r, i32.const(0), slow);
        raiseInexact(e, () => f64.ne(f64.promote(r), odd));
        e.setFd32(r);
      },
    );
  };
  return define(name, fusedEncoding(fused, 0), R4, emit, floatOptions);
}

/** Makes the last bit of an inexact `sum` odd, towards its `error`: then it can be rounded again without harm. */
function roundToOdd(e: Emitter, sum: Local<'f64'>, error: Local<'f64'>): F64 {
  const bits = e.body.keep(i64.reinterpret(sum));
  const even = i64.eqz(i64.and(bits, i64.const(1)));
  e.body.if(i32.and(even, f64.ne(error, f64.const(0))), () => {
    const opposite = i64.ltS(i64.xor(bits, i64.reinterpret(error)), i64.const(0));
    e.body.set(bits, i64.add(bits, select(opposite, i64.const(-1), i64.const(1))));
  });
  return f64.reinterpret(bits);
}

/** Exponent fields between which products, their errors and sums of both neither overflow nor lose bits. */
const SAFE = { lowest: 0x180, count: 0x500 } as const;

function leaveUnlessSafe(e: Emitter, value: F64, slow: Label): void {
  const above = i32.sub(DOUBLE.exponent(value), i32.const(SAFE.lowest));
  e.body.brIfUnlikely(i32.geU(above, i32.const(SAFE.count)), slow);
}

/** The upper 26 bits of a double's significand, and the rest (Veltkamp). */
function split(e: Emitter, value: Local<'f64'>): [Local<'f64'>, Local<'f64'>] {
  const scaled = e.body.keep(f64.mul(value, f64.const(2 ** 27 + 1)));
  const high = e.body.keep(f64.sub(scaled, f64.sub(scaled, value)));
  return [high, e.body.keep(f64.sub(value, high))];
}

/** The rounding error of p = a * b, exact (Dekker). */
function productError(e: Emitter, a: Local<'f64'>, b: Local<'f64'>, p: Local<'f64'>): Local<'f64'> {
  const [a1, a2] = split(e, a);
  const [b1, b2] = split(e, b);
  const first = f64.sub(f64.mul(a1, b1), p);
  const middle = f64.add(f64.add(first, f64.mul(a1, b2)), f64.mul(a2, b1));
  return e.body.keep(f64.add(middle, f64.mul(a2, b2)));
}

/** From here on the error of a product is a double as well. */
const SMALLEST_PRODUCT = 2 ** -900;
/** More than the relative error of the last correction, and of what is made of it with this. */
const DOUBT = 2 ** -51;

/**
 * Where NX is set already, the sum of the product's error and the sum's is added with rounding. The result is right if
 * somewhat more and somewhat less of it give the same (Ziv, 1991): it is nearly always, and infinities and NaNs fail the
 * test. What remains is done exactly.
 */
function fusedDouble(fused: Fused): Definition {
  const name = `${fused.name}.d`;
  const emit = (e: Emitter): void => {
    const { body } = e;
    e.requireFloat();
    const rounding = body.keep(e.roundingMode());
    withSlowPath(
      e,
      () => exactF(e, fused.name, 1, rounding, 3),
      (slow) => {
        body.brIfUnlikely(rounding, slow);
        const a = body.keep(fused.negateProduct ? f64.neg(e.fs64(1)) : e.fs64(1));
        const b = body.keep(e.fs64(2));
        const c = body.keep(fused.negateAddend ? f64.neg(e.fs64(3)) : e.fs64(3));
        const product = body.keep(f64.mul(a, b));
        const zero = f64.const(0);
        body.unlikely(not(f64.le(f64.const(SMALLEST_PRODUCT), f64.abs(product))), () =>
          body.brIf(not(i32.or(f64.eq(a, zero), f64.eq(b, zero))), slow),
        );
        const low = productError(e, a, b, product);
        const sum = body.keep(f64.add(product, c));
        const correction = body.keep(f64.add(sumError(DOUBLE, body, product, c, sum), low));
        const less = f64.add(sum, f64.mul(correction, f64.const(1 - DOUBT)));
        const r = body.keep(f64.add(sum, f64.mul(correction, f64.const(1 + DOUBT))));
        body.unlikely(i32.or(i32.eqz(e.inexact), f64.ne(less, r)), () =>
          body.set(r, fusedExactly(e, { a, b, c, product, low }, slow)),
        );
        const exactZero = i32.and(f64.eq(r, zero), f64.eq(correction, zero));
      body.unlikely(not(DOUBLE.ordinary(r)), () => {
        body.brIf(not(exactZero), slow);
        body.set(r, sum); // r may have lost the sign
      });
        e.setFd64(r);
      },
    );
  };
  return define(name, fusedEncoding(fused, 1), R4, emit, floatOptions);
}

/**
 * Product and sum are kept as exact pairs; the two low parts are added with rounding to odd, which makes the last
 * addition the only rounding that counts (Boldo and Melquiond, 2008, algorithm Fma).
 */
function fusedExactly(
  e: Emitter,
  { a, b, c, product, low }: Record<'a' | 'b' | 'c' | 'product' | 'low', Local<'f64'>>,
  slow: Label,
): Local<'f64'> {
  const { body } = e;
  for (const value of [a, b, c, product]) leaveUnlessSafe(e, value, slow);
  const partial = body.keep(f64.add(c, low));
  const partialLow = body.keep(sumError(DOUBLE, body, c, low, partial));
  const high = body.keep(f64.add(product, partial));
  const highLow = body.keep(sumError(DOUBLE, body, product, partial, high));
  const lows = body.keep(f64.add(partialLow, highLow));
  const lost = body.keep(sumError(DOUBLE, body, partialLow, highLow, lows));
  const odd = body.keep(roundToOdd(e, lows, lost));
  const r = body.keep(f64.add(high, odd));
  mustBeNormal(e, DOUBLE, r, i32.const(0), slow);
  raiseInexact(e, () => {
    const rounded = f64.ne(sumError(DOUBLE, body, high, odd, r), f64.const(0));
    return i32.or(rounded, f64.ne(lost, f64.const(0)));
  });
  return r;
}

export const FLOAT_FUSED: readonly Definition[] = [...FUSED.map(fusedSingle), ...FUSED.map(fusedDouble)];
