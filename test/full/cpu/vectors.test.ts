import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '#engines/full/cpu/hart.js';
import type { TranslateMode } from '#engines/full/cpu/translator/translator.js';
import { AT, Bench, PTE } from './support/boot.js';
import { addi, bne, CSR, csrrw, fld, fsd, hang, li, nop } from './support/encode.js';

// Loops over arrays of doubles, some of which the translator does several iterations of at once: results, flags and
// registers must be as the interpreter has them (whose arithmetic float.test.ts compares with the definition).

const { V, R, W, X, U, A, D } = PTE;
const CODE = 0x10_0000n;
const DATA = 0x40_0000n;
const PAGES = 4;
const PHYSICAL = [5, 2, 6, 3].map((page) => RAM_BASE + 0x20_0000 + page * 4096);
const FILLED = { at: RAM_BASE + 0x20_0000, bytes: 8 * 4096 };
const POINTERS = [10, 11, 12];
const [LIMIT, FCSR] = [14, 15];
/** f0 and f1 stay as they are; f2 to f5 get what is loaded and computed. */
const INPUTS = [0, 1];

const arithmetic = (funct7: number) => (rd: number, a: number, b: number, rm: number) =>
  (0x53 | (rd << 7) | (rm << 12) | (a << 15) | (b << 20) | (funct7 << 25)) >>> 0;
/** The addend is any of the six. */
const fused = (opcode: number) => (rd: number, a: number, b: number, rm: number) =>
  (opcode | (rd << 7) | (rm << 12) | (a << 15) | (b << 20) | (1 << 25) | (((b + a) % 6) << 27)) >>> 0;
const OPERATIONS = [...[0x01, 0x05, 0x09].map(arithmetic), ...[0x43, 0x47, 0x4b, 0x4f].map(fused)];
const sign = (funct3: number) => (rd: number, a: number) => arithmetic(0x11)(rd, a, a, funct3);
const SIGNS = [sign(0), sign(1), sign(2)];

interface Step {
  operation: number;
  rd: number;
  a: number;
  b: number;
}
const f = (least: number): fc.Arbitrary<number> => fc.integer({ min: least, max: 5 });
const step: fc.Arbitrary<Step> = fc.record({ operation: fc.nat(9), rd: f(2), a: f(0), b: f(0) });

/** Numbers whose sums and products are exact, those whose are not, and now and then one that is special. */
const SPECIAL = [
  0n,
  1n << 63n,
  1n,
  0x000fffffffffffffn,
  0x0010000000000000n,
  0x0170000000000000n,
  0x7fe0000000000000n,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0x7ff8000000000000n,
  0x7ff0000000000001n,
];
const short = fc.integer({ min: -4000, max: 4000 }).map((value) => bitsOf(value / 4));
const long = fc.double({ min: -1e6, max: 1e6, noNaN: true }).map(bitsOf);

/** Whose products are about as small as normal numbers are, or smaller. */
const tiny = fc.double({ min: 1, max: 64, noNaN: true }).map((value) => bitsOf(value * 2 ** -513));

function bitsOf(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}

interface Loop {
  steps: Step[];
  loads: { rd: number; pointer: number; offset: number }[];
  stores: { from: number; pointer: number }[];
  starts: number[];
  inputs: bigint[];
  rounds: number;
  fill: bigint[];
  specials: { at: number; value: bigint }[];
  budget: number;
  fcsr: number;
  rounding: number;
}

const start = fc.oneof(fc.integer({ min: 0, max: 1500 }), fc.integer({ min: 90, max: 110 })).map((at) => at * 8);
const loop: fc.Arbitrary<Loop> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 5 }),
  loads: fc.array(
    fc.record({ rd: f(2), pointer: fc.constantFrom(10, 11), offset: fc.constantFrom(0, 0, 0, 8, -8, 16) }),
    { minLength: 4, maxLength: 5 },
  ),
  stores: fc.array(fc.record({ from: f(0), pointer: fc.constantFrom(12, 12, 12, 11) }), { minLength: 0, maxLength: 2 }),
  starts: fc.oneof(
    fc.tuple(start, start, start),
    fc.tuple(start, fc.integer({ min: -5, max: 5 })).map(([at, apart]) => [at, at + 2048, at + apart * 8]),
    fc.tuple(start, fc.integer({ min: -40, max: 40 })).map(([at, apart]) => [at, at + 2048, at + 2048 + apart]),
  ),
  inputs: fc.array(fc.oneof(short, long, tiny, fc.constantFrom(...SPECIAL)), { minLength: 2, maxLength: 2 }),
  rounds: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 700 })),
  fill: fc.oneof(
    fc.array(short, { minLength: 7, maxLength: 7 }),
    fc.array(fc.oneof(short, long), { minLength: 7, maxLength: 7 }),
    fc.array(tiny, { minLength: 7, maxLength: 7 }),
  ),
  specials: fc.array(fc.record({ at: fc.nat(PAGES * 512 - 1), value: fc.oneof(fc.constantFrom(...SPECIAL), long) }), {
    maxLength: 6,
  }),
  budget: fc.oneof(fc.integer({ min: 1, max: 400 }), fc.constant(12_000)),
  fcsr: fc.oneof(fc.constantFrom(0, 1), fc.integer({ min: 0, max: 0x9f })),
  rounding: fc.constantFrom(7, 7, 7, 0, 0, 2),
});

/** All loads first: each f register but the inputs is written before it is read. */
function bodyOf({ steps, loads, stores, rounding }: Loop): number[] {
  const all = [2, 3, 4, 5].map((rd, index) => ({ ...loads[index], rd })).concat(loads.slice(4));
  return [
    ...all.map(({ rd, pointer, offset }) => fld(rd, pointer, offset)),
    ...steps.map(({ operation, rd, a, b }) =>
      operation < OPERATIONS.length
        ? OPERATIONS[operation](rd, a, b, rounding)
        : SIGNS[operation - OPERATIONS.length](rd, a),
    ),
    ...stores.map(({ from, pointer }) => fsd(from, pointer, 0)),
    ...POINTERS.map((pointer) => addi(pointer, pointer, 8)),
  ];
}

function outcome(loop: Loop, translate: TranslateMode): unknown {
  const bench = new Bench(translate);
  const bytes = bench.machine.bytes(FILLED.at, FILLED.bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < FILLED.bytes / 8; at++) view.setBigUint64(at * 8, loop.fill[at % loop.fill.length], true);
  for (const { at, value } of loop.specials) view.setBigUint64(2 * 4096 + at * 8, value, true);
  bench.map(CODE, AT.code, V | R | X | U | A);
  PHYSICAL.forEach((page, index) => {
    bench.map(DATA + 4096n + BigInt(index * 4096), page, V | R | W | U | A | D);
  });
  bench.page();
  const body = bodyOf(loop);
  const program = [
    ...li(FCSR, BigInt(loop.fcsr)),
    csrrw(0, CSR.fcsr, FCSR),
    ...POINTERS.flatMap((pointer, index) => li(pointer, DATA + 4096n + BigInt(loop.starts[index]))),
    ...li(LIMIT, DATA + 4096n + BigInt(loop.starts[2] + loop.rounds * 8)),
    ...body,
    bne(12, LIMIT, -4 * body.length),
    nop,
    hang,
  ];
  for (const register of INPUTS) bench.hart.state.setF(register, loop.inputs[register]);
  bench.enter(0, program, 1n << 13n, CODE);
  for (let done = 0; done < 12_000; done += loop.budget) bench.continue(loop.budget);
  const { state } = bench.hart;
  const registers = Array.from({ length: 32 }, (_, index) => [state.x(index), state.f(index)]);
  const memory = Buffer.from(bytes).toString('latin1');
  return { trap: bench.machineTrap, registers, memory, flags: state.fcsr };
}

const long1 = bitsOf(1.1);
/** f2 = x[i], f3 = y[i], one product or sum, stored or not; two numbers fill the arrays. */
const simple = (changes: Partial<Loop>): Loop => ({
  steps: [{ operation: 2, rd: 4, a: 2, b: 0 }],
  loads: [2, 3, 4, 5].map((rd) => ({ rd, pointer: rd === 3 ? 11 : 10, offset: 0 })),
  stores: [],
  starts: [0, 4096, 8192],
  inputs: [bitsOf(1.5), bitsOf(3)],
  rounds: 64,
  fill: [bitsOf(2)],
  specials: [],
  budget: 12_000,
  fcsr: 0,
  rounding: 7,
  ...changes,
});
/** The first page of the arrays is the fourth one that is filled. */
const inArray = (element: number): number => 3 * 512 + element;
/** Each with so many rounds that the loop ends with a turn, or one, two or three iterations after it. */
const CASES: Loop[] = [
  // NX of a single product.
  simple({ inputs: [long1, 0n], specials: [{ at: inArray(20), value: long1 }] }),
  // A product that vanishes.
  simple({ inputs: [bitsOf(2 ** -600), 0n], specials: [{ at: inArray(20), value: bitsOf(2 ** -600) }], fcsr: 1 }),
  // f4 is what was in the array before something else was stored there.
  simple({
    loads: [2, 3, 4, 5].map((rd) => ({ rd, pointer: rd === 4 ? 11 : 10, offset: 0 })),
    steps: [{ operation: 2, rd: 5, a: 2, b: 0 }],
    stores: [{ from: 5, pointer: 11 }],
    fcsr: 1,
  }),
  // Fused sums of all four signs.
  ...[3, 4, 5, 6].map((operation) => simple({ steps: [{ operation, rd: 4, a: 2, b: 1 }], fcsr: 1 })),
  // f5 is stored where something else is stored after it: what lies there tells nothing of it.
  simple({
    loads: [2, 3, 4, 5].map((rd) => ({ rd, pointer: rd === 5 ? 11 : 10, offset: 0 })),
    steps: [{ operation: 2, rd: 4, a: 2, b: 0 }],
    stores: [
      { from: 5, pointer: 12 },
      { from: 0, pointer: 12 },
    ],
    fcsr: 1,
  }),
].flatMap((each) => [64, 65, 66, 67].map((rounds) => ({ ...each, rounds })));

describe('loops over arrays of doubles', () => {
  it('are as the interpreter does them, flags and all', () => {
    fc.assert(
      fc.property(loop, (each) => {
        expect(outcome(each, 'forced')).toEqual(outcome(each, 'off'));
      }),
      { numRuns: 50 * Number(process.env.VIRTAX_TEST_RUNS ?? 1), examples: CASES.map((each) => [each]) },
    );
  });
});
