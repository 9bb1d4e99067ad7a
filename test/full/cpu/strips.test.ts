import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '#engines/full/cpu/hart.js';
import { EVENT } from '#engines/full/cpu/layout.js';
import type { TranslateMode } from '#engines/full/cpu/translator/translator.js';
import { AT, Bench, PTE } from './support/boot.js';
import {
  add,
  addi,
  beq,
  blt,
  bltu,
  bne,
  fld,
  fsd,
  hang,
  iType,
  jal,
  li,
  nop,
  rType,
  slli,
  sType,
} from './support/encode.js';

// Loops over memory in pages that lie scattered, from random places with random steps, up to pages that are not there:
// the translator checks the addresses of many iterations at once, and all must be as the interpreter does it.

const { V, R, W, X, U, A, D } = PTE;
const CODE = 0x10_0000n;
const DATA = 0x40_0000n;
/** Read and written; then one that is only read, and a hole. */
const WRITABLE = 6;
const PHYSICAL = [5, 2, 6, 9, 3, 8, 4].map((page) => RAM_BASE + 0x20_0000 + page * 4096);
const FILLED = { at: RAM_BASE + 0x20_0000, bytes: 12 * 4096 };

const sub = rType(0x33, 0, 0x20);
const xor = rType(0x33, 4, 0);
const [addw, subw] = [0, 0x20].map((funct7) => rType(0x3b, 0, funct7));
const addiw = iType(0x1b, 0);
const srli = iType(0x13, 5);
const srai = (rd: number, rs1: number, shift: number) => iType(0x13, 5)(rd, rs1, shift | 0x400);
const addUw = rType(0x3b, 0, 0x04);
const shiftAddUw = [2, 4, 6].map((funct3) => rType(0x3b, funct3, 0x10));
const LOADS = [0, 1, 2, 3, 4, 5, 6].map((funct3) => ({ bytes: 1 << (funct3 & 3), make: iType(0x03, funct3) }));
const STORES = [0, 1, 2, 3].map((funct3) => ({ bytes: 1 << funct3, make: sType(0x23, funct3) }));

/** Pointers in x10 to x12, a step in x13, iterations in x14; x20 to x23 get what is loaded. */
const POINTERS = [10, 11, 12];
const [STEP, LEFT, COPY] = [13, 14, 15];
/** An index that is a word, and where it counts from. */
const [WORD, BASE] = [16, 17];
/** What x14 counts to. */
const END = 18;
/** Iterations left before another end. */
const GUARD = 19;

const MOVES = ['move', 'moveByStep', 'moveWord', 'moveWordByStep', 'skip'] as const;
const ACCESSES = ['load', 'store', 'loadDouble', 'storeDouble', 'viaSum', 'viaCopy', 'viaWord', 'viaZba'] as const;
const KINDS = [...MOVES, ...ACCESSES];

interface Step {
  kind: (typeof KINDS)[number];
  pointer: number;
  which: number;
  offset: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...KINDS),
  pointer: fc.constantFrom(...POINTERS),
  which: fc.nat(6),
  offset: fc.oneof(fc.integer({ min: -24, max: 24 }), fc.constantFrom(-2048, 2047, 8, -8, 16, 512)),
});

function words({ kind, pointer, which, offset }: Step, value: number, { shift, signed }: Word): number[] {
  const load = LOADS[which];
  const store = STORES[which % STORES.length];
  switch (kind) {
    case 'load':
      return [load.make(value, pointer, offset)];
    case 'store':
      return [store.make(value, pointer, offset)];
    case 'loadDouble':
      return [fld(value, pointer, offset)];
    case 'storeDouble':
      return [fsd(value, pointer, offset)];
    case 'move':
      return [addi(pointer, pointer, offset)];
    case 'moveByStep':
      return [which < 6 ? add(pointer, pointer, STEP) : sub(pointer, pointer, STEP)];
    case 'viaSum':
      return [add(COPY, pointer, STEP), load.make(value, COPY, offset), store.make(value, COPY, offset)];
    case 'viaCopy':
      return [addi(COPY, pointer, 1 << (which % 4)), load.make(value, COPY, offset), addi(pointer, COPY, 0)];
    case 'moveWord':
      return [addiw(WORD, WORD, offset)];
    case 'moveWordByStep':
      return [which < 5 ? addw(WORD, WORD, STEP) : subw(WORD, WORD, STEP)];
    case 'viaWord': {
      const extend = (signed ? srai : srli)(COPY, COPY, 32 - shift);
      const use = [extend, add(COPY, COPY, BASE), load.make(value, COPY, offset)];
      // In another register; in its own, where an access may fail between; or what else is there may be read.
      const between = [[], [load.make(value, pointer, offset)], [add(value, COPY, value)]][which % 3];
      const inPlace = [addi(COPY, WORD, 0), slli(COPY, COPY, 32)];
      return [...(which < 2 ? [slli(COPY, WORD, 32)] : inPlace), ...between, ...use];
    }
    case 'viaZba':
      return [(shift === 0 ? addUw : shiftAddUw[shift - 1])(COPY, WORD, BASE), store.make(value, COPY, offset)];
    case 'skip':
      return [beq(value, 0, 8), addi(pointer, pointer, which)];
  }
}

/**
 * How a loop ends: it counts in steps while it is not there, or below; also in words, from where it overflows, and past
 * the end, so that it goes on until the budget does not.
 */
interface Ending {
  step: number;
  /** Bytes that the end is off by. */
  off: number;
  word: boolean;
  whileBelow: 'no' | 'signed' | 'unsigned';
  /** Where it begins. */
  start: bigint;
  /** There is another end, some iterations later. */
  guarded: boolean;
}

const mayNotEnd = ({ off, word, whileBelow }: Ending): boolean => off !== 0 || word || whileBelow !== 'no';

const ending: fc.Arbitrary<Ending> = fc.record({
  step: fc.constantFrom(-1, 1, 2, -4, 8, 64, 3),
  off: fc.constantFrom(0, 0, 0, 1, -1),
  word: fc.boolean(),
  whileBelow: fc.constantFrom('no', 'signed', 'unsigned'),
  start: fc
    .tuple(fc.constantFrom(0n, 2n ** 31n, -(2n ** 31n), 2n ** 63n), fc.integer({ min: -80, max: 80 }))
    .map(([a, b]) => BigInt.asIntN(64, a + BigInt(b))),
  guarded: fc.boolean(),
});

/** How a word is an index: where it starts, and what place that is. */
interface Word {
  start: number;
  shift: number;
  signed: boolean;
  place: number;
}

interface Loop {
  word: Word;
  ending: Ending;
  body: Step[];
  starts: number[];
  step: number;
  rounds: number;
  budget: number;
}

const place = fc.oneof(
  fc.integer({ min: 0, max: WRITABLE * 4096 }),
  fc.tuple(fc.integer({ min: 0, max: WRITABLE + 1 }), fc.integer({ min: -64, max: 64 })).map(([p, d]) => p * 4096 + d),
);
const ofKind = (...kinds: Step['kind'][]): fc.Arbitrary<Step> =>
  fc.tuple(step, fc.constantFrom(...kinds)).map(([each, kind]) => ({ ...each, kind }));

/** Mostly near where words overflow, or change their sign. */
const word: fc.Arbitrary<Word> = fc.record({
  start: fc.oneof(
    fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    fc.tuple(fc.constantFrom(-(2 ** 31), 0, 2 ** 31), fc.integer({ min: -300, max: 300 })).map(([a, d]) => (a + d) | 0),
  ),
  shift: fc.nat(3),
  signed: fc.boolean(),
  place,
});
const loop: fc.Arbitrary<Loop> = fc.record({
  word,
  ending,
  body: fc.oneof(
    fc.array(step, { minLength: 1, maxLength: 7 }),
    fc
      .tuple(ofKind('viaWord', 'viaZba'), ofKind('moveWord', 'moveWordByStep'), fc.array(step, { maxLength: 3 }))
      .map(([access, move, others]) => [access, move, ...others]),
  ),
  starts: fc.tuple(place, place, place),
  step: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constantFrom(-8, 4095, 4096, 5000, 2 ** 31, -1)),
  rounds: fc.integer({ min: 1, max: 700 }),
  budget: fc.integer({ min: 1, max: 400 }),
});

/** All that can be seen after a loop, run in pieces of `budget` instructions. */
function outcome({ word, ending, body, starts, step, rounds, budget }: Loop, translate: TranslateMode): unknown {
  const bench = new Bench(translate);
  bench.machine.bytes(FILLED.at, FILLED.bytes).forEach((_, index, bytes) => {
    bytes[index] = (index * 37) ^ (index >> 8);
  });
  bench.map(CODE, AT.code, V | R | X | U | A);
  PHYSICAL.forEach((page, index) => {
    bench.map(DATA + BigInt(index * 4096), page, V | R | U | A | D | (index < WRITABLE ? W : 0));
  });
  bench.page();
  const inside = body.flatMap((each, index) => words(each, 20 + (index % 4), word));
  const index = BigInt(word.signed ? word.start : word.start >>> 0) << BigInt(word.shift);
  const guard = ending.guarded || mayNotEnd(ending) ? [addi(GUARD, GUARD, -1), beq(GUARD, 0, 12)] : [];
  const backwards = -4 * (inside.length + guard.length + 1);
  const program = [
    ...starts.flatMap((start, index) => li(POINTERS[index], DATA + BigInt(start))),
    ...li(STEP, BigInt(step)),
    ...li(WORD, BigInt(word.start)),
    ...li(BASE, BigInt.asIntN(64, DATA + BigInt(word.place) - index)),
    ...li(LEFT, ending.start),
    ...li(END, BigInt.asIntN(64, ending.start + BigInt(ending.step * rounds + ending.off))),
    ...li(GUARD, BigInt(rounds + 5)),
    ...inside,
    ...guard,
    (ending.word ? addiw : addi)(LEFT, LEFT, ending.step),
    { no: bne, signed: blt, unsigned: bltu }[ending.whileBelow](LEFT, END, backwards),
    nop,
    hang,
  ];
  bench.enter(0, program, 1n << 13n, CODE);
  for (let done = 0; done < 24_000; done += budget) bench.continue(budget);
  const { state } = bench.hart;
  const registers = Array.from({ length: 32 }, (_, index) => [state.x(index), state.f(index)]);
  const memory = Buffer.from(bench.machine.bytes(FILLED.at, FILLED.bytes)).toString('latin1');
  return { trap: bench.machineTrap, registers, memory };
}

describe('loops over memory', () => {
  it('are as the interpreter does them, whatever the steps, ends and faults', () => {
    fc.assert(
      fc.property(loop, (each) => {
        expect(outcome(each, 'forced')).toEqual(outcome(each, 'off'));
      }),
      { numRuns: 60 },
    );
  });
});

/** Runs a program for ever, in two pages by turns: `rounds` words of each. */
function byTurns(rounds: number): Bench {
  const bench = new Bench('on');
  bench.map(CODE, AT.code, V | R | X | U | A);
  for (const index of [0, 1]) bench.map(DATA + BigInt(index * 4096), PHYSICAL[index], V | R | W | U | A | D);
  bench.page();
  bench.hart.state.setX(10, DATA);
  bench.hart.state.setX(13, 4096n);
  const loop = [iType(0x03, 3)(20, 11, 0), addi(11, 11, 8), addi(14, 14, -1), bne(14, 0, -12)];
  const turn = [add(11, 10, 0), addi(14, 0, rounds), ...loop, xor(10, 10, 13)];
  bench.enter(0, [...turn, jal(0, -4 * turn.length)], 0n, CODE);
  return bench;
}

/** Ranges that translated code asks for, in a million instructions, when it has been executed for long. */
function rangesAskedFor(rounds: number): number {
  const { hart } = byTurns(rounds);
  for (let slice = 0; slice < 2000; slice++) hart.run(20_000);
  const asked = hart.state.count(EVENT.rangeMisses);
  for (let slice = 0; slice < 50; slice++) hart.run(20_000);
  return hart.state.count(EVENT.rangeMisses) - asked;
}

it('loops that are short, in one small page now and in another one then, look up no ranges in the end', () => {
  expect(rangesAskedFor(6)).toBeLessThan(100);
  // One for each 2000 instructions is worth it: the loop keeps its copy, and asks on.
  expect(rangesAskedFor(500)).toBeGreaterThan(400);
});

/** Ends of a loop that loads from x11 on, x12 times: what is done before it, in each iteration, and its last branch. */
const ENDINGS: Readonly<Record<string, { before: number[]; inside: number[]; again: (to: number) => number }>> = {
  'that count down': { before: [], inside: [addi(12, 12, -1)], again: (to) => bne(12, 0, to) },
  'where a pointer arrives': {
    before: [slli(15, 12, 3), add(15, 15, 11)],
    inside: [],
    again: (to) => bne(11, 15, to),
  },
  'that count up to below': { before: [addi(15, 0, 0)], inside: [addi(15, 15, 1)], again: (to) => blt(15, 12, to) },
  'whose counter comes past its end, and around': {
    before: [slli(15, 12, 1), sub(15, 0, 15), addi(16, 12, 3), addi(17, 0, -1)],
    inside: [addi(16, 16, -1), beq(16, 0, 12), addi(15, 15, 2)],
    again: (to) => bltu(15, 17, to),
  },
};

/** Sums of what loops load that begin 1 to 12 doublewords before the end of a page and last for 1 to 16 of them. */
function sums({ before, inside, again }: (typeof ENDINGS)[string], translate: TranslateMode): bigint {
  const bench = new Bench(translate);
  bench.machine.bytes(FILLED.at, FILLED.bytes).forEach((_, index, bytes) => {
    bytes[index] = (index * 37) ^ (index >> 8);
  });
  bench.map(CODE, AT.code, V | R | X | U | A);
  PHYSICAL.forEach((page, index) => {
    bench.map(DATA + BigInt(index * 4096), page, V | R | U | A);
  });
  bench.page();
  const load = [iType(0x03, 3)(20, 11, 0), slli(22, 21, 1), add(21, 21, 22), add(21, 21, 20), addi(11, 11, 8)];
  const loop = [...load, ...inside];
  const turn = [slli(22, 13, 3), sub(11, 10, 22), addi(12, 14, 0), ...before, ...loop, again(-4 * loop.length)];
  const lengths = [addi(14, 0, 16), ...turn, addi(14, 14, -1), bne(14, 0, -4 * (turn.length + 1))];
  const places = [addi(13, 0, 12), ...lengths, addi(13, 13, -1), bne(13, 0, -4 * (lengths.length + 1))];
  bench.enter(0, [...li(10, DATA + 3n * 4096n), ...places, nop, hang], 0n, CODE);
  for (let slice = 0; slice < 20; slice++) bench.continue(2000);
  expect(bench.hart.state.x(13)).toBe(0n);
  return bench.hart.state.x(21);
}

it.each(Object.keys(ENDINGS))('loops %s end there, wherever the range does', (name) => {
  expect(sums(ENDINGS[name], 'forced')).toBe(sums(ENDINGS[name], 'off'));
});

/** Between the two shifts of a word, in its own register, what others see of it: an exception's handler, an addition. */
const BETWEEN: Readonly<Record<string, number[]>> = {
  'a handler': [iType(0x03, 3)(20, 22, 0)],
  'an addition': [add(23, 23, 15)],
};

/** Registers after a loop whose words are indices, until it leaves what is mapped. */
function afterShifts(between: readonly number[], translate: TranslateMode): bigint[] {
  const bench = new Bench(translate);
  bench.map(CODE, AT.code, V | R | X | U | A);
  PHYSICAL.forEach((page, index) => {
    bench.map(DATA + BigInt(index * 4096), page, V | R | U | A);
  });
  bench.page();
  // No pointer that moves in known steps: the next page after each 64 iterations.
  const pointer = [srli(22, 16, 6), slli(22, 22, 12), add(22, 22, 10)];
  const index = [
    addi(15, 16, 0),
    slli(15, 15, 32),
    ...between,
    srli(15, 15, 32),
    add(17, 15, 10),
    LOADS[0].make(21, 17, 0),
  ];
  const loop = [...pointer, ...index, addiw(16, 16, 1)];
  bench.enter(0, [...li(10, DATA), addi(14, 0, 1000), ...loop, bne(16, 14, -4 * loop.length), hang], 1n << 13n, CODE);
  for (let slice = 0; slice < 10; slice++) bench.continue(2000);
  return [14, 15, 16, 20, 21, 22, 23].map((register) => bench.hart.state.x(register));
}

it.each(Object.keys(BETWEEN))('%s sees how a word is extended', (name) => {
  expect(afterShifts(BETWEEN[name], 'forced')).toEqual(afterShifts(BETWEEN[name], 'off'));
});
