import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '#engines/full/cpu/hart.js';
import { AT, Bench, PTE } from './support/boot.js';
import { add, addi, beq, bne, CSR, csrrw, fld, fsd, hang, iType, jal, ld, li, rType, sd } from './support/encode.js';

// What translations check once and believe from then on: that an address stays within a page, that a register still holds
// what it held, that a value can be had again from memory. Each case is one that is lost where the check is left out.

const { V, R, W, X, U, A, D } = PTE;
const CODE = 0x10_0000n;
const DATA = 0x40_0000n;
const PAGE = 4096;
/** Pages that follow each other are far apart, and what lies behind each of them in RAM is something else. */
const PHYSICAL = [5, 2, 9, 0].map((page) => RAM_BASE + 0x20_0000 + page * PAGE);
const FILLED = 12;

type Place = [page: number, offset: number];
const virtual = ([page, offset]: Place): bigint => DATA + BigInt(page * PAGE + offset);

function bench(mode: 'off' | 'forced'): Bench {
  const made = new Bench(mode);
  made.machine.bytes(RAM_BASE + 0x20_0000, FILLED * PAGE).fill(0xee);
  made.map(CODE, AT.code, V | R | X | U | A);
  PHYSICAL.forEach((page, index) => {
    made.map(DATA + BigInt(index * PAGE), page, V | R | W | U | A | D);
  });
  made.page();
  return made;
}

const set64 = (made: Bench, [page, offset]: Place, value: bigint): void =>
  made.machine.set64(PHYSICAL[page] + offset, value);

function byteAt(made: Bench, at: number): Uint8Array {
  return made.machine.bytes(PHYSICAL[Math.floor(at / PAGE)] + (at % PAGE), 1);
}

/** Of so many bytes at a distance from DATA, whatever pages these lie in. */
function number(made: Bench, at: number, bytes: number): bigint {
  let value = 0n;
  for (let index = bytes; index-- > 0; ) value = (value << 8n) | BigInt(byteAt(made, at + index)[0]);
  return value;
}

function enter(made: Bench, words: readonly number[]): void {
  made.enter(0, [...words, hang], 3n << 13n, CODE);
  for (let turn = 0; turn < 4; turn++) made.continue(20_000);
}

const bitsOf = (value: number): bigint => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0);
};

/** Nodes on several pages: at 0 where the next one is, the last one's being the first; at 8 the square of their number. */
function ring(made: Bench, stride = 32): Place[] {
  const nodes: Place[] = Array.from({ length: 60 }, (_, index) => [index % 3, 64 + index * stride]);
  nodes.forEach((node, index) => {
    set64(made, node, virtual(nodes[(index + 1) % nodes.length]));
    set64(made, [node[0], node[1] + 8], BigInt(index * index));
  });
  return nodes;
}

describe.each(['off', 'forced'] as const)('translations %s', (mode) => {
  const COUNT = 900;
  const widths = [1, 2, 4, 8] as const;
  const cases = widths.flatMap((bytes) => [...Array(bytes).keys()].map((off) => ({ bytes, off })));

  it.each(cases)('$bytes bytes each, from $off behind a multiple: the last one of a page ends in the next', (each) => {
    const { bytes, off } = each;
    const made = bench(mode);
    const start = PAGE - 8 * 20 + off;
    for (let at = 0; at < 3 * PAGE; at++) byteAt(made, at)[0] = (at * 7 + (at >> 5)) & 0xff;
    let expected = 0n;
    for (let index = 0; index < COUNT; index++) expected += number(made, start + index * bytes, bytes);
    const load = iType(0x03, bytes === 8 ? 3 : 4 + Math.log2(bytes));
    enter(made, [
      ...[...li(10, DATA + BigInt(start)), ...li(14, BigInt(COUNT))],
      ...[load(20, 10, 0), add(30, 30, 20), addi(10, 10, bytes), addi(14, 14, -1), bne(14, 0, -16)],
    ]);
    expect(made.hart.state.x(30)).toBe(BigInt.asUintN(64, expected));
  });

  it.each(cases)('$bytes bytes each, downwards from $off behind a multiple', ({ bytes, off }) => {
    const made = bench(mode);
    const start = 2 * PAGE + 8 * 20 + off;
    for (let at = 0; at < 3 * PAGE; at++) byteAt(made, at)[0] = (at * 7 + (at >> 5)) & 0xff;
    let expected = 0n;
    for (let index = 0; index < COUNT; index++) expected += number(made, start - index * bytes, bytes);
    const load = iType(0x03, bytes === 8 ? 3 : 4 + Math.log2(bytes));
    enter(made, [
      ...[...li(10, DATA + BigInt(start)), ...li(14, BigInt(COUNT))],
      ...[load(20, 10, 0), add(30, 30, 20), addi(10, 10, -bytes), addi(14, 14, -1), bne(14, 0, -16)],
    ]);
    expect(made.hart.state.x(30)).toBe(BigInt.asUintN(64, expected));
  });

  it.each([2, 4, 8])('stores of %i bytes over the ends of pages', (bytes) => {
    const made = bench(mode);
    const start = PAGE - 8 * 20 + 1;
    const store = (0x23 | (10 << 15) | (20 << 20) | (Math.log2(bytes) << 12)) >>> 0;
    enter(made, [
      ...[...li(10, DATA + BigInt(start)), ...li(14, BigInt(COUNT)), ...li(20, 0x0101_0101_0101_0101n)],
      ...[add(20, 20, 14), store, addi(10, 10, bytes), addi(14, 14, -1), bne(14, 0, -16)],
    ]);
    let value = 0x0101_0101_0101_0101n;
    for (let index = 0; index < COUNT; index++) {
      value += BigInt(COUNT - index);
      expect(number(made, start + index * bytes, bytes)).toBe(BigInt.asUintN(bytes * 8, value));
    }
  });

  it('a pointer that a loop loads anew is not the one of before the loop', () => {
    const made = bench(mode);
    const nodes = ring(made);
    enter(made, [
      ...[...li(10, virtual(nodes[0])), ...li(14, 600n)],
      ld(21, 10, 8), // the same address as in the loop, the first time
      ...[ld(20, 10, 8), add(30, 30, 20), ld(10, 10, 0), addi(14, 14, -1), bne(14, 0, -16)],
    ]);
    const sum = nodes.reduce((all, _, index) => all + index * index, 0);
    expect(made.hart.state.x(30)).toBe(BigInt(sum * 10));
  });

  it('nor is one that only some of the loop’s paths change', () => {
    const made = bench(mode);
    const nodes = ring(made);
    enter(made, [
      ...[...li(10, virtual(nodes[0])), ...li(14, 1200n)],
      sd(0, 10, 16),
      ...[ld(20, 10, 8), add(30, 30, 20), sd(30, 10, 16), iType(0x13, 7)(22, 14, 1), bne(22, 0, 8), ld(10, 10, 0)],
      ...[addi(14, 14, -1), bne(14, 0, -28)],
    ]);
    const sum = nodes.reduce((all, _, index) => all + index * index, 0);
    expect(made.hart.state.x(30)).toBe(BigInt(sum * 20));
  });

  it('nor is one that an inner loop changes, in the outer loop', () => {
    const made = bench(mode);
    const nodes = ring(made);
    enter(made, [
      ...[...li(10, virtual(nodes[0])), ...li(14, 200n)],
      ld(21, 10, 8),
      ...[ld(20, 10, 8), add(30, 30, 20), addi(15, 0, 7)],
      ...[ld(10, 10, 0), addi(15, 15, -1), beq(15, 0, 8), jal(0, -12)],
      ...[addi(14, 14, -1), bne(14, 0, -32)],
    ]);
    let sum = 0;
    for (let round = 0; round < 200; round++) sum += ((round * 7) % 60) ** 2;
    expect(made.hart.state.x(30)).toBe(BigInt(sum));
  });

  /** Far enough that a node of the ring and what lies so far behind it are often in two pages. */
  const FAR = 1900;

  function scene(made: Bench): { nodes: Place[]; sum: (far: (node: number) => number) => bigint } {
    for (let at = 0; at < 4 * PAGE; at++) byteAt(made, at)[0] = (at * 7 + (at >> 5)) & 0xff;
    const nodes = ring(made, 64);
    const at = (node: number): number => nodes[node][0] * PAGE + nodes[node][1];
    const sum = (far: (node: number) => number): bigint =>
      BigInt.asUintN(
        64,
        nodes.reduce((all, _, node) => all + 10n * number(made, at(node) + far(node), 8), 0n),
      );
    return { nodes, sum };
  }

  it('where a pointer was moved to is not where it was checked', () => {
    const made = bench(mode);
    const { nodes, sum } = scene(made);
    enter(made, [
      ...[...li(10, virtual(nodes[0])), ...li(14, 600n)],
      ...[ld(20, 10, 8), addi(11, 10, FAR), ld(20, 11, 8), add(30, 30, 20), ld(10, 10, 0)],
      ...[addi(14, 14, -1), bne(14, 0, -24)],
    ]);
    expect(made.hart.state.x(30)).toBe(sum(() => FAR + 8));
  });

  it.each([
    ['moves', beq, 0],
    ['leaves alone', bne, 1],
  ] as const)('nor where the one that a path %s was', (_, branch, moved) => {
    const made = bench(mode);
    const { nodes, sum } = scene(made);
    enter(made, [
      ...[...li(10, virtual(nodes[0])), ...li(14, 600n)],
      ...[ld(20, 10, 8), iType(0x13, 7)(22, 14, 1), addi(11, 10, 0), branch(22, 0, 12)],
      ...[ld(21, 10, 8), addi(11, 10, FAR)], // with a load it is no choice to be computed both ways
      ...[ld(20, 11, 8), add(30, 30, 20), ld(10, 10, 0), addi(14, 14, -1), bne(14, 0, -40)],
    ]);
    expect(made.hart.state.x(30)).toBe(sum((node) => ((node & 1) === moved ? 8 : FAR + 8)));
  });

  const multiply = rType(0x53, 7, 0x09);
  const plus = rType(0x53, 7, 0x01);
  /** x10, x11: arrays; f0 = 3. */
  const loop = (...body: number[]): number[] => {
    const words = [...body, addi(10, 10, 8), addi(11, 11, 8)];
    return [...words, bne(10, 12, -4 * words.length)];
  };
  const overwritten: [string, number[], number[]][] = [
    // f2 is what was there before f3 was written over it.
    ['a value', [fld(1, 10, 0), fld(2, 11, 0), multiply(3, 1, 0), fsd(3, 11, 0)], [2]],
    ['a product of it', [fld(1, 10, 0), fld(2, 11, 0), multiply(4, 2, 0), multiply(3, 1, 0), fsd(3, 11, 0)], [2, 4]],
    ['a sum with it', [fld(1, 10, 0), fld(2, 11, 0), plus(4, 1, 2), multiply(3, 4, 0), fsd(3, 11, 0)], [2, 4]],
    ['a sum with it, second', [fld(1, 10, 0), fld(2, 11, 0), plus(4, 2, 1), multiply(3, 4, 0), fsd(3, 11, 0)], [4]],
    ['its copy', [fld(1, 10, 0), fld(2, 11, 0), rType(0x53, 0, 0x11)(4, 2, 2), plus(3, 1, 0), fsd(3, 11, 0)], [4]],
    ['what replaced a known one', [fld(2, 10, 0), fld(2, 11, 0), multiply(3, 2, 0), fsd(3, 11, 0)], [2]],
  ];

  /** One of four counts makes the loop end with a turn of SIMD, wherever the first one began. */
  const ends = overwritten.flatMap((each) => [64, 65, 66, 67].map((count) => [...each, count] as const));

  it.each(ends)(
    '%s that was overwritten in memory is in its register when a loop ends',
    (_, body, registers, count) => {
      const made = bench(mode);
      for (let index = 0; index < count; index++) {
        set64(made, [0, index * 8], bitsOf(index + 1));
        set64(made, [1, index * 8], bitsOf(1000 + index));
      }
      made.hart.state.setF(0, bitsOf(3));
      enter(made, [
        ...[addi(5, 0, 1), csrrw(0, CSR.fcsr, 5)],
        ...[...li(10, virtual([0, 0])), ...li(11, virtual([1, 0])), ...li(12, virtual([0, count * 8]))],
        ...loop(...body),
      ]);
      const [x, y] = [count, 1000 + count - 1];
      const known: Record<string, number> = { 2: y, 4: body.includes(multiply(4, 2, 0)) ? y * 3 : y };
      if (body.includes(plus(4, 1, 2)) || body.includes(plus(4, 2, 1))) known[4] = x + y;
      for (const register of registers) expect(made.hart.state.f(register)).toBe(bitsOf(known[register]));
    },
  );
});
