import { difference, type Knowledge, type Linear } from './affine.js';
import type { Block } from './region.js';
import type { Movement } from './strips.js';
import { isExact, perIteration } from './vector-plan.js';

/**
 * When a loop ends by itself: after (distance rotated right by `shift`) + 1 iterations at most, as an unsigned number, given
 * what registers hold at the start of the first one. Where the distance is no multiple of 2^shift it says nothing, and is
 * huge. `bounds` must hold for all of these iterations.
 */
export interface Trips {
  readonly distance: Linear;
  readonly negated: boolean;
  readonly shift: number;
}

/** Steps that are a shift. */
const SHIFTS: ReadonlyMap<number, number> = new Map([1, 2, 4, 8, 16, 32, 64].map((step, shift) => [step, shift]));

/** By the first block or by the only one that leads back, since these are executed in each iteration. */
export function tripsOf(
  head: Block,
  body: readonly Block[],
  ends: ReadonlyMap<Block, Knowledge>,
  moves: readonly (Movement | undefined)[],
): Trips | undefined {
  const latches = body.filter((block) => block.edges().some(({ to }) => to === head));
  const always = latches.length === 1 ? [latches[0], head] : [head];
  for (const block of always) {
    const trips = tripsBy(block, body, ends.get(block) as Knowledge, moves);
    if (trips !== undefined) return trips;
  }
  return undefined;
}

/** How the loop ends by this block's branch. */
function tripsBy(
  block: Block,
  body: readonly Block[],
  known: Knowledge,
  moves: readonly (Movement | undefined)[],
): Trips | undefined {
  const { end, instructions } = block;
  if (end.kind !== 'branch') return undefined;
  const stays = (to: Block | undefined): boolean => to !== undefined && body.includes(to);
  if (stays(end.taken.to) === stays(end.next.to)) return undefined;
  const { definition, operands } = instructions[instructions.length - 1];
  const goesOnWhile = (stays(end.taken.to) ? definition.name : OPPOSITE[definition.name]) as string;
  const distance = difference(known[operands.rs2], known[operands.rs1]);
  const step = isExact(distance) ? perIteration(distance, moves) : undefined;
  if (!isExact(distance) || step === undefined) return undefined;
  const shift = SHIFTS.get(Math.abs(step));
  if (shift === undefined) return undefined;
  const negated = step > 0;
  const reached = goesOnWhile === 'bne' || (UNTIL_REACHED.has(goesOnWhile) && !negated);
  return reached ? { distance, negated, shift } : undefined;
}

const OPPOSITE: Readonly<Record<string, string>> = { beq: 'bne', bge: 'blt', bgeu: 'bltu' };
/** Where the end is reached exactly, from below. */
const UNTIL_REACHED = new Set(['blt', 'bltu']);
