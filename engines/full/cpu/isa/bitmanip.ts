import { type I64, i32, i64 } from '../wasm/value.js';
import { word } from './base.js';
import { byFunct7, byFunct12, type Definition, define } from './definition.js';
import type { Emitter } from './emitter.js';
import { I, R, SHAMT5, SHAMT6 } from './formats.js';
import { pick } from './muldiv.js';

/** Zba, Zbb, Zbs (Bit-Manipulation ISA-extensions 1.0.0). */

const OP = 0x33;
const OP_IMM = 0x13;
const OP_32 = 0x3b;
const OP_IMM_32 = 0x1b;

const not = (a: I64): I64 => i64.xor(a, i64.const(-1));
const unsignedWord = (e: Emitter): I64 => i64.extendU(e.rs1Word);
const shiftAdd = (amount: number) => (e: Emitter) => e.setRd(i64.add(i64.shl(e.rs1, i64.const(amount)), e.rs2));
const shiftAddWord = (amount: number) => (e: Emitter) =>
  e.setRd(i64.add(i64.shl(unsignedWord(e), i64.const(amount)), e.rs2));

const ZBA: Definition[] = [
  define('sh1add', byFunct7(OP, 2, 0x10), R, shiftAdd(1)),
  define('sh2add', byFunct7(OP, 4, 0x10), R, shiftAdd(2)),
  define('sh3add', byFunct7(OP, 6, 0x10), R, shiftAdd(3)),
  define('add.uw', byFunct7(OP_32, 0, 0x04), R, shiftAddWord(0)),
  define('sh1add.uw', byFunct7(OP_32, 2, 0x10), R, shiftAddWord(1)),
  define('sh2add.uw', byFunct7(OP_32, 4, 0x10), R, shiftAddWord(2)),
  define('sh3add.uw', byFunct7(OP_32, 6, 0x10), R, shiftAddWord(3)),
  define('slli.uw', [OP_IMM_32 | (1 << 12) | (0x02 << 26), 0xfc00707f], SHAMT6, (e) =>
    e.setRd(i64.shl(unsignedWord(e), e.imm)),
  ),
];

/** Every byte that is not 0 becomes 0xff. */
function orCombine(e: Emitter): void {
  const lows = i64.const(0x7f7f7f7f7f7f7f7fn);
  const x = e.body.keep(e.rs1);
  // Bit 7 of each byte: set when the byte is not 0 (the addition cannot carry into the next byte).
  const sum = i64.or(i64.add(i64.and(x, lows), lows), x);
  const flags = i64.shrU(i64.and(sum, i64.const(0x8080808080808080n)), i64.const(7));
  e.setRd(i64.mul(flags, i64.const(0xff)));
}

/** Reverses the bytes: swaps neighbours, pairs, halves. */
function reverseBytes(e: Emitter): void {
  const swap = (x: I64, mask: bigint, distance: number): I64 =>
    i64.or(
      i64.and(i64.shrU(x, i64.const(distance)), i64.const(mask)),
      i64.shl(i64.and(x, i64.const(mask)), i64.const(distance)),
    );
  const bytes = e.body.keep(swap(e.body.keep(e.rs1), 0x00ff00ff00ff00ffn, 8));
  const pairs = e.body.keep(swap(bytes, 0x0000ffff0000ffffn, 16));
  e.setRd(i64.rotl(pairs, i64.const(32)));
}

const unary = (name: string, opcode: number, funct12: number, emit: (e: Emitter) => void): Definition =>
  define(name, byFunct12(opcode, 1, funct12), I, emit);

const ZBB: Definition[] = [
  define('andn', byFunct7(OP, 7, 0x20), R, (e) => e.setRd(i64.and(e.rs1, not(e.rs2)))),
  define('orn', byFunct7(OP, 6, 0x20), R, (e) => e.setRd(i64.or(e.rs1, not(e.rs2)))),
  define('xnor', byFunct7(OP, 4, 0x20), R, (e) => e.setRd(not(i64.xor(e.rs1, e.rs2)))),
  unary('clz', OP_IMM, 0x600, (e) => e.setRd(i64.clz(e.rs1))),
  unary('ctz', OP_IMM, 0x601, (e) => e.setRd(i64.ctz(e.rs1))),
  unary('cpop', OP_IMM, 0x602, (e) => e.setRd(i64.popcnt(e.rs1))),
  unary('sext.b', OP_IMM, 0x604, (e) => e.setRd(i64.extend8S(e.rs1))),
  unary('sext.h', OP_IMM, 0x605, (e) => e.setRd(i64.extend16S(e.rs1))),
  unary('clzw', OP_IMM_32, 0x600, (e) => e.setRd(word(i32.clz(e.rs1Word)))),
  unary('ctzw', OP_IMM_32, 0x601, (e) => e.setRd(word(i32.ctz(e.rs1Word)))),
  unary('cpopw', OP_IMM_32, 0x602, (e) => e.setRd(word(i32.popcnt(e.rs1Word)))),
  define('max', byFunct7(OP, 6, 0x05), R, pick(i64.gtS)),
  define('maxu', byFunct7(OP, 7, 0x05), R, pick(i64.gtU)),
  define('min', byFunct7(OP, 4, 0x05), R, pick(i64.ltS)),
  define('minu', byFunct7(OP, 5, 0x05), R, pick(i64.ltU)),
  define('zext.h', byFunct12(OP_32, 4, 0x080), R, (e) => e.setRd(i64.and(e.rs1, i64.const(0xffff)))),
  define('rol', byFunct7(OP, 1, 0x30), R, (e) => e.setRd(i64.rotl(e.rs1, e.rs2))),
  define('ror', byFunct7(OP, 5, 0x30), R, (e) => e.setRd(i64.rotr(e.rs1, e.rs2))),
  define('rori', [OP_IMM | (5 << 12) | (0x18 << 26), 0xfc00707f], SHAMT6, (e) => e.setRd(i64.rotr(e.rs1, e.imm))),
  define('rolw', byFunct7(OP_32, 1, 0x30), R, (e) => e.setRd(word(i32.rotl(e.rs1Word, e.rs2Word)))),
  define('rorw', byFunct7(OP_32, 5, 0x30), R, (e) => e.setRd(word(i32.rotr(e.rs1Word, e.rs2Word)))),
  define('roriw', byFunct7(OP_IMM_32, 5, 0x30), SHAMT5, (e) => e.setRd(word(i32.rotr(e.rs1Word, e.immWord)))),
  define('orc.b', byFunct12(OP_IMM, 5, 0x287), I, orCombine),
  define('rev8', byFunct12(OP_IMM, 5, 0x6b8), I, reverseBytes),
];

const bit = (index: I64): I64 => i64.shl(i64.const(1), index);
type Operation = (a: I64, index: I64) => I64;
const extract: Operation = (a, index) => i64.and(i64.shrU(a, index), i64.const(1));

/** The register and the immediate form of a single-bit instruction. */
const single = (name: string, funct3: number, funct7: number, operation: Operation): Definition[] => [
  define(name, byFunct7(OP, funct3, funct7), R, (e) => e.setRd(operation(e.rs1, e.rs2))),
  define(`${name}i`, [OP_IMM | (funct3 << 12) | (funct7 << 25), 0xfc00707f], SHAMT6, (e) =>
    e.setRd(operation(e.rs1, e.imm)),
  ),
];

const ZBS: Definition[] = [
  ...single('bclr', 1, 0x24, (a, index) => i64.and(a, not(bit(index)))),
  ...single('bext', 5, 0x24, extract),
  ...single('binv', 1, 0x34, (a, index) => i64.xor(a, bit(index))),
  ...single('bset', 1, 0x14, (a, index) => i64.or(a, bit(index))),
];

export const BITMANIP: readonly Definition[] = [...ZBA, ...ZBB, ...ZBS];
