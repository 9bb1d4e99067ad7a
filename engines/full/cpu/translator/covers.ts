import { accessKind } from './accesses.js';
import type { Instruction } from './code-source.js';
import { goesBack } from './graph.js';
import type { Block } from './region.js';

/** Bytes around where a register points to: from `low` up to `high`, exclusive, and whether they are written as well. */
export interface Cover {
  readonly low: number;
  readonly high: number;
  readonly writing: boolean;
}

/** What is done about an instruction's addresses; accesses that have nothing here look for themselves alone. */
export type Provision =
  /** What rs1 points to has been checked. */
  | { readonly kind: 'known' }
  /** It is checked now, for what comes after as well. */
  | { readonly kind: 'check'; readonly cover: Cover }
  /** rd points to where `from` does, more or less. */
  | { readonly kind: 'copy'; readonly from: number };

/** By block and instruction. */
export type Provisions = ReadonlyMap<Block, ReadonlyMap<Instruction, Provision>>;

/** By register. */
type Covers = (Cover | undefined)[];

/** What is accessed later by what registers hold now: in this iteration, and in later ones of loops. */
interface Needs {
  readonly near: Covers;
  readonly later: Covers;
}

/** What an instruction's check is worth: all that is accessed by the same value, if there is more than itself. */
interface Want {
  readonly cover: Cover | undefined;
  readonly more: boolean;
  /** The value that it writes is accessed by. */
  readonly result: boolean;
}

const LARGEST_EXTENT = 512;
/** Loops within loops hand on what they need so often. */
const NEED_PASSES = 2;
/** After so many passes what still changes in loops is given up. */
const EXACT_PASSES = 3;

const none = (): Covers => Array.from({ length: 32 }, () => undefined);

/**
 * Which accesses need no check of their own: what a pointer has been checked for goes with its copies, through places where
 * paths meet and around loops, so that a list's node is looked up once however many pointers lead to it by turns.
 *
 * `blocks` in reverse postorder. Accesses that strips have checked are left alone.
 */
export function provide(blocks: readonly Block[]): Provisions {
  const wants = findWants(blocks);
  const starts = new Map<Block, Covers>([[blocks[0], none()]]);
  for (let pass = 1, changed = true; changed; pass++) {
    changed = false;
    for (const block of blocks) {
      const end = run(block, starts.get(block) as Covers, wants);
      for (const { to } of block.edges()) {
        if (to !== undefined && arrive(starts, to, end, pass > EXACT_PASSES)) changed = true;
      }
    }
  }
  return new Map(
    blocks.map((block) => {
      const found = new Map<Instruction, Provision>();
      run(block, starts.get(block) as Covers, wants, found);
      return [block, found] as const;
    }),
  );
}

/** What is so at a block's end; `found` gets its provisions. */
function run(
  block: Block,
  start: Covers,
  wants: ReadonlyMap<Block, readonly Want[]>,
  found?: Map<Instruction, Provision>,
): Covers {
  // SIMD moves a loop's pointers with no instruction to show for it.
  if (block.end.kind === 'strip' && block.end.strip.vector !== undefined) return none();
  const covers = start.slice();
  for (const [index, instruction] of block.instructions.entries()) {
    const want = (wants.get(block) as readonly Want[])[index];
    const provision = access(block, instruction, covers, want) ?? write(instruction, covers, want);
    if (provision === undefined) continue;
    found?.set(instruction, provision);
    if (provision.kind !== 'copy') write(instruction, covers, want);
  }
  return covers;
}

function access(block: Block, instruction: Instruction, covers: Covers, want: Want): Provision | undefined {
  const own = coverOf(block, instruction);
  if (own === undefined) return undefined;
  const { rs1 } = instruction.operands;
  if (includes(covers[rs1], own)) return { kind: 'known' };
  if (!want.more || want.cover === undefined) return undefined;
  covers[rs1] = want.cover;
  return { kind: 'check', cover: want.cover };
}

function write(instruction: Instruction, covers: Covers, want: Want): Provision | undefined {
  const { definition, operands } = instruction;
  const { rd } = operands;
  if (!definition.writesX || rd === 0) return undefined;
  const move = moveOf(instruction);
  const cover = move && shifted(covers[move.from], -move.by);
  covers[rd] = want.result ? cover : undefined;
  return move === undefined || covers[rd] === undefined || move.from === rd
    ? undefined
    : { kind: 'copy', from: move.from };
}

/** Joins what is so at the end of an earlier block; true when less is so than before. */
function arrive(starts: Map<Block, Covers>, to: Block, end: Covers, giveUp: boolean): boolean {
  const before = starts.get(to);
  if (before === undefined) {
    starts.set(to, end.slice());
    return true;
  }
  let changed = false;
  for (const [register, cover] of before.entries()) {
    if (cover === undefined) continue;
    const common = intersection(cover, end[register]);
    if (same(common, cover)) continue;
    before[register] = giveUp ? undefined : common;
    changed = true;
  }
  return changed;
}

function findWants(blocks: readonly Block[]): ReadonlyMap<Block, readonly Want[]> {
  const starts = new Map<Block, Needs>();
  const wants = new Map<Block, readonly Want[]>();
  for (let pass = 0; pass < NEED_PASSES; pass++) {
    for (const block of blocks.slice().reverse()) {
      const needs = needsAtEnd(block, starts);
      wants.set(block, wantsOf(block, needs));
      starts.set(block, needs);
    }
  }
  return wants;
}

function needsAtEnd(block: Block, starts: ReadonlyMap<Block, Needs>): Needs {
  const needs: Needs = { near: none(), later: none() };
  for (const { to } of block.edges()) {
    const next = to && starts.get(to);
    if (to === undefined || next === undefined) continue;
    const back = goesBack(block, to);
    for (let register = 1; register < 32; register++) {
      if (back) add(needs.later, register, next.near[register]);
      else add(needs.near, register, next.near[register]);
      add(needs.later, register, next.later[register]);
    }
  }
  return needs;
}

/** For each instruction; `needs` becomes what they are at the block's start. */
function wantsOf(block: Block, needs: Needs): Want[] {
  const { near, later } = needs;
  return block.instructions
    .slice()
    .reverse()
    .map((instruction) => {
      const { rd, rs1 } = instruction.operands;
      const result = near[rd] !== undefined || later[rd] !== undefined;
      if (instruction.definition.writesX && rd !== 0) passOn(instruction, needs);
      const own = coverOf(block, instruction);
      if (own === undefined) return { cover: undefined, more: false, result };
      const more = near[rs1] !== undefined || later[rs1] !== undefined;
      const cover = union(union(own, near[rs1]), later[rs1]);
      near[rs1] = union(own, near[rs1]);
      return { cover, more, result };
    })
    .reverse();
}

/**
 * What rd is needed for was needed of what it is made of. Not what a later iteration needs of a pointer that moves on: that
 * would be more in each.
 */
function passOn(instruction: Instruction, { near, later }: Needs): void {
  const { rd } = instruction.operands;
  const [soon, then] = [near[rd], later[rd]];
  near[rd] = undefined;
  later[rd] = undefined;
  const move = moveOf(instruction);
  if (move === undefined) return;
  add(near, move.from, shifted(soon, move.by));
  if (move.by === 0) add(later, move.from, then);
}

/** Where rd points to: `by` bytes from where `from` did. */
function moveOf({
  definition: { name },
  operands: { rs1, rs2, imm },
}: Instruction): { from: number; by: number } | undefined {
  if (name === 'addi' && rs1 !== 0) return { from: rs1, by: imm };
  if (name === 'add' && rs1 === 0 && rs2 !== 0) return { from: rs2, by: 0 };
  return name === 'add' && rs2 === 0 && rs1 !== 0 ? { from: rs1, by: 0 } : undefined;
}

/** What a load or store accesses by rs1, unless a strip has checked that. */
function coverOf(block: Block, instruction: Instruction): Cover | undefined {
  const kind = block.trusted?.has(instruction) ? undefined : accessKind(instruction);
  const { rs1, imm } = instruction.operands;
  return kind === undefined || rs1 === 0 ? undefined : { low: imm, high: imm + kind.bytes, writing: kind.writing };
}

function add(covers: Covers, register: number, cover: Cover | undefined): void {
  if (cover !== undefined) covers[register] = union(cover, covers[register]);
}

const shifted = (cover: Cover | undefined, by: number): Cover | undefined =>
  cover && { ...cover, low: cover.low + by, high: cover.high + by };

/** The first one alone if both are too much for one check. */
function union(a: Cover, b: Cover | undefined): Cover {
  if (b === undefined) return a;
  const [low, high] = [Math.min(a.low, b.low), Math.max(a.high, b.high)];
  return high - low > LARGEST_EXTENT ? a : { low, high, writing: a.writing || b.writing };
}

function intersection(a: Cover, b: Cover | undefined): Cover | undefined {
  if (b === undefined) return undefined;
  const [low, high] = [Math.max(a.low, b.low), Math.min(a.high, b.high)];
  return low < high ? { low, high, writing: a.writing && b.writing } : undefined;
}

const includes = (cover: Cover | undefined, { low, high, writing }: Cover): boolean =>
  cover !== undefined && cover.low <= low && cover.high >= high && (cover.writing || !writing);

const same = (a: Cover | undefined, b: Cover): boolean =>
  a !== undefined && a.low === b.low && a.high === b.high && a.writing === b.writing;
