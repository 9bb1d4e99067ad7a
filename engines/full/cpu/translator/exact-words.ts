import type { Operands } from '../isa/definition.js';
import { DEFINITIONS } from '../isa/table.js';
import type { Instruction } from './code-source.js';

/** What does the same in 64 bits, where no word overflows and those that are extended without sign are not negative. */
const WIDER: ReadonlyMap<string, string> = new Map([
  ['addiw', 'addi'],
  ['addw', 'add'],
  ['subw', 'sub'],
  ['slli.uw', 'slli'],
  ['add.uw', 'add'],
  ['sh1add.uw', 'sh1add'],
  ['sh2add.uw', 'sh2add'],
  ['sh3add.uw', 'sh3add'],
]);
/** The second halves of extensions. */
const SHIFTS = new Set(['srli', 'srai']);
const WORD_BITS = 32;

/** Whether an instruction may be another one where its result is the integer that it seems to be. */
export const mayBeWider = ({ definition: { name } }: Instruction): boolean => WIDER.has(name) || SHIFTS.has(name);

/**
 * A block's instructions without what only extends words: `exact` have results that are no larger than words, and what they
 * are made of is not either. As many instructions as before, and all registers get the same values.
 */
export function withoutExtensions(
  instructions: readonly Instruction[],
  exact: ReadonlySet<Instruction>,
): readonly Instruction[] {
  const made = instructions.slice();
  for (const [index, instruction] of instructions.entries()) {
    if (!exact.has(instruction)) continue;
    const wider = WIDER.get(instruction.definition.name);
    if (wider !== undefined) made[index] = as(instruction, wider, instruction.operands);
    else shiftOnce(instructions, index, made);
  }
  return made;
}

/** The shift at `index` to the right has one of 32 bits to the left before it: one shift does for both. */
function shiftOnce(instructions: readonly Instruction[], index: number, made: Instruction[]): void {
  const { rd, rs1, imm } = instructions[index].operands;
  const first = lastWrite(instructions, index, rs1);
  const { definition, operands } = instructions[first] ?? {};
  if (definition?.name !== 'slli' || operands?.imm !== WORD_BITS) return;
  const between = instructions.slice(first + 1, index);
  if (between.some((each) => writes(each, operands.rs1))) return;
  const inPlace = operands.rd === operands.rs1;
  // What was shifted to the left is nowhere then: nobody may see that, an exception's handler neither.
  if (inPlace && (rd !== rs1 || !between.every((each) => each.definition.pure && !mayRead(each, rs1)))) return;
  if (inPlace) made[first] = as(instructions[first], 'addi', { rd: 0, rs1: 0, rs2: 0, rs3: 0, imm: 0 });
  made[index] = as(instructions[index], 'slli', { ...operands, rd, imm: WORD_BITS - imm });
}

/** Where a register was written last before `index`, in the block; -1: nowhere. */
function lastWrite(instructions: readonly Instruction[], index: number, register: number): number {
  for (let at = index - 1; at >= 0; at--) if (writes(instructions[at], register)) return at;
  return -1;
}

const writes = ({ definition, operands }: Instruction, register: number): boolean =>
  definition.writesX && operands.rd === register;

const mayRead = ({ operands }: Instruction, register: number): boolean =>
  [operands.rs1, operands.rs2, operands.rs3].includes(register);

function as(instruction: Instruction, name: string, operands: Operands): Instruction {
  const definition = DEFINITIONS.find((each) => each.name === name);
  return definition === undefined ? instruction : { ...instruction, definition, operands };
}
