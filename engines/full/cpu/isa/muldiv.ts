import type { Body } from '../wasm/body.js';
import { type I32, type I64, i32, i64, select } from '../wasm/value.js';
import { word } from './base.js';
import { byFunct7, type Definition, define } from './definition.js';
import type { Emitter } from './emitter.js';
import { R } from './formats.js';

/** The M extension (unprivileged specification, chapter 7). */

const low = (value: I64): I64 => i64.and(value, i64.const(0xffffffffn));
const high = (value: I64): I64 => i64.shrU(value, i64.const(32));

/** The upper 64 bits of an unsigned product, by four 32-bit ones. */
export function multiplyHigh(body: Body, a: I64, b: I64): I64 {
  const [a0, a1] = [body.keep(low(a)), body.keep(high(a))];
  const [b0, b1] = [body.keep(low(b)), body.keep(high(b))];
  const middle = body.keep(i64.add(i64.mul(a1, b0), high(i64.mul(a0, b0))));
  const other = body.keep(i64.add(i64.mul(a0, b1), low(middle)));
  return i64.add(i64.add(i64.mul(a1, b1), high(middle)), high(other));
}

/** x when `sign` is negative, else 0: what turns an unsigned high product into a signed one. */
const correction = (sign: I64, x: I64): I64 => i64.and(i64.shrS(sign, i64.const(63)), x);

function mulh(e: Emitter, signedA: boolean, signedB: boolean): void {
  const [a, b] = [e.body.keep(e.rs1), e.body.keep(e.rs2)];
  let product = multiplyHigh(e.body, a, b);
  if (signedA) product = i64.sub(product, correction(a, b));
  if (signedB) product = i64.sub(product, correction(b, a));
  e.setRd(product);
}

/** Division by zero gives all ones (quotient) or the dividend (remainder); overflow the dividend or 0. Never traps. */
function divide(e: Emitter, result: (a: I64, b: I64) => I64, zero: (a: I64) => I64, overflow?: (a: I64) => I64): void {
  const [a, b] = [e.body.keep(e.rs1), e.body.keep(e.rs2)];
  const out = e.body.local('i64');
  e.body.if(
    i64.eqz(b),
    () => e.body.set(out, zero(a)),
    () => {
      const plain = () => e.body.set(out, result(a, b));
      if (overflow === undefined) plain();
      else e.body.if(i64.eq(b, i64.const(-1)), () => e.body.set(out, overflow(a)), plain);
    },
  );
  e.setRd(out);
}

function divideWord(
  e: Emitter,
  result: (a: I32, b: I32) => I32,
  zero: (a: I32) => I32,
  whenMinusOne?: (a: I32) => I32,
) {
  const [a, b] = [e.body.keep(e.rs1Word), e.body.keep(e.rs2Word)];
  const out = e.body.local('i32');
  e.body.if(
    i32.eqz(b),
    () => e.body.set(out, zero(a)),
    () => {
      const plain = () => e.body.set(out, result(a, b));
      if (whenMinusOne === undefined) plain();
      else e.body.if(i32.eq(b, i32.const(-1)), () => e.body.set(out, whenMinusOne(a)), plain);
    },
  );
  e.setRd(word(out));
}

const ones = (): I64 => i64.const(-1);
const negate = (a: I64): I64 => i64.sub(i64.const(0), a);
const none = (): I64 => i64.const(0);
const same = (a: I64): I64 => a;
const onesWord = (): I32 => i32.const(-1);
const sameWord = (a: I32): I32 => a;

export const MULDIV: readonly Definition[] = [
  define('mul', byFunct7(0x33, 0, 1), R, (e) => e.setRd(i64.mul(e.rs1, e.rs2))),
  define('mulh', byFunct7(0x33, 1, 1), R, (e) => mulh(e, true, true)),
  define('mulhsu', byFunct7(0x33, 2, 1), R, (e) => mulh(e, true, false)),
  define('mulhu', byFunct7(0x33, 3, 1), R, (e) => mulh(e, false, false)),
  define('div', byFunct7(0x33, 4, 1), R, (e) => divide(e, i64.divS, ones, negate)),
  define('divu', byFunct7(0x33, 5, 1), R, (e) => divide(e, i64.divU, ones)),
  define('rem', byFunct7(0x33, 6, 1), R, (e) => divide(e, i64.remS, same, none)),
  define('remu', byFunct7(0x33, 7, 1), R, (e) => divide(e, i64.remU, same)),
  define('mulw', byFunct7(0x3b, 0, 1), R, (e) => e.setRd(word(i32.mul(e.rs1Word, e.rs2Word)))),
  define('divw', byFunct7(0x3b, 4, 1), R, (e) => divideWord(e, i32.divS, onesWord, (a) => i32.sub(i32.const(0), a))),
  define('divuw', byFunct7(0x3b, 5, 1), R, (e) => divideWord(e, i32.divU, onesWord)),
  define('remw', byFunct7(0x3b, 6, 1), R, (e) => divideWord(e, i32.remS, sameWord, () => i32.const(0))),
  define('remuw', byFunct7(0x3b, 7, 1), R, (e) => divideWord(e, i32.remU, sameWord)),
];

/** The larger or smaller of two, as Zbb wants it. */
export const pick = (condition: (a: I64, b: I64) => I32) => (e: Emitter) => {
  const [a, b] = [e.body.keep(e.rs1), e.body.keep(e.rs2)];
  e.setRd(select(condition(a, b), a, b));
};
