import { OFFSET } from '../layout.js';
import type { Body, Local } from '../wasm/body.js';
import { type I32, type I64, i32, i64, select } from '../wasm/value.js';
import { BOX, FLAG, isDouble, RM, roundingOf, SIGN } from './encoding.js';

/** ORs exception flags. */
export function raise(body: Body, base: I32, flags: I32): void {
  body.store('i32', base, i32.or(i32.load(base, OFFSET.fflags), flags), OFFSET.fflags);
  body.store('i32', base, i32.const(1), OFFSET.fpDirty);
}

interface Format {
  /** Bits of the fraction. */
  readonly fraction: Local<'i64'>;
  readonly least: Local<'i32'>;
  readonly largest: Local<'i32'>;
  /** Bits of a significand with 63 bits that are cut off. */
  readonly cut: Local<'i32'>;
}

function formatOf(body: Body, how: I32): Format {
  const double = body.keep(isDouble(how));
  const either = (ofDouble: number, ofSingle: number): Local<'i32'> =>
    body.keep(select(double, i32.const(ofDouble), i32.const(ofSingle)));
  return {
    fraction: body.keep(select(double, i64.const(52), i64.const(23))),
    least: either(-1022, -126),
    largest: either(1023, 127),
    cut: either(10, 39),
  };
}

/**
 * What is added before `cut` bits are cut off, for each rounding mode: half, less one where the kept part is even (RNE); half
 * (RMM); all that does not reach the next one (away from zero), or nothing.
 */
function addend(body: Body, mode: I32, negative: I32, significand: I64, cut: I64): Local<'i64'> {
  const half = body.keep(i64.shl(i64.const(1), i64.sub(cut, i64.const(1))));
  const odd = i64.and(i64.shrU(significand, cut), i64.const(1));
  const result = body.local('i64', i64.add(i64.sub(half, i64.const(1)), odd));
  body.if(mode, () => {
    const away = i32.eq(mode, i32.add(i32.const(RM.RUP), i32.sub(i32.const(0), negative)));
    const directed = i64.sub(i64.shl(half, i64.const(1)), i64.const(1));
    const nearest = i32.eq(mode, i32.const(RM.RMM));
    body.set(result, select(nearest, half, select(away, directed, i64.const(0))));
  });
  return result;
}

/**
 * round(stateBase, negative, exponent, significand, how): a register's bits for (-1)^negative * significand *
 * 2^(exponent - 62), rounded once, flags raised. The significand is below 2^63 and not 0; its last bit may be sticky, if it has
 * at least 55 bits then. Tininess is detected after rounding (11.2).
 */
export function defineRound(body: Body): void {
  const base = body.parameter(0, 'i32');
  const negative = body.parameter(1, 'i32');
  const exponent = body.parameter(2, 'i32');
  const significand = body.parameter(3, 'i64');
  const how = body.parameter(4, 'i32');
  const format = formatOf(body, how);
  const mode = body.keep(roundingOf(how));
  const flags = body.local('i32', i32.const(0));
  const first = body.keep(i64.sub(i64.clz(significand), i64.const(1)));
  body.set(significand, i64.shl(significand, first));
  body.set(exponent, i32.sub(exponent, i32.wrap(first)));

  const cut = body.local('i64', i64.extendU(format.cut));
  const tiny = body.local('i32', i32.const(0));
  body.if(i32.ltS(exponent, format.least), () => {
    // Rounded as if the exponent had no limit: one that is just below may reach the least normal number.
    const unbounded = i64.add(significand, addend(body, mode, negative, significand, cut));
    const reaches = i64.ltS(unbounded, i64.const(0));
    const justBelow = i32.eq(exponent, i32.sub(format.least, i32.const(1)));
    body.set(tiny, i32.eqz(i32.and(reaches, justBelow)));
    body.set(cut, i64.add(cut, i64.extendS(i32.sub(format.least, exponent))));
    body.set(exponent, i32.sub(format.least, i32.const(1)));
    body.if(i64.gtU(cut, i64.const(63)), () => {
      body.set(significand, i64.const(1));
      body.set(cut, i64.const(63));
    });
  });
  const rest = i64.and(significand, i64.sub(i64.shl(i64.const(1), cut), i64.const(1)));
  body.if(i64.ne(rest, i64.const(0)), () => {
    body.set(flags, i32.or(i32.const(FLAG.NX), i32.shl(tiny, i32.const(1))));
    body.set(significand, i64.add(significand, addend(body, mode, negative, significand, cut)));
  });
  // A normal number's first digit adds 1 to the exponent field, and so does a carry beyond it.
  const field = i64.extendS(i32.sub(exponent, format.least));
  const isSubnormal = i32.ltS(exponent, format.least);
  const shifted = i64.shl(select(isSubnormal, i64.const(0), field), format.fraction);
  const magnitude = body.keep(i64.add(i64.shrU(significand, cut), shifted));
  const infinity = body.keep(
    i64.shl(i64.extendU(i32.add(i32.shl(format.largest, i32.const(1)), i32.const(1))), format.fraction),
  );
  const over = i32.or(i32.gtS(exponent, format.largest), i64.geU(magnitude, infinity));
  body.if(over, () => {
    body.set(flags, i32.const(FLAG.OF | FLAG.NX));
    const away = i32.eq(mode, i32.add(i32.const(RM.RUP), i32.sub(i32.const(0), negative)));
    const toInfinity = i32.or(i32.or(i32.eqz(mode), i32.eq(mode, i32.const(RM.RMM))), away);
    body.set(magnitude, i64.sub(infinity, i64.extendU(i32.eqz(toInfinity))));
  });
  body.if(flags, () => raise(body, base, flags));
  const sign = i64.shl(i64.extendU(negative), select(isDouble(how), i64.const(63), i64.const(31)));
  const box = select(isDouble(how), i64.const(0), i64.const(BOX));
  body.return(i64.or(i64.or(magnitude, sign), box));
  body.unreachable();
}

/** A zero of a sign, as a register's bits. */
export const zeroBits = (negative: I32, how: I32): I64 =>
  select(
    isDouble(how),
    select(negative, i64.const(SIGN), i64.const(0)),
    select(negative, i64.const(BOX | (1n << 31n)), i64.const(BOX)),
  );
