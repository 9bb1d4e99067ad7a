import { MODE } from '../host/status.js';
import { csrPrivilege, fastCsr } from '../interpreter/fast-csr.js';
import type { CodeSource, Instruction } from './code-source.js';
import { leadsTo } from './own-code.js';
import type { Group, Strip } from './strips.js';

/** Where a block goes on: in another block, or out of the region at `at`. */
export interface Edge {
  to: Block | undefined;
  readonly at: number;
}

/** How a block ends. */
export type End =
  /** With no instruction of its own: on with what follows. */
  | { kind: 'next'; next: Edge }
  | { kind: 'branch'; taken: Edge; next: Edge }
  | { kind: 'jump'; next: Edge }
  /** To a computed address, which may be one of those that were foreseen. */
  | { kind: 'indirect'; likely: Edge[] }
  /** Without instructions: into one of a loop's copies (see strips.ts), or out of it when SIMD has done it all. */
  | { kind: 'strip'; strip: Strip; fast: Edge; slow: Edge; over?: Edge }
  /** Without instructions, the head of the fast copy: on, or to the choice again. */
  | { kind: 'gate'; strip: Strip; on: Edge; over: Edge };

/** A straight line of code. The same code appears once for each call that it is inlined for. */
export class Block {
  /** Place in reverse postorder, dominator, blocks it dominates: see graph.ts. */
  order = -1;
  dominator: Block | undefined;
  readonly dominated: Block[] = [];
  /** Edges that come from earlier blocks. */
  forwardEdges = 0;
  loopHead = false;
  /** Accesses that need no check of their own. */
  trusted: ReadonlyMap<Instruction, Group> | undefined;
  /** The strip whose fast copy it belongs to. */
  strip: Strip | undefined;

  constructor(
    readonly at: number,
    public instructions: readonly Instruction[],
    public end: End,
  ) {}

  edges(): Edge[] {
    switch (this.end.kind) {
      case 'branch':
        return [this.end.taken, this.end.next];
      case 'indirect':
        return this.end.likely;
      case 'strip':
        return [this.end.fast, this.end.slow, ...(this.end.over === undefined ? [] : [this.end.over])];
      case 'gate':
        return [this.end.on, this.end.over];
      default:
        return [this.end.next];
    }
  }
}

/** The same end with other edges. */
export function redirect(end: End, moved: (edge: Edge) => Edge): End {
  switch (end.kind) {
    case 'next':
    case 'jump':
      return { kind: end.kind, next: moved(end.next) };
    case 'branch':
      return { kind: 'branch', taken: moved(end.taken), next: moved(end.next) };
    case 'indirect':
      return { kind: 'indirect', likely: end.likely.map(moved) };
    default:
      throw new Error('a strip within a strip');
  }
}

/** One activation: the function that the region begins in, or one that is inlined where it is called. */
interface Frame {
  readonly entry: number;
  readonly caller: Frame | undefined;
  readonly depth: number;
  /** Where it returns to, in the caller; the outermost one returns to its own calls of itself. */
  readonly returns: { frame: Frame; at: number }[];
  readonly known: Map<number, Instruction>;
  readonly leaders: Set<number>;
  /** What is called from where. */
  readonly calls: Map<number, Frame[]>;
  readonly blocks: Map<number, Block>;
}

/**
 * `line`: instructions of a straight line that is finished even where the region is large enough. Rounds of hashes and ciphers are
 * longer than a small region: what lay behind its end was interpreted, each time, since slices end at targets of jumps alone.
 */
const LIMITS = { callDepth: 4, callees: 6, line: 2000 } as const;
const RA = 1;

/** Instructions that only the interpreter executes: they change how code is executed, or ask the host. */
const INTERPRETED = new Set(['pause', 'ebreak', 'wfi', 'sfence.vma', 'fence.i']);
/** The mode that returns from traps must be executed in; elsewhere they are illegal, or the host has to look. */
const RETURNS: Readonly<Record<string, number>> = { mret: MODE.M, sret: MODE.S };

function translatable({ definition, operands }: Instruction, privilege: number): boolean {
  const { name, csr } = definition;
  if (csr) return fastCsr(operands.imm) !== undefined && csrPrivilege(operands.imm) <= privilege;
  return !INTERPRETED.has(name) && (RETURNS[name] ?? privilege) === privilege;
}

/** Memory may be seen otherwise after a write to mstatus: what a region has found out about it ends there. */
const endsRegion = ({ definition, operands }: Instruction): boolean =>
  definition.csr && fastCsr(operands.imm)?.way === 'status';

/**
 * Finds the code of a region: what is reached from its entry by branches, jumps and calls, nearest first, until it is
 * large enough (`limit` instructions).
 */
export class RegionFinder {
  private readonly queue: { frame: Frame; at: number }[] = [];
  private readonly root: Frame;
  private found = 0;
  /** Functions that are called, and whether the region begins within them. */
  private readonly ofRoot = new Map<number, boolean>();

  constructor(
    private readonly source: CodeSource,
    entry: number,
    private readonly limit: number,
  ) {
    this.root = this.frame(entry, undefined);
    this.queue.push({ frame: this.root, at: entry });
  }

  /** The first block; undefined when the first instruction must be interpreted. */
  find(): Block | undefined {
    for (let index = 0; index < this.queue.length && this.found < this.limit; index++) {
      this.scan(this.queue[index].frame, this.queue[index].at);
    }
    return this.block(this.root, this.root.entry);
  }

  private frame(entry: number, caller: Frame | undefined, returnAt?: number): Frame {
    const returns = caller !== undefined && returnAt !== undefined ? [{ frame: caller, at: returnAt }] : [];
    return {
      entry,
      caller,
      depth: caller === undefined ? 0 : caller.depth + 1,
      returns,
      known: new Map(),
      leaders: new Set([entry]),
      calls: new Map(),
      blocks: new Map(),
    };
  }

  /** Follows a straight line. */
  private scan(frame: Frame, start: number): void {
    let previous: Instruction | undefined;
    for (let at = start, line = 0; !frame.known.has(at) && line < LIMITS.line; line++) {
      const instruction = this.source.instruction(at);
      if (instruction === undefined || !translatable(instruction, this.source.privilege)) return;
      frame.known.set(at, instruction);
      this.found++;
      const { flow } = instruction.definition;
      if (flow !== 'next') {
        this.follow(frame, instruction, previous);
        return;
      }
      if (endsRegion(instruction)) return;
      previous = instruction;
      at += instruction.length;
    }
  }

  private follow(frame: Frame, instruction: Instruction, previous: Instruction | undefined): void {
    const { definition, operands, at, length } = instruction;
    const target = targetOf(instruction, previous);
    if (target === undefined) {
      this.followIndirect(frame, instruction);
      return;
    }
    targets.set(instruction, target);
    if (definition.flow === 'branch') {
      this.leader(frame, at + length);
      this.leader(frame, target);
    } else if (operands.rd === RA) this.call(frame, instruction, target);
    else this.leader(frame, target);
  }

  /** A call by a pointer leads to few functions as a rule; other jumps that are no returns are those of a switch. */
  private followIndirect(frame: Frame, instruction: Instruction): void {
    if (!isNoted(instruction)) return;
    const noted = this.source.targets(instruction);
    seen.set(instruction, noted);
    const call = instruction.operands.rd === RA;
    if (call && noted.length > LIMITS.callees) return;
    for (const target of noted) {
      if (call) this.call(frame, instruction, target);
      else this.leader(frame, target);
    }
  }

  private leader(frame: Frame, at: number): void {
    frame.leaders.add(at);
    this.queue.push({ frame, at });
  }

  /** A function that is being executed already is not inlined again: recursion is a jump to its start, with one more return. */
  private call(frame: Frame, { at, length }: Instruction, target: number): void {
    const running = this.running(frame, target);
    if (running === undefined && frame.depth >= LIMITS.callDepth) return;
    const callee = running ?? this.frame(target, frame, at + length);
    frame.calls.set(at, [...(frame.calls.get(at) ?? []), callee]);
    this.leader(callee, target);
    // Where another copy of this call returns to this one does as well: addresses are all that is compared.
    if (running?.returns.some((known) => known.at === at + length)) return;
    running?.returns.push({ frame, at: at + length });
    this.leader(frame, at + length);
  }

  /** The activation of a function that is being executed already. */
  private running(frame: Frame, entry: number): Frame | undefined {
    for (let each: Frame | undefined = frame; each !== undefined; each = each.caller) {
      if (each.entry === entry || (each === this.root && this.isOfRoot(entry))) return each;
    }
    return undefined;
  }

  /** Whether the function at `entry` is the one that the region begins in: after a call, where a loop was interrupted. */
  private isOfRoot(entry: number): boolean {
    const { root, ofRoot } = this;
    const known = ofRoot.get(entry) ?? leadsTo(this.source, entry, root.entry);
    ofRoot.set(entry, known);
    return known;
  }

  private block(frame: Frame, start: number): Block | undefined {
    const done = frame.blocks.get(start);
    if (done !== undefined || !frame.known.has(start)) return done;
    const instructions: Instruction[] = [];
    let at = start;
    for (;;) {
      const instruction = frame.known.get(at);
      if (instruction === undefined || (at !== start && frame.leaders.has(at))) break;
      instructions.push(instruction);
      at += instruction.length;
      if (instruction.definition.flow !== 'next' || endsRegion(instruction)) break;
    }
    const placeholder: End = { kind: 'next', next: { to: undefined, at } };
    const block = new Block(start, instructions, placeholder);
    frame.blocks.set(start, block); // before its successors: there are loops
    block.end = this.end(frame, instructions[instructions.length - 1], at);
    return block;
  }

  private end(frame: Frame, last: Instruction, next: number): End {
    const target = targets.get(last);
    const edge = (at: number, inside = frame): Edge => ({ to: this.block(inside, at), at });
    switch (last.definition.flow) {
      case 'next':
        return { kind: 'next', next: endsRegion(last) ? { to: undefined, at: next } : edge(next) };
      case 'branch':
        return { kind: 'branch', taken: edge(target as number), next: edge(next) };
      case 'jump':
        return { kind: 'jump', next: this.jumpEdge(frame, last, target as number) };
      case 'jumpIndirect':
        return { kind: 'indirect', likely: this.likely(frame, last, target) };
    }
  }

  private jumpEdge(frame: Frame, last: Instruction, target: number): Edge {
    if (last.operands.rd === 0) return { to: this.block(frame, target), at: target };
    const callee = frame.calls.get(last.at)?.find(({ entry }) => entry === target);
    return { to: callee && this.block(callee, target), at: target };
  }

  private likely(frame: Frame, last: Instruction, target: number | undefined): Edge[] {
    if (target !== undefined) return [this.jumpEdge(frame, last, target)].filter(({ to }) => to !== undefined);
    if (!isReturn(last)) return this.noted(frame, last);
    return frame.returns
      .map(({ frame: caller, at }): Edge => ({ to: this.block(caller, at), at }))
      .filter(({ to }) => to !== undefined);
  }

  private noted(frame: Frame, last: Instruction): Edge[] {
    return (seen.get(last) ?? [])
      .map((target) => this.jumpEdge(frame, last, target))
      .filter(({ to }) => to !== undefined);
  }
}

/** Where indirect jumps were seen to lead to. */
const seen = new WeakMap<Instruction, readonly number[]>();

/** Whether the interpreter notes where an indirect jump leads: not of returns. */
export const isNoted = (jump: Instruction): boolean => jump.definition.name === 'jalr' && !isReturn(jump);

const isReturn = ({ operands }: Instruction): boolean => operands.rd === 0 && operands.rs1 === RA;

/** Targets of direct jumps and branches, where they are known. */
const targets = new WeakMap<Instruction, number>();

/** Where a jump or branch goes; an auipc before a jalr makes it direct (the far call of the toolchains). */
function targetOf({ definition, operands, at }: Instruction, previous: Instruction | undefined): number | undefined {
  if (definition.flow !== 'jumpIndirect') return at + operands.imm;
  const pair = previous?.definition.name === 'auipc' && previous.operands.rd === operands.rs1 && operands.rs1 !== 0;
  return pair ? (previous.at + previous.operands.imm + operands.imm) & ~1 : undefined;
}
