import type { Label } from '../wasm/body.js';
import { truth } from '../wasm/body.js';
import { type F64, f32, f64, type I32, type I64, i32, i64, type Value } from '../wasm/value.js';
import { byFunct3, byFunct7, byFunct12, type Definition, define } from './definition.js';
import type { Emitter } from './emitter.js';
import { floatOptions, quietOptions, raiseInexact, toIntegerOptions, withSlowPath } from './float.js';
import { DOUBLE, type FloatKind, SINGLE } from './float-kinds.js';
import { FP, I, R, S } from './formats.js';

/** F and D: loads, stores, moves, comparisons, conversions (unprivileged specification, chapters 11 and 12). */

type Float = 'f32' | 'f64';
const OP_FP = 0x53;
const BOX = 0xffffffff00000000n;

/** Raw bits of a single operand: NaN-boxed, or the canonical NaN. */
const bits32 = (e: Emitter, operand: 1 | 2): I64 => i64.extendU(i32.reinterpret(e.fs32(operand)));
const box = (low: I64): I64 => i64.or(low, i64.const(BOX));

const memory: Definition[] = [
  define(
    'flw',
    byFunct3(0x07, 2),
    I,
    (e) => {
      e.requireFloat();
      e.setFd(box(e.load({ bytes: 4, signed: false }, i64.add(e.rs1, e.imm))));
    },
    quietOptions,
  ),
  define(
    'fld',
    byFunct3(0x07, 3),
    I,
    (e) => {
      e.requireFloat();
      e.setFd64(e.loadDouble(i64.add(e.rs1, e.imm)));
    },
    quietOptions,
  ),
  define(
    'fsw',
    byFunct3(0x27, 2),
    S,
    (e) => {
      e.requireFloat();
      e.store({ bytes: 4, signed: false }, i64.add(e.rs1, e.imm), e.fs(2));
    },
    quietOptions,
  ),
  define(
    'fsd',
    byFunct3(0x27, 3),
    S,
    (e) => {
      e.requireFloat();
      e.storeDouble(i64.add(e.rs1, e.imm), e.fs64(2));
    },
    quietOptions,
  ),
];

const toX = { pure: false, writesX: true } as const;

const moves: Definition[] = [
  define(
    'fmv.x.w',
    byFunct12(OP_FP, 0, 0xe00),
    R,
    (e) => {
      e.requireFloat();
      e.setRd(i64.extend32S(e.fs(1)));
    },
    toX,
  ),
  define(
    'fmv.w.x',
    byFunct12(OP_FP, 0, 0xf00),
    R,
    (e) => {
      e.requireFloat();
      e.setFd(box(i64.extendU(e.rs1Word)));
    },
    quietOptions,
  ),
  define(
    'fmv.x.d',
    byFunct12(OP_FP, 0, 0xe20),
    R,
    (e) => {
      e.requireFloat();
      e.setRd(e.fs(1));
    },
    toX,
  ),
  define(
    'fmv.d.x',
    byFunct12(OP_FP, 0, 0xf20),
    R,
    (e) => {
      e.requireFloat();
      e.setFd(e.rs1);
    },
    quietOptions,
  ),
];

/** fsgnj, fsgnjn, fsgnjx on raw bits; `sign` is the sign bit. */
function signInjection(suffix: 's' | 'd', format: number, sign: bigint): Definition[] {
  const operand = (e: Emitter, which: 1 | 2): I64 => (suffix === 's' ? bits32(e, which) : e.fs(which));
  const make = (name: string, funct3: number, signOf: (a: I64, b: I64) => I64, ofItself: (a: F64) => F64): Definition =>
    define(
      `${name}.${suffix}`,
      byFunct7(OP_FP, funct3, 0x10 | format),
      R,
      (e) => {
        e.requireFloat();
        if (suffix === 'd' && e.sameOperands) {
          e.setFd64(ofItself(e.fs64(1)));
          return;
        }
        const a = e.body.keep(operand(e, 1));
        const result = i64.or(i64.and(a, i64.const(sign - 1n)), i64.and(signOf(a, operand(e, 2)), i64.const(sign)));
        e.setFd(suffix === 's' ? box(result) : result);
      },
      quietOptions,
    );
  return [
    make(
      'fsgnj',
      0,
      (_a, b) => b,
      (a) => a,
    ),
    make('fsgnjn', 1, (_a, b) => i64.xor(b, i64.const(-1)), f64.neg),
    make('fsgnjx', 2, (a, b) => i64.xor(a, b), f64.abs),
  ];
}

/** Comparisons, minimum and maximum: exact unless an operand is a NaN, which goes the slow way. */
function ordered<T extends Float>(kind: FloatKind<T>): Definition[] {
  const make = (
    name: string,
    funct3: number,
    funct7: number,
    options: typeof toX | typeof quietOptions,
    fast: (e: Emitter, a: Value<T>, b: Value<T>) => void,
  ): Definition =>
    define(
      `${name}.${kind.suffix}`,
      byFunct7(OP_FP, funct3, funct7 | kind.format),
      R,
      (e) => {
        e.requireFloat();
        withSlowPath(e, `${name}.${kind.suffix}`, i32.const(0), (slow) => {
          const a = e.body.keep(kind.fs(e, 1));
          const b = e.body.keep(kind.fs(e, 2));
          const double = kind.type === 'f64';
          if (!double || !e.isNumber(1)) e.body.brIfUnlikely(kind.ne(a, a), slow);
          if (!double || !e.isNumber(2)) e.body.brIfUnlikely(kind.ne(b, b), slow);
          fast(e, a, b);
        });
      },
      options,
    );
  return [
    make('fmin', 0, 0x14, quietOptions, (e, a, b) => kind.setFd(e, kind.min(a, b))),
    make('fmax', 1, 0x14, quietOptions, (e, a, b) => kind.setFd(e, kind.max(a, b))),
    make('fle', 0, 0x50, toX, (e, a, b) => e.setRd(truth(kind.le(a, b)))),
    make('flt', 1, 0x50, toX, (e, a, b) => e.setRd(truth(kind.lt(a, b)))),
    make('feq', 2, 0x50, toX, (e, a, b) => e.setRd(truth(kind.eq(a, b)))),
    define(
      `fclass.${kind.suffix}`,
      byFunct12(OP_FP, 1, 0xe00 | (kind.format << 5)),
      R,
      (e) => {
        e.requireFloat();
        e.softFloat(`fclass.${kind.suffix}`, i32.const(0));
      },
      toX,
    ),
  ];
}

/** Conversions match all but rd, rs1 and the rounding mode. */
const conversion = (
  name: string,
  funct12: number,
  options: typeof floatOptions | typeof toIntegerOptions,
  fast: (e: Emitter, rounding: I32, slow: Label) => void,
): Definition =>
  define(
    name,
    [OP_FP | (funct12 << 20), 0xfff0007f],
    FP,
    (e) => {
      e.requireFloat();
      const rounding = e.body.keep(e.roundingMode());
      withSlowPath(e, name, rounding, (slow) => fast(e, rounding, slow));
    },
    options,
  );

const between: Definition[] = [
  conversion('fcvt.s.d', 0x401, floatOptions, (e, rounding, slow) => {
    e.body.brIfUnlikely(rounding, slow);
    const a = e.body.keep(e.fs64(1));
    const r = e.body.keep(f32.demote(a));
    // Normal and away from both ends, or zero from zero.
    const room = i32.ltU(i32.sub(SINGLE.exponent(r), i32.const(2)), i32.const(0xfc));
    e.body.brIfUnlikely(i32.eqz(i32.or(room, f64.eq(a, f64.const(0)))), slow);
    raiseInexact(e, () => f64.ne(f64.promote(r), a));
    e.setFd32(r);
  }),
  conversion('fcvt.d.s', 0x420, floatOptions, (e, _rounding, slow) => {
    const a = e.body.keep(e.fs32(1));
    e.body.brIfUnlikely(f32.ne(a, a), slow);
    e.setFd64(f64.promote(a));
  }),
];

/** From integers: those that the format holds exactly. */
function fromInteger<T extends Float>(kind: FloatKind<T>, convert: (value: I64) => Value<T>, digits: number) {
  const limit = 1n << BigInt(digits);
  const make = (suffix: string, rs2: number, value: (e: Emitter) => I64, large: (x: I64) => I32): Definition =>
    conversion(
      `fcvt.${kind.suffix}.${suffix}`,
      0xd00 | (kind.format << 5) | rs2,
      floatOptions,
      (e, _rounding, slow) => {
        const x = e.body.keep(value(e));
        e.body.brIfUnlikely(large(x), slow);
        kind.setFd(e, convert(x));
      },
    );
  const signed = (x: I64): I32 => i64.gtU(i64.add(x, i64.const(limit)), i64.const(limit * 2n));
  const unsigned = (x: I64): I32 => i64.gtU(x, i64.const(limit));
  return [
    make('w', 0, (e) => i64.extendS(e.rs1Word), signed),
    make('wu', 1, (e) => i64.extendU(e.rs1Word), unsigned),
    make('l', 2, (e) => e.rs1, signed),
    make('lu', 3, (e) => e.rs1, unsigned),
  ];
}

/** To integers: truncation (C's cast) within range is fast. */
function toInteger<T extends Float>(kind: FloatKind<T>, widen: (value: Value<T>) => Value<'f64'>): Definition[] {
  const make = (suffix: string, rs2: number, low: number, high: number, signed: boolean): Definition =>
    conversion(
      `fcvt.${suffix}.${kind.suffix}`,
      0xc00 | (kind.format << 5) | rs2,
      toIntegerOptions,
      (e, rounding, slow) => {
        const a = e.body.keep(widen(kind.fs(e, 1)));
        e.body.brIfUnlikely(i32.ne(rounding, i32.const(1)), slow);
        const fits = i32.and(f64.gt(a, f64.const(low)), f64.lt(a, f64.const(high)));
        e.body.brIfUnlikely(i32.eqz(fits), slow);
        const integer = e.body.keep(signed ? i64.truncF64S(a) : i64.truncF64U(a));
        raiseInexact(e, () => f64.ne(f64.trunc(a), a));
        e.setRd(suffix === 'wu' ? i64.extend32S(integer) : integer);
      },
    );
  return [
    make('w', 0, -(2 ** 31) - 1, 2 ** 31, true),
    make('wu', 1, -1, 2 ** 32, false),
    make('l', 2, -(2 ** 63), 2 ** 63, true),
    make('lu', 3, -1, 2 ** 64, false),
  ];
}

export const FLOAT_MOVES: readonly Definition[] = [
  ...memory,
  ...moves,
  ...signInjection('s', 0, 1n << 31n),
  ...signInjection('d', 1, 1n << 63n),
  ...ordered(SINGLE),
  ...ordered(DOUBLE),
  ...between,
  ...fromInteger(SINGLE, f32.convertI64S, 24),
  ...fromInteger(DOUBLE, f64.convertI64S, 53),
  ...toInteger(SINGLE, f64.promote),
  ...toInteger(DOUBLE, (value) => value),
];
