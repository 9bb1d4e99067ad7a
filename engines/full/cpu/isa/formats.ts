import type { Operands } from './definition.js';

/**
 * Operand extraction by format (unprivileged specification 20191213, 2.2 and 2.3; 16.2 for compressed ones).
 * Every field is signed 32-bit arithmetic on the encoded word.
 */

/** bits high:low of the word. */
export const bits = (insn: number, high: number, low: number): number => (insn >>> low) & ((1 << (high - low + 1)) - 1);

/* Operating systems have tens of thousands of encodings, each decoded at its first execution: no spreads, which are slow. */
const rd = (insn: number): number => (insn >>> 7) & 31;
const rs1 = (insn: number): number => (insn >>> 15) & 31;
const rs2 = (insn: number): number => (insn >>> 20) & 31;
const rs3 = (insn: number): number => insn >>> 27;
/** In the order that all Operands have. */
const operands = (rd: number, rs1: number, rs2: number, rs3: number, imm: number): Operands => ({
  rd,
  rs1,
  rs2,
  rs3,
  imm,
});

export const R = (insn: number): Operands => operands(rd(insn), rs1(insn), rs2(insn), 0, 0);
const withImmediate = (insn: number, imm: number): Operands => operands(rd(insn), rs1(insn), 0, 0, imm);
export const I = (insn: number): Operands => withImmediate(insn, insn >> 20);
/** Shift amounts of 6 and 5 bits. */
export const SHAMT6 = (insn: number): Operands => withImmediate(insn, bits(insn, 25, 20));
export const SHAMT5 = (insn: number): Operands => withImmediate(insn, bits(insn, 24, 20));
export const S = (insn: number): Operands =>
  operands(0, rs1(insn), rs2(insn), 0, ((insn >> 25) << 5) | bits(insn, 11, 7));
const branchTarget = (insn: number): number =>
  ((insn >> 31) << 12) | (bits(insn, 7, 7) << 11) | (bits(insn, 30, 25) << 5) | (bits(insn, 11, 8) << 1);
export const B = (insn: number): Operands => operands(0, rs1(insn), rs2(insn), 0, branchTarget(insn));
export const U = (insn: number): Operands => operands(rd(insn), 0, 0, 0, insn & ~0xfff);
const jumpTarget = (insn: number): number =>
  ((insn >> 31) << 20) | (bits(insn, 19, 12) << 12) | (bits(insn, 20, 20) << 11) | (bits(insn, 30, 21) << 1);
export const J = (insn: number): Operands => operands(rd(insn), 0, 0, 0, jumpTarget(insn));
/** Floating point: imm is the rounding mode field. */
export const FP = (insn: number): Operands => operands(rd(insn), rs1(insn), rs2(insn), 0, bits(insn, 14, 12));
export const R4 = (insn: number): Operands => operands(rd(insn), rs1(insn), rs2(insn), rs3(insn), bits(insn, 14, 12));
/** CSR number in imm; rs1 is a register or a 5-bit immediate. */
export const CSR = (insn: number): Operands => withImmediate(insn, bits(insn, 31, 20));
export const NONE = (_insn: number): Operands => ({ rd: 0, rs1: 0, rs2: 0, rs3: 0, imm: 0 });
