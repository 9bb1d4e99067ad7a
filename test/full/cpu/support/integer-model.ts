import { iType, rType } from './encode.js';

/**
 * The integer instructions as the specifications state them, on BigInt: no shared code, no cleverness. Registers are
 * passed and returned as unsigned 64-bit numbers; `imm` is signed.
 */
export interface ModelInstruction {
  name: string;
  encode: (rd: number, rs1: number, second: number) => number;
  /** rs2's value or the immediate. */
  evaluate: (a: bigint, b: bigint) => bigint;
  immediate?: { low: number; high: number };
}

const XLEN = 64n;
const u = (x: bigint): bigint => BigInt.asUintN(64, x);
const s = (x: bigint): bigint => BigInt.asIntN(64, x);
const u32 = (x: bigint): bigint => BigInt.asUintN(32, x);
const s32 = (x: bigint): bigint => BigInt.asIntN(32, x);
const MIN = -(1n << 63n);
const MIN32 = -(1n << 31n);

type Evaluate = (a: bigint, b: bigint) => bigint;
const r = (name: string, op: number, f3: number, f7: number, evaluate: Evaluate): ModelInstruction => ({
  name,
  encode: rType(op, f3, f7),
  evaluate: (a, b) => u(evaluate(a, b)),
});
const i = (name: string, op: number, f3: number, evaluate: Evaluate): ModelInstruction => ({
  name,
  encode: iType(op, f3),
  evaluate: (a, b) => u(evaluate(a, b)),
  immediate: { low: -2048, high: 2047 },
});
/** Shifts by an immediate: `upper` are the bits above the amount. */
const shift = (name: string, op: number, f3: number, upper: number, bits: number, evaluate: Evaluate) => ({
  name,
  encode: (rd: number, rs1: number, amount: number) => iType(op, f3)(rd, rs1, upper | amount),
  evaluate: (a: bigint, b: bigint) => u(evaluate(a, b)),
  immediate: { low: 0, high: (1 << bits) - 1 },
});
const unary = (name: string, op: number, f3: number, funct12: number, evaluate: (a: bigint) => bigint) => ({
  name,
  encode: (rd: number, rs1: number) => iType(op, f3)(rd, rs1, funct12),
  evaluate: (a: bigint) => u(evaluate(a)),
});

const six = (b: bigint): bigint => b & 63n;
const five = (b: bigint): bigint => b & 31n;

const rv64i: ModelInstruction[] = [
  r('add', 0x33, 0, 0, (a, b) => a + b),
  r('sub', 0x33, 0, 0x20, (a, b) => a - b),
  r('sll', 0x33, 1, 0, (a, b) => a << six(b)),
  r('slt', 0x33, 2, 0, (a, b) => (s(a) < s(b) ? 1n : 0n)),
  r('sltu', 0x33, 3, 0, (a, b) => (a < b ? 1n : 0n)),
  r('xor', 0x33, 4, 0, (a, b) => a ^ b),
  r('srl', 0x33, 5, 0, (a, b) => a >> six(b)),
  r('sra', 0x33, 5, 0x20, (a, b) => s(a) >> six(b)),
  r('or', 0x33, 6, 0, (a, b) => a | b),
  r('and', 0x33, 7, 0, (a, b) => a & b),
  r('addw', 0x3b, 0, 0, (a, b) => s32(a + b)),
  r('subw', 0x3b, 0, 0x20, (a, b) => s32(a - b)),
  r('sllw', 0x3b, 1, 0, (a, b) => s32(a << five(b))),
  r('srlw', 0x3b, 5, 0, (a, b) => s32(u32(a) >> five(b))),
  r('sraw', 0x3b, 5, 0x20, (a, b) => s32(a) >> five(b)),
  i('addi', 0x13, 0, (a, b) => a + b),
  i('slti', 0x13, 2, (a, b) => (s(a) < b ? 1n : 0n)),
  i('sltiu', 0x13, 3, (a, b) => (a < u(b) ? 1n : 0n)),
  i('xori', 0x13, 4, (a, b) => a ^ u(b)),
  i('ori', 0x13, 6, (a, b) => a | u(b)),
  i('andi', 0x13, 7, (a, b) => a & u(b)),
  i('addiw', 0x1b, 0, (a, b) => s32(a + b)),
  shift('slli', 0x13, 1, 0, 6, (a, b) => a << b),
  shift('srli', 0x13, 5, 0, 6, (a, b) => a >> b),
  shift('srai', 0x13, 5, 0x400, 6, (a, b) => s(a) >> b),
  shift('slliw', 0x1b, 1, 0, 5, (a, b) => s32(a << b)),
  shift('srliw', 0x1b, 5, 0, 5, (a, b) => s32(u32(a) >> b)),
  shift('sraiw', 0x1b, 5, 0x400, 5, (a, b) => s32(a) >> b),
];

/** Quotient and remainder that never trap (table 7.1). */
const div = (a: bigint, b: bigint, min: bigint): bigint => (b === 0n ? -1n : a === min && b === -1n ? min : a / b);
const rem = (a: bigint, b: bigint): bigint => (b === 0n ? a : a % b);

const m: ModelInstruction[] = [
  r('mul', 0x33, 0, 1, (a, b) => a * b),
  r('mulh', 0x33, 1, 1, (a, b) => (s(a) * s(b)) >> XLEN),
  r('mulhsu', 0x33, 2, 1, (a, b) => (s(a) * b) >> XLEN),
  r('mulhu', 0x33, 3, 1, (a, b) => (a * b) >> XLEN),
  r('div', 0x33, 4, 1, (a, b) => div(s(a), s(b), MIN)),
  r('divu', 0x33, 5, 1, (a, b) => div(a, b, MIN)),
  r('rem', 0x33, 6, 1, (a, b) => rem(s(a), s(b))),
  r('remu', 0x33, 7, 1, (a, b) => rem(a, b)),
  r('mulw', 0x3b, 0, 1, (a, b) => s32(a * b)),
  r('divw', 0x3b, 4, 1, (a, b) => s32(div(s32(a), s32(b), MIN32))),
  r('divuw', 0x3b, 5, 1, (a, b) => s32(div(u32(a), u32(b), MIN))),
  r('remw', 0x3b, 6, 1, (a, b) => s32(rem(s32(a), s32(b)))),
  r('remuw', 0x3b, 7, 1, (a, b) => s32(rem(u32(a), u32(b)))),
];

const either = (first: boolean, a: bigint, b: bigint): bigint => (first ? a : b);
const digits = (x: bigint, width: number): string => x.toString(2).padStart(width, '0');
const leading = (x: bigint, width: number): bigint => {
  const index = digits(x, width).indexOf('1');
  return BigInt(index < 0 ? width : index);
};
const trailing = (x: bigint, width: number): bigint => {
  const index = [...digits(x, width)].reverse().indexOf('1');
  return BigInt(index < 0 ? width : index);
};
const ones = (x: bigint): bigint => BigInt([...x.toString(2)].filter((digit) => digit === '1').length);
const rotateLeft = (x: bigint, amount: bigint, width: bigint): bigint =>
  BigInt.asUintN(Number(width), (x << amount) | (x >> (width - amount)));
const rotateRight = (x: bigint, amount: bigint, width: bigint): bigint =>
  rotateLeft(x, (width - amount) % width, width);
const eachByte = (x: bigint, change: (byte: bigint, index: number) => bigint): bigint =>
  Array.from({ length: 8 }, (_, index) => change((x >> BigInt(8 * index)) & 0xffn, index)).reduce((a, b) => a | b);

const zb: ModelInstruction[] = [
  r('sh1add', 0x33, 2, 0x10, (a, b) => (a << 1n) + b),
  r('sh2add', 0x33, 4, 0x10, (a, b) => (a << 2n) + b),
  r('sh3add', 0x33, 6, 0x10, (a, b) => (a << 3n) + b),
  r('add.uw', 0x3b, 0, 0x04, (a, b) => u32(a) + b),
  r('sh1add.uw', 0x3b, 2, 0x10, (a, b) => (u32(a) << 1n) + b),
  r('sh2add.uw', 0x3b, 4, 0x10, (a, b) => (u32(a) << 2n) + b),
  r('sh3add.uw', 0x3b, 6, 0x10, (a, b) => (u32(a) << 3n) + b),
  shift('slli.uw', 0x1b, 1, 0x080, 6, (a, b) => u32(a) << b),
  r('andn', 0x33, 7, 0x20, (a, b) => a & ~b),
  r('orn', 0x33, 6, 0x20, (a, b) => a | ~b),
  r('xnor', 0x33, 4, 0x20, (a, b) => ~(a ^ b)),
  unary('clz', 0x13, 1, 0x600, (a) => leading(a, 64)),
  unary('ctz', 0x13, 1, 0x601, (a) => trailing(a, 64)),
  unary('cpop', 0x13, 1, 0x602, (a) => ones(a)),
  unary('sext.b', 0x13, 1, 0x604, (a) => BigInt.asIntN(8, a)),
  unary('sext.h', 0x13, 1, 0x605, (a) => BigInt.asIntN(16, a)),
  unary('clzw', 0x1b, 1, 0x600, (a) => leading(u32(a), 32)),
  unary('ctzw', 0x1b, 1, 0x601, (a) => trailing(u32(a), 32)),
  unary('cpopw', 0x1b, 1, 0x602, (a) => ones(u32(a))),
  unary('zext.h', 0x3b, 4, 0x080, (a) => BigInt.asUintN(16, a)),
  unary('orc.b', 0x13, 5, 0x287, (a) => eachByte(a, (byte, at) => (byte === 0n ? 0n : 0xffn << BigInt(8 * at)))),
  unary('rev8', 0x13, 5, 0x6b8, (a) => eachByte(a, (byte, at) => byte << BigInt(56 - 8 * at))),
  r('max', 0x33, 6, 5, (a, b) => either(s(a) > s(b), a, b)),
  r('maxu', 0x33, 7, 5, (a, b) => either(a > b, a, b)),
  r('min', 0x33, 4, 5, (a, b) => either(s(a) < s(b), a, b)),
  r('minu', 0x33, 5, 5, (a, b) => either(a < b, a, b)),
  r('rol', 0x33, 1, 0x30, (a, b) => rotateLeft(a, six(b), 64n)),
  r('ror', 0x33, 5, 0x30, (a, b) => rotateRight(a, six(b), 64n)),
  r('rolw', 0x3b, 1, 0x30, (a, b) => s32(rotateLeft(u32(a), five(b), 32n))),
  r('rorw', 0x3b, 5, 0x30, (a, b) => s32(rotateRight(u32(a), five(b), 32n))),
  shift('rori', 0x13, 5, 0x600, 6, (a, b) => rotateRight(a, b, 64n)),
  shift('roriw', 0x1b, 5, 0x600, 5, (a, b) => s32(rotateRight(u32(a), b, 32n))),
  r('bclr', 0x33, 1, 0x24, (a, b) => a & ~(1n << six(b))),
  r('bext', 0x33, 5, 0x24, (a, b) => (a >> six(b)) & 1n),
  r('binv', 0x33, 1, 0x34, (a, b) => a ^ (1n << six(b))),
  r('bset', 0x33, 1, 0x14, (a, b) => a | (1n << six(b))),
  shift('bclri', 0x13, 1, 0x480, 6, (a, b) => a & ~(1n << b)),
  shift('bexti', 0x13, 5, 0x480, 6, (a, b) => (a >> b) & 1n),
  shift('binvi', 0x13, 1, 0x680, 6, (a, b) => a ^ (1n << b)),
  shift('bseti', 0x13, 1, 0x280, 6, (a, b) => a | (1n << b)),
];

export const INTEGER_MODEL: readonly ModelInstruction[] = [...rv64i, ...m, ...zb];
