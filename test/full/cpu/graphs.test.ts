import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '#engines/full/cpu/hart.js';
import type { TranslateMode } from '#engines/full/cpu/translator/translator.js';
import { AT, Bench, PTE } from './support/boot.js';
import { add, addi, beq, blt, bne, hang, iType, jal, jalr, li, nop, rType, sType } from './support/encode.js';

// Blocks that go on anywhere: loops with several entrances, switches, calls by a pointer, returns. In them words and
// doublewords, and accesses at constant distances from pointers into pages that lie scattered. Whatever the translator
// takes for granted of a graph, all must be as the interpreter does it.

const { V, R, W, X, U, A, D } = PTE;
const CODE = 0x10_0000n;
const DATA = 0x40_0000n;
const PHYSICAL = [5, 2, 6, 9, 3, 8].map((page) => RAM_BASE + 0x20_0000 + page * 4096);
const FILLED = { at: RAM_BASE + 0x20_0000, bytes: 12 * 4096 };

/** Values in x10 to x15, pointers in x20 to x22. */
const VALUES = [10, 11, 12, 13, 14, 15];
const POINTERS = [20, 21, 22];
const [LINK, SCRATCH, MASK, MIDDLE, BLOCKS, LEFT, SUM, MIX] = [1, 5, 26, 27, 28, 29, 30, 31];
const BLOCK_BYTES = 128;
const BLOCK_WORDS = BLOCK_BYTES / 4;
const FIRST_BLOCK = 4 * 256;

const and = rType(0x33, 7, 0);
const [AND, OR, XOR, SUB] = [and, rType(0x33, 6, 0), rType(0x33, 4, 0), rType(0x33, 0, 0x20)];
const WORD = [rType(0x3b, 0, 0), rType(0x3b, 0, 0x20), rType(0x3b, 1, 0), rType(0x3b, 5, 0), rType(0x3b, 5, 0x20)];
const WORD_IMMEDIATE = [iType(0x1b, 0), iType(0x13, 0), iType(0x13, 4), iType(0x13, 6), iType(0x13, 7)];
const LOADS = [0, 1, 2, 3, 4, 5, 6].map((funct3) => iType(0x03, funct3));
const STORES = [0, 1, 2, 3].map((funct3) => sType(0x23, funct3));
const BRANCHES = [
  beq,
  bne,
  blt,
  ...[5, 6, 7].map((funct3) => (a: number, b: number, to: number) => branch(funct3, a, b, to)),
];

const branch = (funct3: number, rs1: number, rs2: number, to: number): number =>
  (beq(rs1, rs2, to) | (funct3 << 12)) >>> 0;

const pick = <T>(from: readonly T[], which: number): T => from[which % from.length];

const step = fc.tuple(fc.nat(11), fc.nat(255), fc.nat(255), fc.nat(255), fc.integer({ min: -2048, max: 2047 }));
type Step = [number, number, number, number, number];

function words([kind, a, b, c, imm]: Step): number[] {
  const [rd, rs1, rs2] = [pick(VALUES, a), pick(VALUES, b), pick(VALUES, c)];
  const pointer = pick(POINTERS, b);
  const near = imm >> 5;
  switch (kind) {
    case 0:
      return [pick(WORD, imm & 255)(rd, rs1, rs2)];
    case 1:
      return [pick([AND, OR, XOR], imm & 255)(rd, rs1, rs2)];
    case 2:
      return [pick([add, SUB], imm & 255)(rd, rs1, rs2)];
    case 3:
      return [c % 4 === 0 ? iType(0x1b, 5)(rd, rs1, imm & 0x41f) : pick(WORD_IMMEDIATE, c)(rd, rs1, imm)]; // srliw, sraiw
    case 4:
      return [and(SCRATCH, rs1, MASK), add(pointer, SCRATCH, MIDDLE)];
    case 5:
      return [addi(pointer, pick(POINTERS, c), near)];
    case 6:
    case 7:
      return [pick(STORES, c)(rd, pointer, near)];
    default:
      return [pick(LOADS, c)(rd, pointer, near)];
  }
}

interface Piece {
  steps: Step[];
  end: 'branch' | 'jump' | 'switch' | 'call' | 'return';
  which: number;
  to: [number, number];
}

const piece: fc.Arbitrary<Piece> = fc.record({
  steps: fc.array(step, { maxLength: 9 }),
  end: fc.constantFrom('branch', 'branch', 'branch', 'jump', 'switch', 'call', 'return'),
  which: fc.nat(255),
  to: fc.tuple(fc.nat(255), fc.nat(255)),
});

function block({ steps, end, which, to }: Piece, index: number, count: number): number[] {
  const mixed = pick(VALUES, index);
  const code = [
    ...[addi(LEFT, LEFT, -1), bne(LEFT, 0, 8), jal(0, (count - index) * BLOCK_BYTES - 8)],
    ...[add(SUM, SUM, mixed), add(mixed, mixed, MIX)], // nothing is forgotten, and values do not wear out
    ...steps.flatMap(words),
  ];
  const distance = (target: number): number => ((target % count) - index) * BLOCK_BYTES - code.length * 4;
  const value = pick(VALUES, which);
  if (end === 'branch') code.push(pick(BRANCHES, which)(value, pick(VALUES, to[1]), distance(to[0])));
  if (end === 'switch' || end === 'call') {
    const by = which & 1 ? LINK : SCRATCH; // a call may overwrite what it goes by
    code.push(iType(0x13, 7)(by, value, ((count < 8 ? 4 : 8) - 1) * BLOCK_BYTES), add(by, by, BLOCKS));
    code.push(jalr(end === 'call' ? LINK : 0, by, 0));
  }
  code.push(end === 'return' ? jalr(0, LINK, 0) : jal(0, distance(to[1])));
  return [...code, ...Array.from({ length: BLOCK_WORDS - code.length }, () => nop)];
}

/** All that can be seen after so many blocks. */
function outcome(pieces: readonly Piece[], rounds: number, translate: TranslateMode): unknown {
  const bench = new Bench(translate);
  bench.machine.bytes(FILLED.at, FILLED.bytes).forEach((_, index, bytes) => {
    bytes[index] = (index * 37) ^ (index >> 8);
  });
  bench.map(CODE, AT.code, V | R | X | U | A);
  PHYSICAL.forEach((page, index) => {
    bench.map(DATA + BigInt(index * 4096), page, V | R | W | U | A | D);
  });
  bench.page();
  const start = [
    ...VALUES.flatMap((value) => li(value, 0x1234_5678_9abc_def0n * BigInt(value))),
    ...POINTERS.flatMap((pointer) => li(pointer, DATA + BigInt(pointer * 1000 - 15_900))),
    ...li(MASK, 0x3fffn),
    ...li(MIDDLE, DATA + 4096n),
    ...li(BLOCKS, CODE + BigInt(FIRST_BLOCK)),
    ...li(LINK, CODE + BigInt(FIRST_BLOCK)),
    ...li(LEFT, BigInt(rounds)),
    ...li(MIX, 0x9e37_79b9_7f4a_7c15n),
  ];
  const program = [
    ...start,
    ...Array.from({ length: FIRST_BLOCK / 4 - start.length }, () => nop),
    ...pieces.flatMap((each, index) => block(each, index, pieces.length)),
    hang,
  ];
  bench.enter(0, program, 1n << 13n, CODE);
  for (let left = 30; left > 0 && bench.hart.state.x(LEFT) > 0n; left--) bench.continue(100_000);
  const { state } = bench.hart;
  const registers = Array.from({ length: 32 }, (_, index) => state.x(index));
  const memory = Buffer.from(bench.machine.bytes(FILLED.at, FILLED.bytes)).toString('latin1');
  return { trap: bench.machineTrap, registers, memory };
}

const graph = fc.array(piece, { minLength: 3, maxLength: 11 });

describe('graphs of any shape', () => {
  it('are as the interpreter does them where all is translated', () => {
    const property = fc.property(graph, (pieces) => {
      expect(outcome(pieces, 400, 'forced')).toEqual(outcome(pieces, 400, 'off'));
    });
    fc.assert(property, { numRuns: 60 });
  });

  it('are as the interpreter does them where what is hot is translated, with targets that were seen', () => {
    const property = fc.property(graph, (pieces) => {
      expect(outcome(pieces, 40_000, 'on')).toEqual(outcome(pieces, 40_000, 'off'));
    });
    fc.assert(property, { numRuns: 8 });
  });
});
