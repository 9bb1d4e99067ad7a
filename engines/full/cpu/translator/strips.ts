import { accessKind } from './accesses.js';
import { addressOf, after, asItIs, type Knowledge, type Linear, meet, termsKey } from './affine.js';
import { leastOf } from './choices.js';
import type { Instruction } from './code-source.js';
import { mayBeWider, withoutExtensions } from './exact-words.js';
import { goesBack } from './graph.js';
import { Block, type Edge, redirect } from './region.js';
import { type Trips, tripsOf } from './trips.js';
import { planVector, type VectorLoop } from './vector-plan.js';
import { Bounds, pathOf } from './word-bounds.js';

/**
 * Loads and stores of a loop whose addresses have the same linear part: in each iteration they lie between `low` and
 * `high` bytes (exclusive) from the sum of `terms` as it is at the iteration's start, and this sum moves by -back to
 * `forth` bytes an iteration, and by `steps`.
 */
export interface Group extends Path {
  writing: boolean;
  /** The least immediate offset. */
  leastOffset: number;
}

/** Values of an iteration that move with the iterations, and between what they lie in one. */
export interface Path {
  readonly terms: ReadonlyMap<number, number>;
  low: number;
  high: number;
  readonly back: number;
  readonly forth: number;
  /** Registers that are added in each iteration, with a factor. */
  readonly steps: readonly { register: number; factor: number }[];
}

/** Words that must not be less than `least`, nor overflow, for the groups' addresses to be what they are taken for. */
export interface WordPath extends Path {
  least: number;
}

/**
 * Strip mining. An innermost loop whose addresses move by known steps gets two copies: before the fast one is entered,
 * all its addresses are checked for as many iterations as the slice lasts or their ranges allow, so that within it
 * nothing is checked but the number of instructions left. The slow one does an iteration that the checks do not allow.
 */
export interface Strip {
  readonly groups: readonly Group[];
  readonly words: readonly WordPath[];
  /** Instructions of the shortest way through the loop. */
  readonly shortest: number;
  /** When the loop ends by itself, where that is known when it is entered. */
  readonly trips: Trips | undefined;
  /** How several iterations are done at once, where they can be. */
  readonly vector: VectorLoop | undefined;
}

const LIMITS = { instructions: 160, groups: 8, words: 6, extent: 1024 } as const;

/**
 * Gives all suitable loops of an analyzed graph their copies; true when the graph has changed. `vectorsOnly`: those alone
 * that do several iterations at once.
 */
export function mineStrips(blocks: readonly Block[], vectorsOnly: boolean): boolean {
  let changed = false;
  for (const head of blocks.filter(({ loopHead }) => loopHead)) {
    const plans = innermost(head, blocks).flatMap((body) =>
      [false, true].map((words) => ({ body, strip: plan(head, body, words) })),
    );
    const best = plans.reduce((a, b) => (trusted(b) > trusted(a) ? b : a), { body: [], strip: undefined });
    if (best.strip === undefined || (vectorsOnly && best.strip.vector === undefined)) continue;
    split(head, best.body, best.strip);
    changed = true;
  }
  return changed;
}

const trusted = ({ strip }: { strip: PlannedStrip | undefined }): number => strip?.members.size ?? 0;

/**
 * What may be taken for the loop with this head, blocks in order: all that come back to it, or what one of them comes
 * by, the shortest first. Where a region is entered within a nest of loops several of them have the same head. Loops with
 * others in them, and those that are too long, are left out.
 */
function innermost(head: Block, blocks: readonly Block[]): Block[][] {
  const sources = new Map<Block, Block[]>();
  for (const block of blocks) {
    for (const { to } of block.edges()) if (to !== undefined) sources.set(to, [...(sources.get(to) ?? []), block]);
  }
  const latches = (sources.get(head) ?? []).filter((from) => goesBack(from, head));
  const loops = latches.map((latch) => loopOf(head, [latch], sources, blocks));
  loops.sort((a, b) => lengthOf(a) - lengthOf(b));
  const all = latches.length > 1 ? [loopOf(head, latches, sources, blocks)] : [];
  return [...all, ...loops].filter((body) => isPlain(head, body) && lengthOf(body) <= LIMITS.instructions);
}

function loopOf(
  head: Block,
  latches: readonly Block[],
  sources: ReadonlyMap<Block, readonly Block[]>,
  blocks: readonly Block[],
): Block[] {
  const inside = new Set<Block>([head]);
  const queue = latches.slice();
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (inside.has(next)) continue;
    inside.add(next);
    queue.push(...(sources.get(next) ?? []));
  }
  return blocks.filter((block) => inside.has(block));
}

/** Copies of a block in one loop share instructions, whose addresses are other ones in each. */
function isPlain(head: Block, body: readonly Block[]): boolean {
  const all = body.flatMap(({ instructions }) => instructions);
  const inner = body.every((block) => (block === head || !block.loopHead) && block.end.kind !== 'strip');
  return inner && new Set(all).size === all.length;
}

const lengthOf = (body: readonly Block[]): number =>
  body.reduce((sum, { instructions }) => sum + instructions.length, 0);

interface Found {
  readonly instruction: Instruction;
  readonly block: Block;
  readonly address: Linear;
}

interface Interpreted {
  readonly found: Found[];
  /** What instructions on words give as integers, where these are no larger. */
  readonly results: ReadonlyMap<Instruction, Linear>;
  /** By block, and after the whole loop. */
  readonly ends: ReadonlyMap<Block, Knowledge>;
  readonly end: Knowledge;
}

/** What each register is at a block's end, and after the whole loop, in terms of what it was at the iteration's start. */
function interpret(head: Block, body: readonly Block[], words: boolean): Interpreted {
  const starts = new Map<Block, Knowledge>([[head, asItIs()]]);
  const ends = new Map<Block, Knowledge>();
  const found: Found[] = [];
  const results = new Map<Instruction, Linear>();
  let end: Knowledge | undefined;
  for (const block of body) {
    let known = starts.get(block) as Knowledge;
    for (const instruction of block.instructions) {
      const address = accessKind(instruction) && addressOf(instruction, known);
      if (address !== undefined) found.push({ instruction, block, address });
      known = after(instruction, known, words);
      const result = words && mayBeWider(instruction) ? known[instruction.operands.rd] : undefined;
      if (result !== undefined) results.set(instruction, result);
    }
    ends.set(block, known);
    for (const { to } of block.edges()) {
      if (to === head) end = end === undefined ? known : meet(end, known);
      else if (to !== undefined && body.includes(to)) {
        const other = starts.get(to);
        starts.set(to, other === undefined ? known : meet(other, known));
      }
    }
  }
  return { found, results, ends, end: end as Knowledge };
}

/** How a register moves in one iteration: between low and high, and by another that stays as it is. */
export interface Movement {
  readonly low: number;
  readonly high: number;
  readonly steps: readonly { register: number; factor: number }[];
}

function movements(end: Knowledge): (Movement | undefined)[] {
  const stays = (register: number): boolean => {
    const value = end[register];
    return value?.terms.size === 1 && value.terms.get(register) === 1 && value.low === 0 && value.high === 0;
  };
  return end.map((value, register) => {
    if (value?.terms.get(register) !== 1) return undefined;
    const steps = [...value.terms].filter(([other]) => other !== register);
    if (steps.some(([other, factor]) => factor < 0 || !stays(other))) return undefined;
    const { low, high } = value;
    return { low, high, steps: steps.map(([other, factor]) => ({ register: other, factor })) };
  });
}

type PlannedStrip = Strip & {
  readonly members: ReadonlyMap<Instruction, Group>;
  /** Instructions on words whose results are what they seem to be. */
  readonly exact: ReadonlySet<Instruction>;
};

/** `words`: also of addresses that are linear only as long as no word overflows. */
function plan(head: Block, body: readonly Block[], words: boolean): PlannedStrip | undefined {
  const { found, results, ends, end } = interpret(head, body, words);
  const moves = movements(end);
  const groups = new Map<string, Group>();
  const members = new Map<Instruction, Group>();
  const bounds = new Bounds(end, moves);
  for (const { instruction, address } of found) {
    const group = groupOf(address, groups, moves);
    if (group === undefined || !join(group, instruction, address)) continue;
    members.set(instruction, group);
    bounds.need(address, group);
  }
  const used = new Set(members.values());
  const paths = bounds.paths();
  if (used.size === 0 || paths === undefined) return undefined;
  const ending = tripsOf(head, body, ends, moves);
  const trips = ending && bounds.include(ending.distance) ? ending : undefined;
  const vector = body.length === 1 && !words ? planVector(head, members, moves) : undefined;
  const exact = new Set([...results].filter(([, value]) => bounds.include(value)).map(([instruction]) => instruction));
  return { groups: [...used], words: paths, shortest: shortest(head, body), trips, members, exact, vector };
}

function groupOf(
  address: Linear,
  groups: Map<string, Group>,
  moves: readonly (Movement | undefined)[],
): Group | undefined {
  const key = termsKey(address);
  const known = groups.get(key);
  if (known !== undefined || groups.size === LIMITS.groups) return known;
  const path = pathOf(address, moves);
  if (path === undefined) return undefined;
  const group = { ...path, high: path.low, writing: false, leastOffset: 0 };
  groups.set(key, group);
  return group;
}

function join(group: Group, instruction: Instruction, { low, high }: Linear): boolean {
  const kind = accessKind(instruction);
  if (kind === undefined) return false;
  const [from, to] = [Math.min(group.low, low), Math.max(group.high, high + kind.bytes)];
  if (to - from > LIMITS.extent) return false;
  group.low = from;
  group.high = to;
  group.writing ||= kind.writing;
  group.leastOffset = Math.min(group.leastOffset, instruction.operands.imm);
  return true;
}

/** Instructions of the shortest way from the head back to it. */
function shortest(head: Block, body: readonly Block[]): number {
  const lengths = new Map<Block, number>([[head, 0]]);
  let least = Number.POSITIVE_INFINITY;
  for (const block of body) {
    const length = (lengths.get(block) ?? 0) + leastOf(block.instructions);
    for (const { to } of block.edges()) {
      if (to === head) least = Math.min(least, length);
      else if (to !== undefined) lengths.set(to, Math.min(lengths.get(to) ?? Number.POSITIVE_INFINITY, length));
    }
  }
  return Math.max(1, least);
}

/** The head becomes the place where the way is chosen. */
function split(head: Block, body: readonly Block[], strip: PlannedStrip): void {
  const gate = new Block(head.at, [], head.end);
  const fast = copies(head, body, gate);
  const slow = copies(head, body, head);
  for (const block of fast.values()) {
    block.instructions = withoutExtensions(block.instructions, strip.exact);
    block.trusted = strip.members;
    block.strip = strip;
  }
  gate.strip = strip;
  const edge = (to: Block): Edge => ({ to, at: head.at });
  gate.end = { kind: 'gate', strip, on: edge(fast.get(head) as Block), over: edge(head) };
  head.instructions = [];
  const over = strip.vector === undefined ? {} : { over: { ...strip.vector.over } };
  head.end = { kind: 'strip', strip, fast: edge(gate), slow: edge(slow.get(head) as Block), ...over };
}

/** Copies of a loop's blocks, whose edges to its head go to `next`. */
function copies(head: Block, body: readonly Block[], next: Block): Map<Block, Block> {
  const made = new Map(body.map((block) => [block, new Block(block.at, block.instructions, block.end)]));
  const moved = ({ to, at }: Edge): Edge => ({ to: to === head ? next : ((to && made.get(to)) ?? to), at });
  for (const copy of made.values()) copy.end = redirect(copy.end, moved);
  return made;
}
