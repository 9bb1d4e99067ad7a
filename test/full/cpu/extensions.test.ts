import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RAM_BASE } from '#engines/full/cpu/hart.js';
import type { TranslateMode } from '#engines/full/cpu/translator/translator.js';
import { AT, Bench, PTE } from './support/boot.js';
import { addi, bne, fenceI, hang, iType, li, nop, rType, sType } from './support/encode.js';

// Words in loops, and how compilers extend them: in translated loops' fast copies extensions are left out or made otherwise. What
// registers hold where a loop is left, by its end, by a branch, at a fault or when the slice is over, is as the interpreter has it.

const { V, R, W, X, U, A, D } = PTE;
const CODE = 0x10_0000n;
const DATA = 0x40_0000n;
const PAGES = 4;
const PHYSICAL = RAM_BASE + 0x20_0000;

/** A pointer, iterations left, an end that words are compared with, and how often all of it is done. */
const [POINTER, LEFT, END, TURNS] = [10, 14, 15, 16];
/** What is computed with: words, mostly, and others. */
const WORDS = [21, 22, 23];
const OTHERS = [20, 24];
const VALUES = [...WORDS, ...OTHERS];

/** What makes words of anything, of words, and what makes anything. */
const WORD_OPS = [...[0, 1, 5].map((funct3) => rType(0x3b, funct3, 0)), rType(0x3b, 0, 0x20), rType(0x3b, 0, 1)];
const SUMS = [0, 0x20].map((funct7) => rType(0x3b, 0, funct7));
const BITWISE = [4, 6, 7].map((funct3) => rType(0x33, funct3, 0));
const OTHER_OPS = [
  ...[0, 1, 2, 5].map((funct3) => rType(0x33, funct3, 0)),
  ...[rType(0x33, 0, 0x20), rType(0x33, 0, 1), rType(0x3b, 0, 4), rType(0x33, 4, 0x10)],
];
const IMMEDIATE_OPS = [0, 2, 3, 4, 6, 7].map((funct3) => iType(0x13, funct3)).concat(iType(0x1b, 0));
const [slli, srli, slliw] = [iType(0x13, 1), iType(0x13, 5), iType(0x1b, 1)];
const srai = (rd: number, rs1: number, shift: number): number => srli(rd, rs1, shift | 0x400);
const LOADS = [0, 1, 2, 3, 4, 5, 6].map((funct3) => iType(0x03, funct3));
const STORES = [0, 1, 2, 3].map((funct3) => sType(0x23, funct3));

const value = fc.constantFrom(...VALUES);
const aWord = fc.constantFrom(...WORDS);
const another = fc.constantFrom(...OTHERS);
const which = <T>(from: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...from);
const distance = fc.oneof(fc.constantFrom(16, 24, 31, 32, 33, 48, 56, 63), fc.nat(63));
const immediate = fc.integer({ min: -2048, max: 2047 });
const index = fc.integer({ min: 0, max: 64 });

/** Without any access a loop gets no copy. */
const access = fc.tuple(which(STORES), value, index).map(([store, a, offset]) => [store(a, POINTER, offset)]);

/** Some instructions of a loop's body. */
const step: fc.Arbitrary<number[]> = fc.oneof(
  // Sums, most of all: what they were before shows in the end.
  { weight: 5, arbitrary: fc.tuple(which(SUMS), aWord, value).map(([make, rd, a]) => [make(rd, rd, a)]) },
  fc.tuple(which(WORD_OPS), aWord, value, value).map(([make, rd, a, b]) => [make(rd, a, b)]),
  fc.tuple(which(BITWISE), aWord, aWord, aWord).map(([make, rd, a, b]) => [make(rd, a, b)]),
  fc.tuple(aWord, value, immediate).map(([rd, a, imm]) => [iType(0x1b, 0)(rd, a, imm)]),
  // Now and then a word becomes none, in the middle of it.
  fc.tuple(aWord, value, value).map(([rd, a, b]) => [rType(0x33, 0, 0)(rd, a, b), iType(0x1b, 0)(rd, rd, 0)]),
  fc.tuple(which(OTHER_OPS), value, value, value).map(([make, rd, a, b]) => [make(rd, a, b)]),
  fc.tuple(which(IMMEDIATE_OPS), another, value, immediate).map(([make, rd, a, imm]) => [make(rd, a, imm)]),
  // As compilers extend, with one register on the way or two, and the same of an address.
  fc
    .tuple(which([srli, srai]), another, another, value, distance, distance)
    .map(([back, rd, between, a, up, down]) => [slli(between, a, up), back(rd, between, down)]),
  fc
    .tuple(which([srli, srai]), another, value, which([0, 1, 2, 3, 8]))
    .map(([back, rd, a, scale]) => [
      iType(0x13, 7)(rd, a, 63),
      slli(rd, rd, 32),
      back(rd, rd, 32 - scale),
      rType(0x33, 0, 0)(rd, rd, POINTER),
      LOADS[2](21, rd, 0),
    ]),
  fc.tuple(aWord, value, fc.nat(31)).map(([rd, a, by]) => [slliw(rd, a, by)]),
  fc.tuple(aWord, aWord).map(([rd, a]) => [addi(rd, a, 0)]),
  fc.tuple(which(LOADS.slice(0, 3)), aWord, index).map(([load, rd, offset]) => [load(rd, POINTER, offset)]),
  fc.tuple(which(LOADS), another, index).map(([load, rd, offset]) => [load(rd, POINTER, offset)]),
  access,
  fc.tuple(aWord, value).map(([a, b]) => [bne(a, b, 8), iType(0x1b, 0)(a, b, 1)]),
);

interface Loop {
  body: number[][];
  start: number;
  values: bigint[];
  rounds: number;
  budget: number;
  leave: boolean;
  /** Regions are made with copies of loops or without, by turns: so many ends of regions come first. */
  ends: number;
}

const loop: fc.Arbitrary<Loop> = fc.record({
  body: fc.tuple(access, fc.array(step, { maxLength: 7 })).map(([first, others]) => [first, ...others]),
  start: fc.integer({ min: 0, max: PAGES * 4096 - 16 }),
  values: fc.array(fc.oneof(fc.bigInt(-(2n ** 31n), 2n ** 31n - 1n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)), {
    minLength: VALUES.length,
    maxLength: VALUES.length,
  }),
  rounds: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 300 })),
  // The first region has the loop and what comes before it, 140 instructions: what is in registers is known there.
  budget: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 140, max: 4000 })),
  leave: fc.boolean(),
  ends: fc.integer({ min: 1, max: 4 }),
});

function outcome({ body, start, values, rounds, budget, leave, ends }: Loop, translate: TranslateMode): unknown {
  const bench = new Bench(translate);
  const bytes = bench.machine.bytes(PHYSICAL, PAGES * 4096);
  for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 37) ^ (at >> 8);
  bench.map(CODE, AT.code, V | R | X | U | A);
  for (let page = 0; page < PAGES; page++) {
    bench.map(DATA + BigInt(page * 4096), PHYSICAL + page * 4096, V | R | W | U | A | D);
  }
  bench.page();
  const out = leave ? [bne(WORDS[0], END, 8), bne(0, POINTER, 16)] : [];
  const inside = [...body.flat(), ...out, addi(POINTER, POINTER, 4), addi(LEFT, LEFT, -1)];
  const all = [
    ...li(POINTER, DATA + BigInt(start)),
    ...li(LEFT, BigInt(rounds)),
    ...li(END, 7n),
    ...VALUES.flatMap((each, at) => li(each, values[at])),
    ...WORDS.map((each) => iType(0x1b, 0)(each, each, 0)),
    ...inside,
    bne(LEFT, 0, -4 * inside.length),
    nop,
    nop,
    addi(TURNS, TURNS, -1),
  ];
  const turns = [addi(TURNS, 0, 3), ...all, bne(TURNS, 0, -4 * all.length), hang];
  // Bench.enter() executes a few hundred instructions: they end in a loop before all that, in a region of its own.
  const delay = [addi(5, 0, 400), addi(5, 5, -1), bne(5, 0, -4)];
  const program = [...delay, ...new Array<number>(ends).fill(fenceI), ...turns];
  bench.enter(0, program, 1n << 13n, CODE);
  for (let done = 0; done < 20_000; done += budget) bench.continue(budget);
  const registers = Array.from({ length: 32 }, (_, at) => bench.hart.state.x(at));
  return { trap: bench.machineTrap, registers, memory: Buffer.from(bytes).toString('latin1') };
}

it('words in loops are as the interpreter has them, wherever a loop is left', () => {
  fc.assert(
    fc.property(loop, (each) => {
      expect(outcome(each, 'forced')).toEqual(outcome(each, 'off'));
    }),
    { numRuns: 60 },
  );
});

const SHIFTS = [0, 1, 16, 31, 32, 33, 47, 48, 63];

it.each([true, false])('a shift to the left and one to the right, signed: %s', (signed) => {
  const start = 0x9234_5678_89ab_cdefn;
  for (const up of SHIFTS) {
    const bench = new Bench('forced');
    bench.map(CODE, AT.code, V | R | X | U | A);
    bench.page();
    const pairs = SHIFTS.flatMap((down, at) => [
      slli(6, 5, up),
      (signed ? srai : srli)(7 + at, 6, down),
      iType(0x1b, 0)(7 + SHIFTS.length + at, 7 + at, 0),
    ]);
    bench.enter(0, [...li(5, start), ...pairs, hang], 0n, CODE);
    bench.continue(200);
    const raised = BigInt.asIntN(64, start << BigInt(up));
    const want = SHIFTS.map((down) => (signed ? raised : BigInt.asUintN(64, raised)) >> BigInt(down));
    const x = (at: number): bigint => BigInt.asUintN(64, bench.hart.state.x(at));
    expect(want.map((_, at) => x(7 + at))).toEqual(want.map((each) => BigInt.asUintN(64, each)));
    const words = want.map((each) => BigInt.asUintN(64, BigInt.asIntN(32, each)));
    expect(want.map((_, at) => x(7 + SHIFTS.length + at))).toEqual(words);
  }
});
