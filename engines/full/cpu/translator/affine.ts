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
  /** Only if all of these hold. */
  readonly bounds?: readonly Bound[];
  /** It is this one, shifted left by 32 bits; `terms` name nothing else then. */
  readonly upper?: Linear;
}

/**
 * Where a value must lie: from `least` up to 2^31, exclusive. In there operations on words, and the shifts that extend them,
 * are the same as those of 64 bits.
 */
export interface Bound {
  readonly value: Linear;
  readonly least: number;
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
  const sum = bounded(terms, a.low + Math.min(x, y), a.high + Math.max(x, y));
  return sum && withBounds(sum, a, b);
}

/** The value, if all holds that must hold for what it was made of. */
function withBounds(value: Linear, a: Linear, b: Linear): Linear {
  if (a.bounds === undefined && b.bounds === undefined) return value;
  return { ...value, bounds: [...new Set([...(a.bounds ?? []), ...(b.bounds ?? [])])] };
}

/** The value, given that it is not less than `least`, and is a word. */
function asWord(value: Linear | undefined, least: number): Linear | undefined {
  if (value === undefined) return undefined;
  if (value.terms.size === 0) return value.low >= least && value.high < LARGEST ? value : undefined;
  return { ...value, bounds: [...(value.bounds ?? []), { value, least }] };
}

/** Names of what is only known to be shifted up; below those of all registers. */
let shifted = CODE - 1;

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

/** The same where it is linear only as long as no word overflows. */
function wordResult({ definition, operands }: Instruction, known: Knowledge): Linear | undefined {
  const [a, b] = [known[operands.rs1], known[operands.rs2]];
  const { imm } = operands;
  const scaled = (word: Linear | undefined, bits: number): Linear | undefined => combine(constant(0), word, 2 ** bits);
  switch (definition.name) {
    case 'addiw':
      return asWord(combine(a, constant(imm), 1), -LARGEST);
    case 'addw':
      return asWord(combine(a, b, 1), -LARGEST);
    case 'subw':
      return asWord(combine(a, b, -1), -LARGEST);
    case 'slli':
      return imm === 32 && a !== undefined ? { ...named(shifted--), upper: a } : undefined;
    case 'srli':
      return imm >= 26 && imm <= 32 ? scaled(asWord(a?.upper, 0), 32 - imm) : undefined;
    case 'srai':
      return imm >= 26 && imm <= 32 ? scaled(asWord(a?.upper, -LARGEST), 32 - imm) : undefined;
    case 'slli.uw':
      return imm <= 6 ? scaled(asWord(a, 0), imm) : undefined;
    case 'add.uw':
      return combine(b, asWord(a, 0), 1);
    case 'sh1add.uw':
      return combine(b, asWord(a, 0), 2);
    case 'sh2add.uw':
      return combine(b, asWord(a, 0), 4);
    case 'sh3add.uw':
      return combine(b, asWord(a, 0), 8);
    default:
      return undefined;
  }
}

const named = (name: number): Linear => ({ terms: new Map([[name, 1]]), low: 0, high: 0 });

/** What is known after an instruction; `words`: also what is so within bounds alone. */
export function after(instruction: Instruction, known: Knowledge, words = false): Knowledge {
  const { definition, operands, chosen } = instruction;
  if (chosen !== undefined) return chosen.first ? afterChoice(chosen.choice, known, words) : known;
  if (!definition.writesX || operands.rd === 0) return known;
  const next = known.slice();
  next[operands.rd] = result(instruction, known) ?? (words ? wordResult(instruction, known) : undefined);
  return next;
}

/** Its first part writes all registers. */
function afterChoice({ taken, next }: Choice, known: Knowledge, words: boolean): Knowledge {
  const afterAll = (way: readonly Instruction[]): Knowledge =>
    way.reduce((before, each) => after(each, before, words), known);
  return meet(afterAll(taken), afterAll(next));
}

/** The address of a load or store. */
export const addressOf = ({ operands }: Instruction, known: Knowledge): Linear | undefined =>
  combine(known[operands.rs1], constant(operands.imm), 1);

/** What is known where two paths meet. */
export const meet = (a: Knowledge, b: Knowledge): Knowledge => a.map((each, register) => hull(each, b[register]));

function hull(a: Linear | undefined, b: Linear | undefined): Linear | undefined {
  if (a === b) return a;
  if (a === undefined || b === undefined || termsKey(a) !== termsKey(b)) return undefined;
  return withBounds({ terms: a.terms, low: Math.min(a.low, b.low), high: Math.max(a.high, b.high) }, a, b);
}
