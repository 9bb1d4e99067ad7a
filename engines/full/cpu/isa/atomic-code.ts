import { OFFSET } from '../layout.js';
import { type Body, truth } from '../wasm/body.js';
import { type I32, type I64, i32, i64, select } from '../wasm/value.js';
import type { AmoChange } from './emitter.js';

/** Code of atomic instructions, at an aligned address in wasm memory: the same for interpreter and translator. */

const extend = (width: 4 | 8, value: I64): I64 => (width === 4 ? i64.extend32S(value) : value);
const narrow = (width: 4 | 8, value: I64): I64 => (width === 4 ? i64.and(value, i64.const(0xffffffffn)) : value);

const atomicLoad = (width: 4 | 8, address: I32): I64 =>
  width === 4 ? i64.atomicLoad32U(address) : i64.atomicLoad(address);

/** The old value. */
export function emitAmo(body: Body, width: 4 | 8, change: AmoChange, address: I32, rs2: I64): I64 {
  const operand = body.keep(narrow(width, rs2));
  if ('rmw' in change) return body.keep(extend(width, body.atomicRmw(change.rmw, width, address, operand)));
  const old = body.local('i64');
  body.loop((again) => {
    body.set(old, atomicLoad(width, address));
    const chosen = select(change.choose(extend(width, old), extend(width, operand)), old, operand);
    body.brIf(i64.ne(body.atomicCompareExchange(width, address, old, chosen), old), again);
  });
  return body.keep(extend(width, old));
}

/** The reservation is the value: SC succeeds when memory still (or again: ABA) holds it. */
export function emitLoadReserved(body: Body, base: I32, width: 4 | 8, address: I32): I64 {
  const value = body.keep(atomicLoad(width, address));
  body.store('i32', base, address, OFFSET.reservation);
  body.store('i64', base, value, OFFSET.reservedValue);
  return extend(width, value);
}

/** 0 when it succeeded. */
export function emitStoreConditional(body: Body, base: I32, width: 4 | 8, address: I32, rs2: I64): I64 {
  const failed = body.local('i32', i32.const(1));
  body.if(i32.eq(i32.load(base, OFFSET.reservation), address), () => {
    const expected = body.keep(i64.load(base, OFFSET.reservedValue));
    body.set(failed, i64.ne(body.atomicCompareExchange(width, address, expected, narrow(width, rs2)), expected));
  });
  body.store('i32', base, i32.const(0), OFFSET.reservation);
  return truth(failed);
}
