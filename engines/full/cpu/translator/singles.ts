import type { Instruction } from './code-source.js';
import type { Block } from './region.js';
import { certainAtStarts } from './words.js';

/**
 * Which f registers have their value as a single in a local of its own, beside the NaN-boxed one: all at a region's entry,
 * where those that it reads so are taken out of their boxes, and those that were written as singles since.
 */
const ALL = -1;

/** Whether an instruction writes a single to f[rd]. */
export const writesSingle = ({ definition: { name, writesX } }: Instruction): boolean =>
  name === 'flw' ||
  name === 'fmv.w.x' ||
  name.startsWith('fcvt.s.') ||
  (/^f.*\.s$/.test(name) && !writesX && name !== 'fcvt.d.s');

const writesDouble = ({ definition: { name, writesX } }: Instruction): boolean =>
  name === 'fld' || (/^f/.test(name) && !writesX && !['fsw', 'fsd', 'fence', 'fence.i'].includes(name));

/** The registers for which that is so after an instruction. */
export function singlesAfter(instruction: Instruction, singles: number): number {
  const bit = 1 << instruction.operands.rd;
  if (writesSingle(instruction)) return singles | bit;
  return writesDouble(instruction) ? singles & ~bit : singles;
}

export const singlesAtStarts = (blocks: readonly Block[]): ReadonlyMap<Block, number> =>
  certainAtStarts(blocks, ALL, singlesAfter);
