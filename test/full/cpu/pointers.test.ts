import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '#engines/full/cpu/hart.js';
import type { TranslateMode } from '#engines/full/cpu/translator/translator.js';
import { AT, Bench, PTE } from './support/boot.js';
import { add, addi, beq, bne, fenceI, hang, iType, ld, li, nop, sd, sType } from './support/encode.js';

// Loops that follow pointers, copy them, move them, write through them and link nodes anew: what a pointer was checked for
// goes with its copies and around the loop in translated code. Nodes lie over the ends of pages that are scattered, in a page
// that cannot be written, and some pointers lead to where nothing is.

const { V, R, W, X, U, A, D } = PTE;
const CODE = 0x10_0000n;
const DATA = 0x40_0000n;
const PAGE = 4096;
/** Read and written; then one that is only read, and a hole. */
const WRITABLE = 4;
const PHYSICAL = [5, 2, 6, 3, 8].map((page) => RAM_BASE + 0x20_0000 + page * PAGE);
const FILLED = { at: RAM_BASE + 0x20_0000, bytes: 10 * PAGE };

const LOADS = [0, 1, 2, 3, 4, 5, 6].map((funct3) => iType(0x03, funct3));
const STORES = [0, 1, 2, 3].map((funct3) => sType(0x23, funct3));
const POINTERS = [10, 11, 12, 13];
const [LEFT, SECOND] = [14, 15];
/** Of a node: bytes 0 to 15 are two pointers, then values. */
const FIRST_VALUE = 16;

interface Step {
  kind: 'follow' | 'copy' | 'copyByAdd' | 'move' | 'load' | 'store' | 'link' | 'skip' | 'again';
  to: number;
  from: number;
  which: number;
  offset: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(
    ...(['follow', 'follow', 'copy', 'copyByAdd', 'move', 'load', 'store', 'link', 'link', 'skip', 'again'] as const),
  ),
  to: fc.constantFrom(...POINTERS),
  from: fc.constantFrom(...POINTERS),
  which: fc.nat(6),
  offset: fc.oneof(fc.integer({ min: FIRST_VALUE, max: 40 }), fc.constantFrom(FIRST_VALUE, 24, 32, 500, -8)),
});

function words({ kind, to, from, which, offset }: Step, value: number): number[] {
  const field = 8 * (which & 1);
  switch (kind) {
    case 'follow':
      return [ld(to, from, field)];
    case 'copy':
      return [addi(to, from, 0)];
    case 'copyByAdd':
      return [which < 3 ? add(to, 0, from) : add(to, from, 0)];
    case 'move':
      return [addi(to, from, offset & 0x18), addi(to, to, which < 5 ? -(offset & 0x18) : 0)];
    case 'load':
      return [LOADS[which](value, from, offset)];
    case 'store':
      return [STORES[which & 3](value, from, offset)];
    case 'link':
      return [sd(to, from, field)];
    case 'skip':
      return [beq(value, 0, 8), [addi(to, from, 0), ld(to, from, field), sd(to, from, field)][which % 3]];
    case 'again':
      return [
        addi(SECOND, 0, 3),
        ld(to, to, field),
        LOADS[which](value, to, offset),
        addi(SECOND, SECOND, -1),
        bne(SECOND, 0, -12),
      ];
  }
}

interface Program {
  body: Step[];
  nodes: { at: number; next: number; other: number }[];
  rounds: number;
  budget: number;
  apart: boolean;
}

const END = (WRITABLE + 1) * PAGE;
const place = fc.oneof(
  fc.integer({ min: 0, max: WRITABLE * (PAGE / 8) - 8 }).map((index) => index * 8),
  fc
    .tuple(fc.integer({ min: 1, max: WRITABLE }), fc.integer({ min: -6, max: 0 }))
    .map(([page, d]) => page * PAGE + d * 8),
);
/** Mostly one of the nodes; else in what is only read, or nowhere. */
const target = fc.oneof({ weight: 40, arbitrary: fc.nat(11) }, { weight: 1, arbitrary: fc.constantFrom(12, 13) });
const program: fc.Arbitrary<Program> = fc.record({
  body: fc.array(step, { minLength: 2, maxLength: 10 }),
  nodes: fc.array(fc.record({ at: place, next: target, other: target }), { minLength: 12, maxLength: 12 }),
  rounds: fc.integer({ min: 1, max: 60 }), // which end within what is run
  budget: fc.integer({ min: 1, max: 400 }),
  apart: fc.boolean(),
});

function setPointer(bench: Bench, at: number, value: bigint): void {
  for (let index = 0; index < 8; index++) {
    const byte = at + index;
    const page = PHYSICAL[Math.floor(byte / PAGE)];
    bench.machine.bytes(page + (byte % PAGE), 1)[0] = Number((value >> BigInt(8 * index)) & 0xffn);
  }
}

/** All that can be seen after a loop, run in pieces of `budget` instructions. */
function outcome({ body, nodes, rounds, budget, apart }: Program, translate: TranslateMode): unknown {
  const bench = new Bench(translate);
  bench.machine.bytes(FILLED.at, FILLED.bytes).forEach((_, index, bytes) => {
    bytes[index] = (index * 37) ^ (index >> 8);
  });
  bench.map(CODE, AT.code, V | R | X | U | A);
  PHYSICAL.forEach((page, index) => {
    bench.map(DATA + BigInt(index * PAGE), page, V | R | U | A | D | (index < WRITABLE ? W : 0));
  });
  bench.page();
  const places = [...nodes.map(({ at }) => at), WRITABLE * PAGE + 64, END + 8];
  const address = (node: number): bigint => DATA + BigInt(places[node]);
  for (const { at, next, other } of [...nodes, { at: WRITABLE * PAGE + 64, next: 0, other: 1 }]) {
    setPointer(bench, at, address(next));
    setPointer(bench, at + 8, address(other));
  }
  const inside = body.flatMap((each, index) => words(each, 20 + (index % 4)));
  const whole = [
    ...POINTERS.flatMap((register, index) => li(register, address(index))),
    ...li(LEFT, BigInt(rounds)),
    ...(apart ? [fenceI] : []), // so that the loop is another region: half of them are made for scattered pages
    ...inside,
    addi(LEFT, LEFT, -1),
    bne(LEFT, 0, -4 * (inside.length + 1)),
    nop,
    hang,
  ];
  bench.enter(0, whole, 1n << 13n, CODE);
  for (let done = 0; done < 12_000; done += budget) bench.continue(budget);
  const { state } = bench.hart;
  const registers = Array.from({ length: 32 }, (_, index) => state.x(index));
  const memory = Buffer.from(bench.machine.bytes(FILLED.at, FILLED.bytes)).toString('latin1');
  return { trap: bench.machineTrap, registers, memory };
}

describe('loops that follow pointers', () => {
  it('are as the interpreter does them, wherever nodes lie and pointers lead', () => {
    fc.assert(
      fc.property(program, (each) => {
        expect(outcome(each, 'forced')).toEqual(outcome(each, 'off'));
      }),
      { numRuns: 150 },
    );
  });
});
