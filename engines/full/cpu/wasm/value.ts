/**
 * Typed WebAssembly expressions as plain data: a Value knows its type and its bytes. Making one has no effect;
 * a Body emits it. A Value that is used twice is computed twice: put it into a local first.
 */

export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

/** Nested byte lists, flattened when the module is encoded. */
export type Chunk = number | readonly Chunk[];

/** In place of a byte: the branch that follows is rarely taken (a mark for the branch hints' section; emits nothing). */
export const UNLIKELY = -1;
/** The same: usually taken. */
export const LIKELY = -2;

export const TYPE_CODE: Record<ValueType, number> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

/** What a 64-bit integer was made of: its low half; `from`, shifted to the left by 32 or more. */
export interface Halves {
  readonly low?: Value<'i32'>;
  readonly raised?: { readonly from: Value<'i32'>; readonly by: number };
}

export class Value<T extends ValueType> {
  /**
   * What is known of 32-bit integers: that they are certainly not negative as signed ones (`natural`); a constant's value.
   */
  constructor(
    readonly type: T,
    readonly code: Chunk,
    readonly natural = false,
    readonly known?: number,
    readonly halves?: Halves,
  ) {}
}

export type I32 = Value<'i32'>;
export type I64 = Value<'i64'>;
export type F32 = Value<'f32'>;
export type F64 = Value<'f64'>;
export type V128 = Value<'v128'>;

/** Encoded numbers that come again and again: the same few offsets and constants are most of a module. */
const SMALL_ULEBS: readonly (readonly number[])[] = Array.from({ length: 1024 }, (_, value) => encodeUleb(value));

/** Unsigned LEB128. */
export function uleb(value: number): readonly number[] {
  return SMALL_ULEBS[value] ?? encodeUleb(value);
}

function encodeUleb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}

/** Signed LEB128 of a 32-bit integer: most constants, and ten times as fast without BigInt. */
function slebSmall(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; ) {
    const low = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)) {
      bytes.push(low);
      return bytes;
    }
    bytes.push(low | 0x80);
  }
}

/** Signed LEB128. */
export function sleb(value: bigint | number): number[] {
  if (typeof value === 'number' && value === (value | 0)) return slebSmall(value);
  return slebLarge(BigInt.asIntN(64, BigInt(value)));
}

function slebLarge(value: bigint): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; ) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)) {
      bytes.push(low);
      return bytes;
    }
    bytes.push(low | 0x80);
  }
}

function unary<A extends ValueType, R extends ValueType>(_from: A, to: R, ...opcode: number[]) {
  return (a: Value<A>): Value<R> => new Value(to, [a.code, opcode]);
}

/** Comparisons and the like: 0 or 1, or a count. */
function count<A extends ValueType>(_from: A, ...opcode: number[]) {
  return (a: Value<A>): I32 => new Value('i32', [a.code, opcode], true);
}

function comparison<A extends ValueType>(_from: A, ...opcode: number[]) {
  return (a: Value<A>, b: Value<A>): I32 => new Value('i32', [a.code, b.code, opcode], true);
}

/** Not negative where both operands, or (`one`) either of them, are not. */
function bitwise(one: boolean, opcode: number) {
  return (a: I32, b: I32): I32 => {
    const natural = one ? a.natural || b.natural : a.natural && b.natural;
    return new Value('i32', [a.code, b.code, opcode], natural);
  };
}

function binary<A extends ValueType, R extends ValueType>(_from: A, to: R, ...opcode: number[]) {
  return (a: Value<A>, b: Value<A>): Value<R> => new Value(to, [a.code, b.code, opcode]);
}

function load<R extends ValueType>(to: R, alignment: number, ...opcode: number[]) {
  return (address: I32, offset = 0): Value<R> => new Value(to, [address.code, opcode, alignment, uleb(offset)]);
}

/** Either value, by `condition`; both are computed. */
export function select<T extends ValueType>(condition: I32, then: Value<T>, otherwise: Value<T>): Value<T> {
  return new Value(then.type, [then.code, otherwise.code, condition.code, 0x1b]);
}

export const i32 = {
  const: (value: number): I32 => new Value('i32', [0x41, sleb(value | 0)], (value | 0) >= 0, value | 0),
  eqz: count('i32', 0x45),
  eq: comparison('i32', 0x46),
  ne: comparison('i32', 0x47),
  ltS: comparison('i32', 0x48),
  ltU: comparison('i32', 0x49),
  gtS: comparison('i32', 0x4a),
  gtU: comparison('i32', 0x4b),
  leS: comparison('i32', 0x4c),
  leU: comparison('i32', 0x4d),
  geS: comparison('i32', 0x4e),
  geU: comparison('i32', 0x4f),
  clz: count('i32', 0x67),
  ctz: count('i32', 0x68),
  popcnt: count('i32', 0x69),
  add: binary('i32', 'i32', 0x6a),
  sub: binary('i32', 'i32', 0x6b),
  mul: binary('i32', 'i32', 0x6c),
  divS: binary('i32', 'i32', 0x6d),
  divU: binary('i32', 'i32', 0x6e),
  remS: binary('i32', 'i32', 0x6f),
  remU: binary('i32', 'i32', 0x70),
  and: bitwise(true, 0x71),
  or: bitwise(false, 0x72),
  xor: bitwise(false, 0x73),
  shl: binary('i32', 'i32', 0x74),
  shrS: binary('i32', 'i32', 0x75),
  shrU: (a: I32, b: I32): I32 => new Value('i32', [a.code, b.code, 0x76], a.natural || ((b.known ?? 0) & 31) > 0),
  rotl: binary('i32', 'i32', 0x77),
  rotr: binary('i32', 'i32', 0x78),
  wrap: (a: I64): I32 => {
    if (a.known !== undefined) return i32.const(a.known);
    return a.halves?.low ?? new Value('i32', [a.code, 0xa7]);
  },
  truncF32S: unary('f32', 'i32', 0xfc, 0x00),
  truncF64S: unary('f64', 'i32', 0xfc, 0x02),
  truncF64U: unary('f64', 'i32', 0xfc, 0x03),
  reinterpret: unary('f32', 'i32', 0xbc),
  load: load('i32', 2, 0x28),
  load8U: load('i32', 0, 0x2d),
  load16U: load('i32', 1, 0x2f),
  atomicLoad: load('i32', 2, 0xfe, 0x10),
} as const;

const extended = (a: I32, opcode: number): I64 => new Value('i64', [a.code, opcode], false, undefined, { low: a });

function shiftLeft(a: I64, b: I64): I64 {
  const by = (b.known ?? 0) & 63;
  const halves = by >= 32 ? { raised: { from: i32.wrap(a), by } } : undefined;
  return new Value('i64', [a.code, b.code, 0x86], false, undefined, halves);
}

/**
 * To the right by a constant, of what has been shifted to the left: the compilers' way of extending words, which x86 has one
 * instruction for or none. V8 does as it is told.
 */
function shiftRight(opcode: number, narrow: (a: I32, b: I32) => I32, extend: (a: I32) => I64) {
  return (a: I64, b: I64): I64 => {
    const raised = a.halves?.raised;
    if (raised === undefined || b.known === undefined) return new Value('i64', [a.code, b.code, opcode]);
    const high = raised.by === 32 ? raised.from : i32.shl(raised.from, i32.const(raised.by - 32));
    const by = b.known & 63;
    if (by < 32) return shiftLeft(extend(high), i64.const(32 - by));
    return extend(by === 32 ? high : narrow(high, i32.const(by - 32)));
  };
}

/** Where the sign is known, the extension that V8 does for nothing. */
const extendS = (a: I32): I64 => extended(a, a.natural ? 0xad : 0xac);
const extendU = (a: I32): I64 => extended(a, 0xad);

export const i64 = {
  const: (value: bigint | number): I64 => {
    const known = typeof value === 'number' && value === (value | 0) ? value : undefined;
    return new Value('i64', [0x42, sleb(value)], false, known);
  },
  eqz: count('i64', 0x50),
  eq: comparison('i64', 0x51),
  ne: comparison('i64', 0x52),
  ltS: comparison('i64', 0x53),
  ltU: comparison('i64', 0x54),
  gtS: comparison('i64', 0x55),
  gtU: comparison('i64', 0x56),
  leS: comparison('i64', 0x57),
  leU: comparison('i64', 0x58),
  geS: comparison('i64', 0x59),
  geU: comparison('i64', 0x5a),
  clz: unary('i64', 'i64', 0x79),
  ctz: unary('i64', 'i64', 0x7a),
  popcnt: unary('i64', 'i64', 0x7b),
  add: binary('i64', 'i64', 0x7c),
  sub: binary('i64', 'i64', 0x7d),
  mul: binary('i64', 'i64', 0x7e),
  divS: binary('i64', 'i64', 0x7f),
  divU: binary('i64', 'i64', 0x80),
  remS: binary('i64', 'i64', 0x81),
  remU: binary('i64', 'i64', 0x82),
  and: binary('i64', 'i64', 0x83),
  or: binary('i64', 'i64', 0x84),
  xor: binary('i64', 'i64', 0x85),
  shl: shiftLeft,
  shrS: shiftRight(0x87, i32.shrS, extendS),
  shrU: shiftRight(0x88, i32.shrU, extendU),
  rotl: binary('i64', 'i64', 0x89),
  rotr: binary('i64', 'i64', 0x8a),
  extendS,
  extendU,
  extend8S: unary('i64', 'i64', 0xc2),
  extend16S: unary('i64', 'i64', 0xc3),
  extend32S: unary('i64', 'i64', 0xc4),
  truncF64S: unary('f64', 'i64', 0xfc, 0x06),
  truncF64U: unary('f64', 'i64', 0xfc, 0x07),
  reinterpret: unary('f64', 'i64', 0xbd),
  load: load('i64', 3, 0x29),
  load8S: load('i64', 0, 0x30),
  load8U: load('i64', 0, 0x31),
  load16S: load('i64', 1, 0x32),
  load16U: load('i64', 1, 0x33),
  load32S: load('i64', 2, 0x34),
  load32U: load('i64', 2, 0x35),
  atomicLoad: load('i64', 3, 0xfe, 0x11),
  atomicLoad32U: load('i64', 2, 0xfe, 0x16),
} as const;

export const f32 = {
  const: (value: number): F32 => new Value('f32', [0x43, [...new Uint8Array(new Float32Array([value]).buffer)]]),
  eq: binary('f32', 'i32', 0x5b),
  ne: binary('f32', 'i32', 0x5c),
  lt: binary('f32', 'i32', 0x5d),
  le: binary('f32', 'i32', 0x5f),
  abs: unary('f32', 'f32', 0x8b),
  neg: unary('f32', 'f32', 0x8c),
  min: binary('f32', 'f32', 0x96),
  max: binary('f32', 'f32', 0x97),
  sqrt: unary('f32', 'f32', 0x91),
  add: binary('f32', 'f32', 0x92),
  sub: binary('f32', 'f32', 0x93),
  mul: binary('f32', 'f32', 0x94),
  div: binary('f32', 'f32', 0x95),
  convertI32S: unary('i32', 'f32', 0xb2),
  convertI64S: unary('i64', 'f32', 0xb4),
  convertI64U: unary('i64', 'f32', 0xb5),
  demote: unary('f64', 'f32', 0xb6),
  reinterpret: unary('i32', 'f32', 0xbe),
  load: load('f32', 2, 0x2a),
} as const;

export const f64 = {
  const: (value: number): F64 => new Value('f64', [0x44, [...new Uint8Array(new Float64Array([value]).buffer)]]),
  eq: binary('f64', 'i32', 0x61),
  ne: binary('f64', 'i32', 0x62),
  lt: binary('f64', 'i32', 0x63),
  gt: binary('f64', 'i32', 0x64),
  le: binary('f64', 'i32', 0x65),
  ge: binary('f64', 'i32', 0x66),
  abs: unary('f64', 'f64', 0x99),
  min: binary('f64', 'f64', 0xa4),
  max: binary('f64', 'f64', 0xa5),
  neg: unary('f64', 'f64', 0x9a),
  ceil: unary('f64', 'f64', 0x9b),
  floor: unary('f64', 'f64', 0x9c),
  trunc: unary('f64', 'f64', 0x9d),
  nearest: unary('f64', 'f64', 0x9e),
  sqrt: unary('f64', 'f64', 0x9f),
  add: binary('f64', 'f64', 0xa0),
  sub: binary('f64', 'f64', 0xa1),
  mul: binary('f64', 'f64', 0xa2),
  div: binary('f64', 'f64', 0xa3),
  copysign: binary('f64', 'f64', 0xa6),
  convertI32S: unary('i32', 'f64', 0xb7),
  convertI32U: unary('i32', 'f64', 0xb8),
  convertI64S: unary('i64', 'f64', 0xb9),
  convertI64U: unary('i64', 'f64', 0xba),
  promote: unary('f32', 'f64', 0xbb),
  reinterpret: unary('i64', 'f64', 0xbf),
  load: load('f64', 3, 0x2b),
} as const;

/** Lanes of 32 bits: the first of two vectors, their second ones, and the same again. */
const UNPACKED = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23];
const ALL_ONES = [0xfd, 0x0c, ...new Array<number>(16).fill(0xff)];

/** A NaN-boxed single, and the low half of a register as a single, without leaving the floating-point registers. */
export const boxed = {
  box: (single: F32): F64 => new Value('f64', [single.code, 0xfd, 0x13, ALL_ONES, 0xfd, 0x0d, UNPACKED, 0xfd, 0x21, 0]),
  low: (raw: F64): F32 => new Value('f32', [raw.code, 0xfd, 0x14, 0xfd, 0x1f, 0]),
} as const;

const lane64 =
  (lane: 0 | 1) =>
  (a: V128): F64 =>
    new Value('f64', [a.code, 0xfd, 0x21, lane]);

/** Fixed-width SIMD: two doubles, and what is done with their bits. Comparisons give lanes of all ones or zeros. */
export const f64x2 = {
  splat: unary('f64', 'v128', 0xfd, 0x14),
  first: lane64(0),
  second: lane64(1),
  eq: binary('v128', 'v128', 0xfd, 0x47),
  ge: binary('v128', 'v128', 0xfd, 0x4c),
  and: binary('v128', 'v128', 0xfd, 0x4e),
  or: binary('v128', 'v128', 0xfd, 0x50),
  xor: binary('v128', 'v128', 0xfd, 0x51),
  abs: unary('v128', 'v128', 0xfd, 0xec, 0x01),
  neg: unary('v128', 'v128', 0xfd, 0xed, 0x01),
  add: binary('v128', 'v128', 0xfd, 0xf0, 0x01),
  sub: binary('v128', 'v128', 0xfd, 0xf1, 0x01),
  mul: binary('v128', 'v128', 0xfd, 0xf2, 0x01),
  /** Of lanes of 32 bits, signed. */
  minWords: binary('v128', 'v128', 0xfd, 0xb6, 0x01),
  maxWords: binary('v128', 'v128', 0xfd, 0xb8, 0x01),
  subWords: binary('v128', 'v128', 0xfd, 0xb1, 0x01),
  /** Whether any bit is set. */
  any: unary('v128', 'i32', 0xfd, 0x53),
  /** The lanes' top bits. */
  bitmask: unary('v128', 'i32', 0xfd, 0xc4, 0x01),
  load: load('v128', 3, 0xfd, 0x00),
} as const;

const fused =
  (opcode: readonly number[]) =>
  (a: V128, b: V128, c: V128): V128 =>
    new Value('v128', [a.code, b.code, c.code, 0xfd, opcode]);

/** a * b + c, rounded once: only where hasFusedMultiplyAdd() (features.ts) says so. */
export const fusedMultiplyAdd = {
  f64: (a: F64, b: F64, c: F64): F64 =>
    f64x2.first(fusedMultiplyAdd.f64x2(f64x2.splat(a), f64x2.splat(b), f64x2.splat(c))),
  f64x2: fused([0x87, 0x02]),
  f32: (a: F32, b: F32, c: F32): F32 => {
    const splat = unary('f32', 'v128', 0xfd, 0x13);
    return unary('v128', 'f32', 0xfd, 0x1f, 0x00)(fused([0x85, 0x02])(splat(a), splat(b), splat(c)));
  },
} as const;
