import { roundedToIntegral } from '../float/integral.js';
import type { Label } from '../wasm/body.js';
import { truth } from '../wasm/body.js';
import { type F64, f32, f64, type I32, type I64, i32, i64, select, type Value } from '../wasm/value.js';
import { byFunct3, byFunct7, byFunct12, type Definition, define } from './definition.js';
import type { Emitter } from './emitter.js';
import { exactF, floatOptions, quietOptions, raiseInexact, toIntegerOptions, withSlowPath } from './float.js';
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
      e.setFd32(e.loadSingle(i64.add(e.rs1, e.imm)));
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
      e.storeSingle(i64.add(e.rs1, e.imm));
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

/** Comparisons, minimum and maximum: simple unless an operand is a NaN. */
function ordered<T extends Float>(kind: FloatKind<T>): Definition[] {
  const make = (
    name: 'fmin' | 'fmax' | 'fle' | 'flt' | 'feq',
    funct3: number,
    funct7: number,
    fast: (e: Emitter, a: Value<T>, b: Value<T>) => void,
  ): Definition => {
    const compares = funct7 === 0x50;
    const exactly = (e: Emitter) => (): void => {
      if (compares) e.setRd(e.exact(name, kind.format, i32.const(0), e.fs(1), e.fs(2)));
      else exactF(e, name, kind.format, i32.const(0), 2);
    };
    return define(
      `${name}.${kind.suffix}`,
      byFunct7(OP_FP, funct3, funct7 | kind.format),
      R,
      (e) => {
        e.requireFloat();
        withSlowPath(e, exactly(e), (slow) => {
          const a = e.body.keep(kind.fs(e, 1));
          const b = e.body.keep(kind.fs(e, 2));
          e.body.brIfUnlikely(i32.or(kind.ne(a, a), kind.ne(b, b)), slow);
          fast(e, a, b);
        });
      },
      compares ? toX : quietOptions,
    );
  };
  return [
    make('fmin', 0, 0x14, (e, a, b) => kind.setFd(e, kind.min(a, b))),
    make('fmax', 1, 0x14, (e, a, b) => kind.setFd(e, kind.max(a, b))),
    make('fle', 0, 0x50, (e, a, b) => e.setRd(truth(kind.le(a, b)))),
    make('flt', 1, 0x50, (e, a, b) => e.setRd(truth(kind.lt(a, b)))),
    make('feq', 2, 0x50, (e, a, b) => e.setRd(truth(kind.eq(a, b)))),
  ];
}

/** One bit of ten, from negative infinity to quiet NaN (table 11.6). */
function classification(suffix: 's' | 'd', format: number, width: number, fraction: number): Definition {
  const sign = 1n << BigInt(width - 1);
  const least = 1n << BigInt(fraction);
  const infinity = sign - least;
  return define(
    `fclass.${suffix}`,
    byFunct12(OP_FP, 1, 0xe00 | (format << 5)),
    R,
    (e) => {
      e.requireFloat();
      const bits = e.body.keep(suffix === 's' ? bits32(e, 1) : e.fs(1));
      const size = e.body.keep(i64.and(bits, i64.const(sign - 1n)));
      const atLeast = (limit: bigint): I32 => i64.geU(size, i64.const(limit));
      // 0 zero, 1 subnormal, 2 normal, 3 infinite.
      const kind = e.body.keep(i32.add(i32.add(atLeast(1n), atLeast(least)), atLeast(infinity)));
      const negative = i64.ne(i64.and(bits, i64.const(sign)), i64.const(0));
      const number = select(negative, i32.sub(i32.const(3), kind), i32.add(i32.const(4), kind));
      const nan = i32.add(i32.const(8), atLeast(infinity | (least >> 1n)));
      const index = select(atLeast(infinity + 1n), nan, number);
      e.setRd(i64.shl(i64.const(1), i64.extendU(index)));
    },
    toX,
  );
}

/** Conversions match all but rd, rs1 and the rounding mode. */
const conversion = (
  name: string,
  funct12: number,
  options: typeof floatOptions | typeof toIntegerOptions,
  exactly: (e: Emitter, rounding: I32) => void,
  fast: (e: Emitter, rounding: I32, slow: Label) => void,
): Definition =>
  define(
    name,
    [OP_FP | (funct12 << 20), 0xfff0007f],
    FP,
    (e) => {
      e.requireFloat();
      const rounding = e.body.keep(e.roundingMode());
      withSlowPath(
        e,
        () => exactly(e, rounding),
        (slow) => fast(e, rounding, slow),
      );
    },
    options,
  );

const between: Definition[] = [
  conversion(
    'fcvt.s.d',
    0x401,
    floatOptions,
    (e, rounding) => exactF(e, 'fcvt', 0, rounding, 1),
    (e, rounding, slow) => {
      e.body.brIfUnlikely(rounding, slow);
      const a = e.body.keep(e.fs64(1));
      const r = e.body.keep(f32.demote(a));
      // Normal and away from both ends, or zero from zero.
      const room = i32.ltU(i32.sub(SINGLE.exponent(r), i32.const(2)), i32.const(0xfc));
      e.body.brIfUnlikely(i32.eqz(i32.or(room, f64.eq(a, f64.const(0)))), slow);
      raiseInexact(e, () => f64.ne(f64.promote(r), a));
      e.setFd32(r);
    },
  ),
  conversion(
    'fcvt.d.s',
    0x420,
    floatOptions,
    (e, rounding) => exactF(e, 'fcvt', 1, rounding, 1),
    (e, _rounding, slow) => {
      const a = e.body.keep(e.fs32(1));
      e.body.brIfUnlikely(f32.ne(a, a), slow);
      e.setFd64(f64.promote(a));
    },
  ),
];

/** From integers: those that the format holds exactly, and all to nearest where NX is raised already. */
function fromInteger<T extends Float>(kind: FloatKind<T>, digits: number): Definition[] {
  const limit = 1n << BigInt(digits);
  const make = (
    suffix: 'w' | 'wu' | 'l' | 'lu',
    rs2: number,
    value: (e: Emitter) => I64,
    convert: (value: I64) => Value<T>,
  ): Definition =>
    conversion(
      `fcvt.${kind.suffix}.${suffix}`,
      0xd00 | (kind.format << 5) | rs2,
      floatOptions,
      (e, rounding) => e.setFd(e.exact(`from ${suffix}`, kind.format, rounding, e.rs1)),
      (e, rounding, slow) => {
        const x = e.body.keep(value(e));
        const signed = suffix === 'w' || suffix === 'l';
        const large = signed
          ? i64.gtU(i64.add(x, i64.const(limit)), i64.const(limit * 2n))
          : i64.gtU(x, i64.const(limit));
        const always = digits > 32 && suffix.startsWith('w');
        if (!always) e.body.unlikely(large, () => e.body.brIf(i32.or(rounding, i32.eqz(e.inexact)), slow));
        kind.setFd(e, convert(x));
      },
    );
  return [
    make('w', 0, (e) => i64.extendS(e.rs1Word), kind.convertI64S),
    make('wu', 1, (e) => i64.extendU(e.rs1Word), kind.convertI64U),
    make('l', 2, (e) => e.rs1, kind.convertI64S),
    make('lu', 3, (e) => e.rs1, kind.convertI64U),
  ];
}

/** To integers, within their range. */
function toInteger<T extends Float>(kind: FloatKind<T>, widen: (value: Value<T>) => Value<'f64'>): Definition[] {
  const make = (suffix: 'w' | 'wu' | 'l' | 'lu', rs2: number, low: number, limit: number): Definition =>
    conversion(
      `fcvt.${suffix}.${kind.suffix}`,
      0xc00 | (kind.format << 5) | rs2,
      toIntegerOptions,
      (e, rounding) => e.setRd(e.exact(`to ${suffix}`, kind.format, rounding, e.fs(1))),
      (e, rounding, slow) => {
        const a = e.body.keep(widen(kind.fs(e, 1)));
        const r = roundedToIntegral(e.body, e.knownRounding ?? rounding, a);
        const fits = i32.and(f64.ge(r, f64.const(low)), f64.lt(r, f64.const(limit)));
        e.body.brIfUnlikely(i32.eqz(fits), slow);
        const integer = e.body.keep(suffix === 'lu' ? i64.truncF64U(r) : i64.truncF64S(r));
        raiseInexact(e, () => f64.ne(r, a));
        e.setRd(suffix === 'wu' ? i64.extend32S(integer) : integer);
      },
    );
  return [
    make('w', 0, -(2 ** 31), 2 ** 31),
    make('wu', 1, 0, 2 ** 32),
    make('l', 2, -(2 ** 63), 2 ** 63),
    make('lu', 3, 0, 2 ** 64),
  ];
}

export const FLOAT_MOVES: readonly Definition[] = [
  ...memory,
  ...moves,
  ...signInjection('s', 0, 1n << 31n),
  ...signInjection('d', 1, 1n << 63n),
  ...ordered(SINGLE),
  ...ordered(DOUBLE),
  classification('s', 0, 32, 23),
  classification('d', 1, 64, 52),
  ...between,
  ...fromInteger(SINGLE, 24),
  ...fromInteger(DOUBLE, 53),
  ...toInteger(SINGLE, f64.promote),
  ...toInteger(DOUBLE, (value) => value),
];
