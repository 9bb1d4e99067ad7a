import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '#engines/full/cpu/hart.js';
import type { TranslateMode } from '#engines/full/cpu/translator/translator.js';
import { BareMachine, FINISHER } from './support/bare-hart.js';
import { addi, bType, CSR, csrrs, hang, iType, jal, ld, li, nop, rType, sd, sw } from './support/encode.js';

// Branches over a few instructions, in one way or in both, which the translator may compute without a branch: all registers
// and the number of executed instructions must be as in the interpreter, whatever is read and written where.

/** Registers of the pieces; a few, so that they depend on one another. x0 is one of them. */
const REGISTERS = [0, 10, 11, 12, 13, 14, 15, 16];
const [SUM, COUNT, LEFT, DATA] = [27, 28, 29, 30];
const DATA_AT = RAM_BASE + 0x20_0000;

const OPERATIONS = [
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((funct3) => rType(0x33, funct3, 0)),
  ...[0, 5].map((funct3) => rType(0x33, funct3, 0x20)),
  ...[0, 1, 5].map((funct3) => rType(0x3b, funct3, 0)),
  ...[0, 5].map((funct3) => rType(0x3b, funct3, 0x20)),
  ...[0, 4, 6].map((funct3) => rType(0x33, funct3, 1)), // mul, div, rem
  ...[4, 5, 6, 7].map((funct3) => rType(0x33, funct3, 5)), // min to maxu
  ...[2, 4, 6].map((funct3) => rType(0x33, funct3, 0x10)), // sh1add to sh3add
  ...[4, 6, 7].map((funct3) => rType(0x33, funct3, 0x20)), // xnor, orn, andn
  ...[0, 2, 3, 4, 6, 7].map((funct3) => iType(0x13, funct3)),
  ...[0].map((funct3) => iType(0x1b, funct3)),
  (rd: number, rs1: number, imm: number) => iType(0x13, 1)(rd, rs1, imm & 63),
  (rd: number, rs1: number, imm: number) => iType(0x13, 5)(rd, rs1, imm & 0x43f),
  (rd: number, rs1: number, imm: number) => iType(0x1b, 5)(rd, rs1, imm & 0x41f),
];
const BRANCHES = [0, 1, 4, 5, 6, 7].map(bType);

const register = fc.constantFrom(...REGISTERS);
const plain = fc
  .tuple(fc.nat(OPERATIONS.length - 1), register, register, register)
  .map(([operation, rd, rs1, other]) => OPERATIONS[operation](rd, rs1, other));
const line = (maxLength: number): fc.Arbitrary<number[]> => fc.array(plain, { maxLength });
const branch = fc.tuple(fc.constantFrom(...BRANCHES), register, register);
const access = fc
  .tuple(register, fc.nat(7), fc.boolean())
  .map(([value, at, store]) => [store ? sd(value, DATA, at * 8) : ld(value, DATA, at * 8)]);

/** A branch over a line. */
const hammock = fc.tuple(branch, line(6)).map(([[kind, a, b], over]) => [kind(a, b, 4 + over.length * 4), ...over]);
/** The same with another line that is executed instead. */
const diamond = fc.tuple(branch, line(4), line(4)).map(([[kind, a, b], next, taken]) => {
  const jump = jal(0, 4 + taken.length * 4);
  return [kind(a, b, 8 + next.length * 4), ...next, jump, ...taken];
});
/** What is skipped has a branch of its own. */
const nested = fc
  .tuple(branch, hammock, line(2))
  .map(([[kind, a, b], inner, after]) => [kind(a, b, 4 + (inner.length + after.length) * 4), ...inner, ...after]);
const counted = fc.constant([csrrs(COUNT, CSR.minstret, 0), rType(0x33, 0, 0)(SUM, SUM, COUNT)]);
const piece = fc.oneof(
  { weight: 4, arbitrary: hammock },
  { weight: 3, arbitrary: diamond },
  { weight: 1, arbitrary: nested },
  { weight: 2, arbitrary: line(4) },
  { weight: 1, arbitrary: access },
  { weight: 1, arbitrary: counted },
);

/** All that can be seen after so many rounds through the pieces. */
function outcome(pieces: readonly (readonly number[])[], rounds: number, translate: TranslateMode): unknown {
  const machine = new BareMachine(1, translate);
  const body = [...pieces.flat(), addi(LEFT, LEFT, -1)];
  const mixed = REGISTERS.slice(1).flatMap((each) => rType(0x33, 0, 0)(SUM, SUM, each));
  const start = [
    ...REGISTERS.slice(1).flatMap((each) => li(each, 0x9e37_79b9_7f4a_7c15n >> BigInt((each * 7) % 50))),
    ...li(DATA, BigInt(DATA_AT)),
    addi(LEFT, 0, rounds),
    nop,
  ];
  const loop = [...body, ...mixed];
  const end = [csrrs(COUNT, CSR.minstret, 0), ...li(5, BigInt(FINISHER)), ...li(6, 0x5555n), sw(6, 5, 0), hang];
  machine.code([...start, ...loop, bType(1)(LEFT, 0, -loop.length * 4), ...end]);
  expect(machine.runToEnd(2_000_000)).toBe(true);
  const { state } = machine.hart;
  return {
    registers: Array.from({ length: 32 }, (_, index) => state.x(index)),
    memory: Buffer.from(machine.bytes(DATA_AT, 64)).toString('latin1'),
  };
}

describe('branches over a few instructions', () => {
  it('leave registers, memory and the count of instructions as the interpreter does', () => {
    const property = fc.property(fc.array(piece, { minLength: 1, maxLength: 24 }), (pieces) => {
      expect(outcome(pieces, 40, 'forced')).toEqual(outcome(pieces, 40, 'off'));
    });
    fc.assert(property, { numRuns: 150 });
  });
});
