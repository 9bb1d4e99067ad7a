import { fastCsr } from '../interpreter/fast-csr.js';
import { handlerOf, SPECIAL } from '../interpreter/handlers.js';
import { ENTRY_SCALE, packLow, SINK } from '../interpreter/operation.js';
import type { Definition, Operands } from '../isa/definition.js';
import { COMPRESSED, DEFINITIONS } from '../isa/table.js';

/** What an encoding means: the definition and its operands. */
export interface Decoded {
  definition: Definition;
  operands: Operands;
  length: 2 | 4;
}

interface Pattern {
  match: number;
  mask: number;
  legal: ((insn: number) => boolean) | undefined;
  definition: Definition;
  operands: Definition['operands'];
}

/** Candidates by major opcode (bits 6:2). */
const FULL: Pattern[][] = Array.from({ length: 32 }, (_, major) =>
  DEFINITIONS.filter(({ match }) => ((match >>> 2) & 31) === major).map((definition) => ({
    match: definition.match,
    mask: definition.mask,
    legal: definition.legal,
    definition,
    operands: definition.operands,
  })),
);

function definitionOf(name: string): Definition {
  const definition = DEFINITIONS.find((each) => each.name === name);
  if (definition === undefined) throw new Error(`a compressed instruction expands to ${name}, which is not defined`);
  return definition;
}

/** Candidates by quadrant and funct3, in the table's order: the first legal one counts. */
const SHORT: Pattern[][] = Array.from({ length: 32 }, (_, index) =>
  COMPRESSED.filter(({ match }) => shortIndex(match) === index).map((each) => ({
    match: each.match,
    mask: each.mask,
    legal: each.legal,
    definition: definitionOf(each.expandsTo),
    operands: each.operands,
  })),
);

function shortIndex(insn: number): number {
  return ((insn & 3) << 3) | ((insn >>> 13) & 7);
}

/** Decodes a word (its low 16 bits when it is compressed); undefined for what is illegal. */
export function decode(insn: number): Decoded | undefined {
  const length = (insn & 3) === 3 ? 4 : 2;
  const encoded = length === 4 ? insn | 0 : insn & 0xffff;
  const candidates = length === 4 ? FULL[(encoded >>> 2) & 31] : SHORT[shortIndex(encoded)];
  for (let index = 0; index < candidates.length; index++) {
    const { match, mask, legal, definition, operands } = candidates[index];
    if ((encoded & mask) !== match || (legal !== undefined && !legal(encoded))) continue;
    return { definition, operands: operands(encoded), length };
  }
  return undefined;
}

/** A decoded operation as the interpreter wants it: two words, see ../interpreter/operation.ts. */
export interface Operation {
  low: number;
  high: number;
}

/** `offset`: of the instruction in its page, which says whether a relative target is near. */
export function toOperation(decoded: Decoded | undefined, offset: number): Operation {
  if (decoded === undefined) return { low: SPECIAL.illegal, high: 0 };
  const { definition, operands, length } = decoded;
  const { rd, rs1, rs2, rs3, imm } = operands;
  if (definition.pure && rd === 0) return { low: length === 2 ? SPECIAL.nop2 : SPECIAL.nop4, high: 0 };
  const relative = definition.flow === 'branch' || definition.flow === 'jump';
  const target = offset + imm;
  const near = relative && target >= 0 && target < 4096;
  const csr = definition.csr ? fastCsr(imm) : undefined;
  const handler = handlerOf(definition, { length, near, link: rd !== 0, csr: csr?.way ?? 'host' });
  const register = definition.writesX && rd === 0 ? SINK : rd;
  return { low: packLow(handler, register, rs1, rs2, rs3), high: near ? imm * ENTRY_SCALE : (csr?.operand ?? imm) };
}
