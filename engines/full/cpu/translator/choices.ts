import type { Definition, Operands } from '../isa/definition.js';
import type { Instruction } from './code-source.js';
import { type Block, type Edge, redirect } from './region.js';

/**
 * A branch over a few instructions that can do nothing but write registers, in place of which both ways are computed and
 * the results selected: a processor mispredicts what depends on data, and compilers for other machines have conditional
 * moves for it.
 */
export interface Choice {
  readonly branch: Instruction;
  /** What is computed if the branch is taken, and if it is not. */
  readonly taken: readonly Instruction[];
  readonly next: readonly Instruction[];
  /** Registers that either way writes. */
  readonly written: readonly number[];
  /** Instructions that either way executes, the branch and a jump at its end among them. */
  readonly takenCount: number;
  readonly nextCount: number;
}

/** The part of a choice that writes one register, as the analyses see it; the first one's code does all. */
export interface Chosen {
  readonly choice: Choice;
  readonly first: boolean;
}

const LIMITS = { instructions: 4, written: 3 } as const;

/** Slow ones, which are not worth computing in vain. */
const SLOW = /^(div|rem|mulh|clmul)|orc\.b|rev8/;

const isCheap = ({ definition: { name, pure, writesX, flow } }: Instruction): boolean =>
  pure && writesX && flow === 'next' && !SLOW.test(name);

/** What a choice's parts are instructions of. Not pure: whoever asks that takes it for an operation of its own operands. */
const CHOOSE: Definition = {
  name: 'choose',
  match: 0,
  mask: 0,
  operands: () => operands(0),
  flow: 'next',
  pure: false,
  writesX: true,
  csr: false,
  emit: () => {
    throw new Error('a choice is emitted as a whole');
  },
};

const operands = (rd: number): Operands => ({ rd, rs1: 0, rs2: 0, rs3: 0, imm: 0 });

/** One way of a branch: what it executes, and where it goes on. */
interface Way {
  readonly instructions: readonly Instruction[];
  readonly count: number;
  readonly on: Edge;
}

/** Replaces a block's branch by a choice, where that is possible and worth it. */
export function choose(block: Block): boolean {
  const { end, instructions } = block;
  if (end.kind !== 'branch') return false;
  const meeting = meetingOf(end.taken, end.next);
  if (meeting === undefined) return false;
  const { taken, next } = meeting;
  const parts = partsOf(instructions[instructions.length - 1], taken, next);
  if (parts === undefined) return false;
  block.instructions = [...instructions.slice(0, -1), ...parts];
  block.end = { kind: 'next', next: { ...next.on } };
  return true;
}

/** The ways from a branch to where they meet again. */
function meetingOf(taken: Edge, next: Edge): { taken: Way; next: Way } | undefined {
  const nothing = (on: Edge): Way => ({ instructions: [], count: 0, on });
  const [a, b] = [wayOf(taken), wayOf(next)];
  if (taken.to !== undefined && taken.to === next.to) return { taken: nothing(taken), next: nothing(next) };
  if (b !== undefined && b.on.to === taken.to) return { taken: nothing(taken), next: b };
  if (a !== undefined && a.on.to === next.to) return { taken: a, next: nothing(next) };
  return a !== undefined && b !== undefined && a.on.to === b.on.to ? { taken: a, next: b } : undefined;
}

function wayOf({ to }: Edge): Way | undefined {
  if (to === undefined || (to.end.kind !== 'next' && to.end.kind !== 'jump') || to.end.next.to === undefined) {
    return undefined;
  }
  const { instructions, end } = to;
  const computing = end.kind === 'jump' ? instructions.slice(0, -1) : instructions;
  const jump = end.kind === 'jump' ? instructions[instructions.length - 1] : undefined;
  if (computing.length > LIMITS.instructions || !computing.every(isCheap)) return undefined;
  if (jump !== undefined && jump.operands.rd !== 0) return undefined;
  return { instructions: computing, count: instructions.length, on: end.next };
}

function partsOf(branch: Instruction, taken: Way, next: Way): Instruction[] | undefined {
  const all = [...taken.instructions, ...next.instructions];
  if (all.length > LIMITS.instructions) return undefined;
  const written = [...new Set(all.map(({ operands: { rd } }) => rd))].filter((rd) => rd !== 0);
  if (written.length > LIMITS.written) return undefined;
  const choice: Choice = {
    branch,
    taken: taken.instructions,
    next: next.instructions,
    written,
    takenCount: taken.count + 1,
    nextCount: next.count + 1,
  };
  const part = (rd: number, index: number): Instruction => ({
    definition: CHOOSE,
    operands: operands(rd),
    length: branch.length,
    at: branch.at,
    chosen: { choice, first: index === 0 },
  });
  return written.length === 0 ? [part(0, 0)] : written.map(part);
}

/** Instructions that a line executes at most, and at least. */
export const mostOf = (line: readonly Instruction[]): number =>
  line.reduce((sum, each) => sum + countOf(each, Math.max), 0);
export const leastOf = (line: readonly Instruction[]): number =>
  line.reduce((sum, each) => sum + countOf(each, Math.min), 0);

function countOf({ chosen }: Instruction, which: (a: number, b: number) => number): number {
  if (chosen === undefined) return 1;
  return chosen.first ? which(chosen.choice.takenCount, chosen.choice.nextCount) : 0;
}

/** Instructions that begin a line of their own, as it was before lines were joined: see lineStart(). */
const starts = new WeakMap<Instruction, number>();

/** Where the straight line began that an instruction of a block was in at first: pointers are other ones in other lines. */
export const lineStart = (instruction: Instruction, block: Block): number => starts.get(instruction) ?? block.at;

/** Joins lines of which one always follows the other, and makes choices of branches: larger blocks, fewer branches. */
export function straighten(entry: Block): void {
  for (let changed = true; changed; ) {
    changed = false;
    const sources = sourcesOf(entry);
    for (const [block] of sources) {
      while (choose(block) || join(block, entry, sources)) changed = true;
    }
  }
}

/** How many edges lead to each block. */
function sourcesOf(entry: Block): Map<Block, number> {
  const sources = new Map<Block, number>([[entry, 1]]);
  const queue = [entry];
  for (let block = queue.pop(); block !== undefined; block = queue.pop()) {
    for (const { to } of block.edges()) {
      if (to === undefined) continue;
      if (!sources.has(to)) queue.push(to);
      sources.set(to, (sources.get(to) ?? 0) + 1);
    }
  }
  return sources;
}

function join(block: Block, entry: Block, sources: ReadonlyMap<Block, number>): boolean {
  const { end } = block;
  if (end.kind !== 'next' && end.kind !== 'jump') return false;
  const { to } = end.next;
  if (to === undefined || to === block || to === entry || sources.get(to) !== 1) return false;
  for (const each of to.instructions) starts.set(each, lineStart(each, to));
  block.instructions = [...block.instructions, ...to.instructions];
  block.end = redirect(to.end, (edge) => edge);
  return true;
}
