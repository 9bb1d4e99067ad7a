import type { Operands } from './definition.js';

/**
 * Operand extraction by format (unprivileged specification 20191213, 2.2 and 2.3; 16.2 for compressed ones).
 * Every field is signed 32-bit arithmetic on the encoded word.
 */

/** bits high:low of the word. */
export const bits = (insn: number, high: number, low: number): number => (insn >>> low) & ((1 << (high - low + 1)) - 1);

const registers = (insn: number) => ({
  rd: bits(insn, 11, 7),
  rs1: bits(insn, 19, 15),
  rs2: bits(insn, 24, 20),
  rs3: bits(insn, 31, 27),
});

export const R = (insn: number): Operands => ({ ...registers(insn), rs3: 0, imm: 0 });
export const I = (insn: number): Operands => ({ ...registers(insn), rs2: 0, rs3: 0, imm: insn >> 20 });
/** Shift amounts of 6 and 5 bits. */
export const SHAMT6 = (insn: number): Operands => ({ ...I(insn), imm: bits(insn, 25, 20) });
export const SHAMT5 = (insn: number): Operands => ({ ...I(insn), imm: bits(insn, 24, 20) });
export const S = (insn: number): Operands => ({
  ...registers(insn),
  rd: 0,
  rs3: 0,
  imm: ((insn >> 25) << 5) | bits(insn, 11, 7),
});
export const B = (insn: number): Operands => ({
  ...registers(insn),
  rd: 0,
  rs3: 0,
  imm: ((insn >> 31) << 12) | (bits(insn, 7, 7) << 11) | (bits(insn, 30, 25) << 5) | (bits(insn, 11, 8) << 1),
});
export const U = (insn: number): Operands => ({ ...registers(insn), rs1: 0, rs2: 0, rs3: 0, imm: insn & ~0xfff });
export const J = (insn: number): Operands => ({
  ...U(insn),
  imm: ((insn >> 31) << 20) | (bits(insn, 19, 12) << 12) | (bits(insn, 20, 20) << 11) | (bits(insn, 30, 21) << 1),
});
/** Floating point: imm is the rounding mode field. */
export const FP = (insn: number): Operands => ({ ...registers(insn), rs3: 0, imm: bits(insn, 14, 12) });
export const R4 = (insn: number): Operands => ({ ...registers(insn), imm: bits(insn, 14, 12) });
/** CSR number in imm; rs1 is a register or a 5-bit immediate. */
export const CSR = (insn: number): Operands => ({ ...I(insn), imm: bits(insn, 31, 20) });
export const NONE = (_insn: number): Operands => ({ rd: 0, rs1: 0, rs2: 0, rs3: 0, imm: 0 });
