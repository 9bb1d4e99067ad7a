import { hasFusedMultiplyAdd } from '../wasm/features.js';
import { accessKind } from './accesses.js';
import { addressOf, after, asItIs, difference, type Knowledge, type Linear } from './affine.js';
import type { Instruction } from './code-source.js';
import type { Block, Edge } from './region.js';
import type { Group, Movement } from './strips.js';

/**
 * A loop over arrays of doubles whose iterations do not depend on each other but by counting: several of them can be
 * done at once, by SIMD. Flags: only what cannot raise any but NX, which is raised already, is done so.
 */
export interface VectorLoop {
  readonly steps: readonly VectorStep[];
  readonly streams: readonly Stream[];
  /** Instructions of an iteration. */
  readonly length: number;
  /** The loop goes on while `distance`, as it is at an iteration's end, is not 0; `per` is what it comes nearer in each. */
  readonly distance: Linear;
  /** 1 where it goes down, -1 where it goes up. */
  readonly distanceSign: 1 | -1;
  readonly per: number;
  /** Where the loop's end leads. */
  readonly over: Edge;
  /** Integer registers that the loop writes: `value` after one iteration, and by how much that moves with each more. */
  readonly counters: readonly { register: number; value: Linear; per: number }[];
  /** f registers that the loop reads and never writes, and those that it writes. */
  readonly inputs: ReadonlySet<number>;
  readonly outputs: ReadonlySet<number>;
  /** Outputs whose last values can be had again when the loop is left, from what lies in memory then. */
  readonly again: ReadonlySet<number>;
}

/** The accesses of one array: 8 bytes on in each iteration. */
export interface Stream {
  readonly group: Group;
  readonly terms: Linear['terms'];
  /** The least address, less the terms. */
  low: number;
  writing: boolean;
}

export type VectorStep =
  | { readonly kind: 'load'; readonly rd: number; readonly stream: Stream; readonly constant: number }
  | Store
  | Arithmetic
  | Sign;

interface Sign {
  readonly kind: 'copy' | 'neg' | 'abs';
  readonly rd: number;
  readonly rs1: number;
}

interface Store {
  readonly kind: 'store';
  readonly rs2: number;
  readonly stream: Stream;
  readonly constant: number;
  /** No later store of the iteration is to the same place. */
  kept: boolean;
}

interface Arithmetic {
  readonly kind: 'add' | 'sub' | 'mul' | 'fused';
  readonly rd: number;
  /** Factors or terms; then the addend of a fused sum. */
  readonly operands: readonly number[];
  /** Of a fused sum: which signs are flipped. */
  readonly signs?: { readonly product: boolean; readonly addend: boolean };
  /** No other operation would turn an infinity or a NaN that comes out here into one: it must be looked at. */
  last: boolean;
}

const ARITHMETIC: Readonly<Record<string, Pick<Arithmetic, 'kind' | 'signs'>>> = {
  'fadd.d': { kind: 'add' },
  'fsub.d': { kind: 'sub' },
  'fmul.d': { kind: 'mul' },
  'fmadd.d': { kind: 'fused', signs: { product: false, addend: false } },
  'fmsub.d': { kind: 'fused', signs: { product: false, addend: true } },
  'fnmsub.d': { kind: 'fused', signs: { product: true, addend: false } },
  'fnmadd.d': { kind: 'fused', signs: { product: true, addend: true } },
};
const SIGNS: Readonly<Record<string, 'copy' | 'neg' | 'abs'>> = {
  'fsgnj.d': 'copy',
  'fsgnjn.d': 'neg',
  'fsgnjx.d': 'abs',
};
const DOUBLE_BYTES = 8;
const ROUNDS_TO_NEAREST = [0, 7];

/** Whether a value is known but for what registers hold. */
export const isExact = (value: Linear | undefined): value is Linear => value !== undefined && value.low === value.high;

/** Of a loop that is one block; undefined when it is not so simple. */
export function planVector(
  block: Block,
  members: ReadonlyMap<Instruction, Group>,
  moves: readonly (Movement | undefined)[],
): VectorLoop | undefined {
  const { instructions } = block;
  const steps = new Steps(members, instructions);
  let known = asItIs();
  for (const instruction of instructions.slice(0, -1)) {
    if (!steps.add(instruction, known)) return undefined;
    known = after(instruction, known);
  }
  const end = endOf(block, known, moves);
  const counters = countersOf(instructions, known, moves);
  if (end === undefined || counters === undefined || !steps.areSound()) return undefined;
  const { list, streams, inputs, outputs } = steps;
  return {
    steps: list,
    streams: [...streams.values()],
    length: instructions.length,
    counters,
    inputs,
    outputs,
    again: computedAgain(list, inputs),
    ...end,
  };
}

/** Collects the steps of an iteration. */
class Steps {
  readonly list: VectorStep[] = [];
  readonly streams = new Map<Group, Stream>();
  readonly inputs = new Set<number>();
  readonly outputs = new Set<number>();
  private readonly written: ReadonlySet<number>;
  /** Which operation an f register's value comes from, signs aside. */
  private readonly origins = new Map<number, Arithmetic | undefined>();

  constructor(
    private readonly members: ReadonlyMap<Instruction, Group>,
    instructions: readonly Instruction[],
  ) {
    this.written = new Set(instructions.filter(writesDouble).map(({ operands }) => operands.rd));
  }

  /** False when the instruction cannot be done several times at once. */
  add(instruction: Instruction, known: Knowledge): boolean {
    const { definition, operands } = instruction;
    const { name } = definition;
    const { rd, rs1, rs2, rs3 } = operands;
    if (accessKind(instruction) !== undefined) return this.addAccess(instruction, known);
    if (name in ARITHMETIC) {
      const fused = ARITHMETIC[name].kind === 'fused';
      if (!ROUNDS_TO_NEAREST.includes(operands.imm) || (fused && !hasFusedMultiplyAdd())) return false;
      return this.addArithmetic({
        ...ARITHMETIC[name],
        rd,
        operands: fused ? [rs1, rs2, rs3] : [rs1, rs2],
        last: true,
      });
    }
    if (name in SIGNS && rs1 === rs2) {
      if (!this.reads(rs1)) return false;
      this.write({ kind: SIGNS[name], rd, rs1 }, this.origins.get(rs1));
      return true;
    }
    return definition.pure && (rd === 0 || isExact(after(instruction, known)[rd]));
  }

  /** Of an array that is written all accesses are to the same element. */
  areSound(): boolean {
    return this.list.every((step) => !('stream' in step) || !step.stream.writing || step.constant === step.stream.low);
  }

  private addArithmetic(step: Arithmetic): boolean {
    if (!step.operands.every((operand) => this.reads(operand))) return false;
    for (const operand of step.operands) {
      const origin = this.origins.get(operand);
      if (origin !== undefined) origin.last = false;
    }
    this.write(step, step);
    return true;
  }

  private addAccess(instruction: Instruction, known: Knowledge): boolean {
    const { definition, operands } = instruction;
    const group = this.members.get(instruction);
    const address = addressOf(instruction, known);
    const double = definition.name === 'fld' || definition.name === 'fsd';
    if (!double || group === undefined || !isExact(address)) return false;
    if (group.back !== 0 || group.forth !== DOUBLE_BYTES || group.steps.length > 0) return false;
    const { terms, low: constant } = address;
    const stream = this.streams.get(group) ?? { group, terms, low: constant, writing: false };
    this.streams.set(group, stream);
    stream.low = Math.min(stream.low, constant);
    if (definition.name === 'fsd') {
      stream.writing = true;
      for (const step of this.list) if (step.kind === 'store' && step.stream === stream) step.kept = false;
      this.list.push({ kind: 'store', rs2: operands.rs2, stream, constant, kept: true });
      return this.reads(operands.rs2);
    }
    this.write({ kind: 'load', rd: operands.rd, stream, constant }, undefined);
    // Stores come last, when all is known to be well.
    return !this.list.some(({ kind }) => kind === 'store');
  }

  private write(step: Exclude<VectorStep, { kind: 'store' }>, origin: Arithmetic | undefined): void {
    this.list.push(step);
    this.origins.set(step.rd, origin);
    this.outputs.add(step.rd);
  }

  /** False when the value comes from the iteration before. */
  private reads(register: number): boolean {
    if (this.written.has(register)) return this.outputs.has(register);
    this.inputs.add(register);
    return true;
  }
}

const writesDouble = ({ definition: { name } }: Instruction): boolean =>
  name === 'fld' || name in ARITHMETIC || name in SIGNS;

/** A value that comes from an array which is written is lost, unless it was stored itself. */
function computedAgain(steps: readonly VectorStep[], inputs: ReadonlySet<number>): Set<number> {
  const known = new Set(inputs);
  const set = (register: number, is: boolean): void => {
    if (is) known.add(register);
    else known.delete(register);
  };
  for (const step of steps) {
    if (step.kind === 'store') {
      if (step.kept) known.add(step.rs2);
    } else if (step.kind === 'load') set(step.rd, !step.stream.writing);
    else
      set(
        step.rd,
        operandsOf(step).every((operand) => known.has(operand)),
      );
  }
  return known;
}

const operandsOf = (step: Arithmetic | Sign): readonly number[] => ('operands' in step ? step.operands : [step.rs1]);

/** By how much a value moves in each iteration. */
export function perIteration({ terms }: Linear, moves: readonly (Movement | undefined)[]): number | undefined {
  let sum = 0;
  for (const [register, factor] of terms) {
    const move = moves[register];
    if (move === undefined || move.steps.length > 0 || move.low !== move.high) return undefined;
    sum += factor * move.low;
  }
  return sum;
}

/** The loop must go on while two values differ. */
function endOf(
  block: Block,
  known: Knowledge,
  moves: readonly (Movement | undefined)[],
): Pick<VectorLoop, 'distance' | 'distanceSign' | 'per' | 'over'> | undefined {
  const { instructions, end } = block;
  if (end.kind !== 'branch') return undefined;
  const { definition, operands } = instructions[instructions.length - 1];
  const whileDifferent = definition.name === 'bne';
  if (!whileDifferent && definition.name !== 'beq') return undefined;
  const [onward, over] = whileDifferent ? [end.taken, end.next] : [end.next, end.taken];
  if (onward.to !== block || over.to === block) return undefined;
  const distance = difference(known[operands.rs1], known[operands.rs2]);
  const step = isExact(distance) ? perIteration(distance, moves) : undefined;
  if (!isExact(distance) || step === undefined || step === 0) return undefined;
  return { distance, distanceSign: step < 0 ? 1 : -1, per: Math.abs(step), over };
}

function countersOf(
  instructions: readonly Instruction[],
  end: Knowledge,
  moves: readonly (Movement | undefined)[],
): VectorLoop['counters'] | undefined {
  const counters: { register: number; value: Linear; per: number }[] = [];
  const written = new Set(
    instructions.filter(({ definition }) => definition.writesX).map(({ operands }) => operands.rd),
  );
  written.delete(0);
  for (const register of written) {
    const value = end[register];
    const per = isExact(value) ? perIteration(value, moves) : undefined;
    if (!isExact(value) || per === undefined) return undefined;
    counters.push({ register, value, per });
  }
  return counters;
}
