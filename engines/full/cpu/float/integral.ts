import type { Body, Local } from '../wasm/body.js';
import { type F64, f64, type I32, i32 } from '../wasm/value.js';
import { RM } from './encoding.js';

/** To an integral number by a rounding mode, which the code may be made for. NaNs stay what they are. */
export function roundedToIntegral(body: Body, rounding: I32 | number, x: Local<'f64'>): Local<'f64'> {
  if (typeof rounding === 'number') return body.keep(ROUNDED[rounding](body, x));
  const r = body.local('f64', f64.trunc(x));
  for (const mode of [RM.RNE, RM.RDN, RM.RUP, RM.RMM]) {
    body.if(i32.eq(rounding, i32.const(mode)), () => body.set(r, ROUNDED[mode](body, x)));
  }
  return r;
}

const ROUNDED: readonly ((body: Body, x: F64) => F64)[] = [
  (_body, x) => f64.nearest(x),
  (_body, x) => f64.trunc(x),
  (_body, x) => f64.floor(x),
  (_body, x) => f64.ceil(x),
  roundedAway,
];

/** To nearest, halves away from zero. */
function roundedAway(body: Body, x: F64): F64 {
  const whole = body.keep(f64.trunc(x));
  const more = body.keep(f64.ge(f64.abs(f64.sub(x, whole)), f64.const(0.5)));
  const one = f64.copysign(f64.convertI32U(more), x);
  return f64.add(whole, one);
}
