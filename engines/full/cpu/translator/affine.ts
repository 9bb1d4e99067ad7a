import type { Choice } from './choices.js';
import type { Instruction } from './code-source.js';

/**
 * A value that is linear in what registers hold at some earlier place, plus something between `low` and `high`. All modulo
 * 2^64, as the guest's own additions are.
 */
export interface Linear {
  /** Coefficients by register. */
  readonly terms: ReadonlyMap<number, number>;
  readonly low: number;
  readonly high: number;
}

/** What is known of each register; undefined: nothing. */
export type Knowledge = readonly (Linear | undefined)[];

/** Beyond this nothing is worth knowing; far from where doubles lose integers. */
const LARGEST = 2 ** 31;
const LARGEST_FACTOR = 64;
/** The name of the address that instructions' places are counted from; no register's. */
const CODE = -1;

const constant = (value: number): Linear => ({ terms: new Map(), low: value, high: value });

/** Every register is itself. */
export const asItIs = (): Knowledge =>
  Array.from({ length: 32 }, (_, register) =>
    register === 0 ? constant(0) : { terms: new Map([[register, 1]]), low: 0, high: 0 },
  );

export const termsKey = ({ terms }: Linear): string =>
  [...terms]
    .sort(([a], [b]) => a - b)
    .map(([register, factor]) => `${register}*${factor}`)
    .join('+');

/** a + factor * b */
function combine(a: Linear | undefined, b: Linear | undefined, factor: number): Linear | undefined {
  if (a === undefined || b === undefined) return undefined;
  const terms = new Map(a.terms);
  for (const [register, coefficient] of b.terms) {
    const sum = (terms.get(register) ?? 0) + factor * coefficient;
    if (Math.abs(sum) > LARGEST_FACTOR) return undefined;
    if (sum === 0) terms.delete(register);
    else terms.set(register, sum);
  }
  const [x, y] = [factor * b.low, factor * b.high];
  return bounded(terms, a.low + Math.min(x, y), a.high + Math.max(x, y));
}

/** a - b */
export const difference = (a: Linear | undefined, b: Linear | undefined): Linear | undefined => combine(a, b, -1);

function bounded(terms: ReadonlyMap<number, number>, low: number, high: number): Linear | undefined {
  return low < -LARGEST || high > LARGEST ? undefined : { terms, low, high };
}

/** The value that an instruction writes to rd. */
function result({ definition, operands, at }: Instruction, known: Knowledge): Linear | undefined {
  const [a, b] = [known[operands.rs1], known[operands.rs2]];
  switch (definition.name) {
    case 'addi':
      return combine(a, constant(operands.imm), 1);
    case 'lui':
      return bounded(new Map(), operands.imm, operands.imm);
    case 'auipc':
      return bounded(new Map([[CODE, 1]]), at + operands.imm, at + operands.imm);
    case 'add':
      return combine(a, b, 1);
    case 'sub':
      return combine(a, b, -1);
    case 'slli':
      return operands.imm <= 6 ? combine(constant(0), a, 2 ** operands.imm) : undefined;
    case 'sh1add':
      return combine(b, a, 2);
    case 'sh2add':
      return combine(b, a, 4);
    case 'sh3add':
      return combine(b, a, 8);
    default:
      return undefined;
  }
}

/** What is known after an instruction. */
export function after(instruction: Instruction, known: Knowledge): Knowledge {
  const { definition, operands, chosen } = instruction;
  if (chosen !== undefined) return chosen.first ? afterChoice(chosen.choice, known) : known;
  if (!definition.writesX || operands.rd === 0) return known;
  const next = known.slice();
  next[operands.rd] = result(instruction, known);
  return next;
}

/** Its first part writes all registers. */
function afterChoice({ taken, next }: Choice, known: Knowledge): Knowledge {
  const afterAll = (way: readonly Instruction[]): Knowledge => way.reduce((before, each) => after(each, before), known);
  return meet(afterAll(taken), afterAll(next));
}

/** The same, but what is not known exactly is given a name of its own: a number that no register has. */
export function afterNamed(instruction: Instruction, known: Knowledge, name: number): Knowledge {
  const next = after(instruction, known);
  const { rd } = instruction.operands;
  const value = next[rd];
  if ((next === known && instruction.chosen === undefined) || (value !== undefined && value.low === value.high))
    return next;
  return next.map((value, register) => (register === rd ? { terms: new Map([[name, 1]]), low: 0, high: 0 } : value));
}

/** The address of a load or store. */
export const addressOf = ({ operands }: Instruction, known: Knowledge): Linear | undefined =>
  combine(known[operands.rs1], constant(operands.imm), 1);

/** What is known where two paths meet. */
export const meet = (a: Knowledge, b: Knowledge): Knowledge => a.map((each, register) => hull(each, b[register]));

function hull(a: Linear | undefined, b: Linear | undefined): Linear | undefined {
  if (a === b) return a;
  if (a === undefined || b === undefined || termsKey(a) !== termsKey(b)) return undefined;
  return { terms: a.terms, low: Math.min(a.low, b.low), high: Math.max(a.high, b.high) };
}
