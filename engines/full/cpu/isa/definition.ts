import type { Emitter } from './emitter.js';

/** Operands of one encoded instruction. Registers 0 to 31; imm is a signed 32-bit integer. */
export interface Operands {
  rd: number;
  rs1: number;
  rs2: number;
  rs3: number;
  imm: number;
}

/** How an instruction leaves: to the next one, perhaps elsewhere (relative), or always elsewhere. */
export type Flow = 'next' | 'branch' | 'jump' | 'jumpIndirect';

/** One instruction: everything that decoder, interpreter and translator know of it. */
export interface Definition {
  readonly name: string;
  /** insn & mask === match, both as signed 32-bit integers; of 16 bits for compressed instructions. */
  readonly match: number;
  readonly mask: number;
  readonly operands: (insn: number) => Operands;
  /** Encodings that match but are reserved, or belong to another definition. */
  readonly legal?: (insn: number) => boolean;
  readonly flow: Flow;
  /** Writes an integer register and has no other effect, so that it does nothing when rd is x0. */
  readonly pure: boolean;
  /** rd names an integer register that is written. */
  readonly writesX: boolean;
  /** Reads and writes the CSR whose number is in imm. */
  readonly csr: boolean;
  readonly emit: (e: Emitter) => void;
}

/** A compressed instruction: another encoding of a definition. */
export interface Compressed {
  readonly name: string;
  readonly match: number;
  readonly mask: number;
  readonly legal?: (insn: number) => boolean;
  readonly expandsTo: string;
  readonly operands: (insn: number) => Operands;
}

type Options = Partial<Pick<Definition, 'legal' | 'flow' | 'pure' | 'writesX' | 'csr'>>;

/** A definition; without options a pure instruction that writes x[rd]. */
export function define(
  name: string,
  [match, mask]: readonly [number, number],
  operands: Definition['operands'],
  emit: Definition['emit'],
  options: Options = {},
): Definition {
  const defaults = { flow: 'next', pure: true, writesX: true, csr: false } as const;
  return { name, match: match | 0, mask: mask | 0, operands, emit, ...defaults, ...options };
}

/** Matches major opcode and funct3. */
export const byFunct3 = (opcode: number, funct3: number): [number, number] => [opcode | (funct3 << 12), 0x707f];
/** Matches major opcode, funct3 and funct7. */
export const byFunct7 = (opcode: number, funct3: number, funct7: number): [number, number] => [
  opcode | (funct3 << 12) | (funct7 << 25),
  0xfe00707f,
];
/** Matches all but rd and rs1 (funct3 and the upper 12 bits). */
export const byFunct12 = (opcode: number, funct3: number, funct12: number): [number, number] => [
  opcode | (funct3 << 12) | (funct12 << 20),
  0xfff0707f,
];
/** Matches the word. */
export const exactly = (insn: number): [number, number] => [insn, 0xffffffff];
