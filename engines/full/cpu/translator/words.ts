import type { Choice } from './choices.js';
import type { Instruction } from './code-source.js';
import type { Block } from './region.js';

/** Sets of registers as bits. */
type Mask = number;

const X0: Mask = 1;
const ALL: Mask = -1;

/** Whatever the operands are. */
const ALWAYS = new Set(
  [
    'addw subw sllw srlw sraw addiw slliw srliw sraiw mulw divw divuw remw remuw rolw rorw roriw',
    'lb lbu lh lhu lw lui slt sltu slti sltiu sext.b sext.h zext.h clz ctz cpop clzw ctzw cpopw',
  ].flatMap((names) => names.split(' ')),
);
/** When both operands are, or the only one. */
const IF_BOTH = new Set(['and', 'or', 'xor', 'andn', 'orn', 'xnor', 'max', 'maxu', 'min', 'minu']);
const IF_FIRST = new Set(['ori', 'xori']);

/** Whether a register holds a 32-bit value, sign-extended, after an instruction that writes it. */
function givesWord({ definition, operands }: Instruction, words: Mask): boolean {
  const first = isIn(words, operands.rs1);
  switch (definition.name) {
    case 'addi':
      return operands.imm === 0 ? first : operands.rs1 === 0;
    case 'andi':
      return first || operands.imm >= 0;
    case 'add':
      return (operands.rs1 === 0 && isIn(words, operands.rs2)) || (operands.rs2 === 0 && first);
    case 'srli':
      return operands.imm > 32;
    case 'srai':
      return first || operands.imm >= 32;
    default:
      if (IF_FIRST.has(definition.name)) return first;
      return ALWAYS.has(definition.name) || (IF_BOTH.has(definition.name) && first && isIn(words, operands.rs2));
  }
}

export const isIn = (words: Mask, register: number): boolean => ((words >>> register) & 1) !== 0;

/** The registers that hold words after an instruction. */
export function wordsAfter(instruction: Instruction, words: Mask): Mask {
  const { definition, operands, chosen } = instruction;
  if (chosen !== undefined) return chosen.first ? wordsAfterChoice(chosen.choice, words) : words;
  if (!definition.writesX || operands.rd === 0) return words;
  const bit = 1 << operands.rd;
  return givesWord(instruction, words) ? words | bit : words & ~bit;
}

/** Its first part writes all registers. */
function wordsAfterChoice({ taken, next }: Choice, words: Mask): Mask {
  const after = (way: readonly Instruction[]): Mask => way.reduce((mask, each) => wordsAfter(each, mask), words);
  return after(taken) & after(next);
}

/**
 * For each block of a region (in reverse postorder) the registers that certainly hold 32-bit values, sign-extended, at its
 * start.
 */
export const wordsAtStarts = (blocks: readonly Block[]): ReadonlyMap<Block, Mask> =>
  certainAtStarts(blocks, X0, wordsAfter);

/**
 * What is certain of registers at each block's start, when `first` is so where the region is entered: the greatest solution,
 * since a loop's own values may depend on one another.
 */
export function certainAtStarts(
  blocks: readonly Block[],
  first: Mask,
  after: (instruction: Instruction, mask: Mask) => Mask,
): ReadonlyMap<Block, Mask> {
  const starts = new Map<Block, Mask>(blocks.map((block) => [block, ALL]));
  starts.set(blocks[0], first);
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of blocks) {
      const end = block.instructions.reduce((mask, each) => after(each, mask), starts.get(block) as Mask);
      for (const { to } of block.edges()) {
        if (to === undefined) continue;
        const before = starts.get(to) as Mask;
        if ((before & end) === before) continue;
        starts.set(to, before & end);
        changed = true;
      }
    }
  }
  return starts;
}
