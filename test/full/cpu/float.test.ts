import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '#engines/full/cpu/hart.js';
import { OFFSET } from '#engines/full/cpu/layout.js';
import { hasFusedMultiplyAdd } from '#engines/full/cpu/wasm/features.js';
import { BareMachine } from './support/bare-hart.js';
import { CSR, csrrs, csrrw, fenceI, hang, li } from './support/encode.js';
import * as oracle from './support/float-oracle.js';
import { DOUBLE, type Outcome, type Shape, SINGLE } from './support/float-oracle.js';

const machine = new BareMachine();
const { hart } = machine;
// mstatus.FS = Dirty, once.
machine.code([...li(5, 3n << 13n), csrrs(0, CSR.mstatus, 5), hang]);
hart.run(40);

/** VIRTAX_TEST_RUNS=20 for a long search. */
const RUNS = Number(process.env.VIRTAX_TEST_RUNS ?? 1);
const START = RAM_BASE + 0x1000;
const BOX = 0xffffffff00000000n;
const DYNAMIC = 7;

/** Executes one instruction with the given fcsr; gives the flags that it raised, when `before` has none. */
function execute(insn: number, fcsr: number): number {
  hart.state.setX(5, BigInt(fcsr));
  machine.code([fenceI, csrrw(0, CSR.fcsr, 5), insn, hang], START);
  hart.state.pc = BigInt(START);
  hart.run(4);
  return hart.state.fcsr & 31;
}

function operand(shape: Shape): fc.Arbitrary<bigint> {
  const { width, fraction } = shape;
  const sign = 1n << BigInt(width - 1);
  const infinity = (1n << BigInt(width - 1)) - (1n << BigInt(fraction));
  const one = ((1n << BigInt(width - fraction - 2)) - 1n) << BigInt(fraction);
  const special = [
    0n,
    1n,
    infinity,
    infinity - 1n,
    infinity + 1n,
    infinity | (1n << BigInt(fraction - 1)),
    one,
    one + 1n,
  ];
  const smallest = 1n << BigInt(fraction);
  const any = fc.bigInt({ min: 0n, max: (1n << BigInt(width)) - 1n });
  /** Few significant bits near one: sums and products are exact often. */
  const short = fc
    .tuple(fc.integer({ min: -12, max: 12 }), fc.bigInt({ min: 0n, max: 63n }))
    .map(([scale, top]) => one + BigInt(scale) * smallest + (top << BigInt(fraction - 6)));
  const magnitudes = fc.oneof(
    any,
    short,
    fc.bigInt({ min: 0n, max: smallest * 3n }),
    fc.constantFrom(...special, smallest - 1n, smallest),
    fc
      .tuple(fc.integer({ min: -3, max: 3 }), any)
      .map(([scale, bits]) => one + BigInt(scale) * smallest + (bits % smallest)),
  );
  return fc
    .tuple(magnitudes, fc.boolean())
    .map(([bits, negative]) => (negative ? bits ^ sign : bits) & (sign * 2n - 1n));
}

const mode = fc.integer({ min: 0, max: 4 });
/** Static rounding modes, or the dynamic one with the mode in frm. */
const rounding = fc.tuple(mode, fc.boolean()).map(([rm, dynamic]) => ({ rm, field: dynamic ? DYNAMIC : rm }));
const alreadyInexact = fc.constantFrom(0, oracle.NX);

const shapes = [
  { suffix: 's', format: 0, shape: SINGLE },
  { suffix: 'd', format: 1, shape: DOUBLE },
] as const;
const box = (bits: bigint, shape: Shape): bigint => (shape === SINGLE ? bits | BOX : bits);
const opFp = (funct7: number, rs2: number, rs1: number, rm: number, rd: number): number =>
  (0x53 | (rd << 7) | (rm << 12) | (rs1 << 15) | (rs2 << 20) | (funct7 << 25)) >>> 0;

interface Case {
  insn: number;
  want: Outcome;
  rm: number;
  before: number;
  shape: Shape;
}

function checkF({ insn, want, rm, before, shape }: Case): void {
  const flags = execute(insn, (rm << 5) | before);
  expect({ bits: hart.state.f(3).toString(16), flags }).toEqual({
    bits: box(want.bits, shape).toString(16),
    flags: want.flags | before,
  });
}

function checkX({ insn, want, rm, before }: Omit<Case, 'shape'>, signExtend: (bits: bigint) => bigint): void {
  const flags = execute(insn, (rm << 5) | before);
  expect({ bits: hart.state.x(3), flags }).toEqual({
    bits: BigInt.asUintN(64, signExtend(want.bits)),
    flags: want.flags | before,
  });
}

describe.each(shapes)('arithmetic .$suffix against its definition', ({ format, shape }) => {
  const two = [
    ['fadd', 0x00, oracle.add],
    ['fsub', 0x04, oracle.sub],
    ['fmul', 0x08, oracle.mul],
    ['fdiv', 0x0c, oracle.div],
  ] as const;
  it.each(two)('%s', (_name, funct7, model) => {
    fc.assert(
      fc.property(operand(shape), operand(shape), rounding, alreadyInexact, (a, b, { rm, field }, before) => {
        hart.state.setF(1, box(a, shape));
        hart.state.setF(2, box(b, shape));
        checkF({ insn: opFp(funct7 | format, 2, 1, field, 3), want: model(a, b, shape, rm), rm, before, shape });
      }),
      { numRuns: 800 * RUNS },
    );
  });

  it('fsqrt', () => {
    fc.assert(
      fc.property(operand(shape), rounding, alreadyInexact, (a, { rm, field }, before) => {
        hart.state.setF(1, box(a, shape));
        checkF({ insn: opFp(0x2c | format, 0, 1, field, 3), want: oracle.sqrt(a, shape, rm), rm, before, shape });
      }),
      { numRuns: 600 * RUNS },
    );
  });

  const fused = [
    ['fmadd', 0x43, false, false],
    ['fmsub', 0x47, false, true],
    ['fnmsub', 0x4b, true, false],
    ['fnmadd', 0x4f, true, true],
  ] as const;
  it.each(fused)('%s', (_name, opcode, flipProduct, flipAddend) => {
    const three = fc.tuple(operand(shape), operand(shape), operand(shape));
    fc.assert(
      fc.property(three, rounding, alreadyInexact, ([a, b, c], { rm, field }, before) => {
        hart.state.setF(1, box(a, shape));
        hart.state.setF(2, box(b, shape));
        hart.state.setF(4, box(c, shape));
        const insn = (opcode | (3 << 7) | (field << 12) | (1 << 15) | (2 << 20) | (format << 25) | (4 << 27)) >>> 0;
        checkF({ insn, want: oracle.fma(a, b, c, shape, rm, flipProduct, flipAddend), rm, before, shape });
      }),
      { numRuns: 600 * RUNS },
    );
  });

  it('ties, and what is next to them, in fused and in plain sums', () => {
    const { width, fraction } = shape;
    const step = 1n << BigInt(fraction);
    const one = ((1n << BigInt(width - fraction - 2)) - 1n) << BigInt(fraction);
    const sign = 1n << BigInt(width - 1);
    const half = one - BigInt(fraction + 1) * step;
    const beside = fc.constantFrom(half, half, half - 1n, half + 1n);
    const significand = fc.bigInt({ min: 0n, max: step - 1n });
    fc.assert(
      fc.property(significand, beside, fc.nat(3), rounding, alreadyInexact, (low, c, signs, { rm, field }, before) => {
        const a = (one + low) | (signs & 1 ? sign : 0n);
        const b = c | (signs & 2 ? sign : 0n);
        hart.state.setF(1, box(a, shape));
        hart.state.setF(2, box(one, shape));
        hart.state.setF(4, box(b, shape));
        const want = oracle.add(a, b, shape, rm);
        checkF({ insn: opFp(format, 4, 1, field, 3), want, rm, before, shape });
        const fused = (0x43 | (3 << 7) | (field << 12) | (1 << 15) | (2 << 20) | (format << 25) | (4 << 27)) >>> 0;
        checkF({ insn: fused, want, rm, before, shape });
      }),
      { numRuns: 400 * RUNS },
    );
  });

  it.each([0, oracle.NX])('the sign of a sum of zeros, with flags %d before', (before) => {
    for (const [a, c] of [0n, 1n << BigInt(shape.width - 1)].flatMap((zero, _, all) =>
      all.map((other) => [zero, other]),
    )) {
      hart.state.setF(1, box(a, shape));
      hart.state.setF(2, box(oracle.nanOf(shape) >> 2n, shape)); // some positive number
      hart.state.setF(4, box(c, shape));
      const insn = (0x43 | (3 << 7) | (1 << 15) | (2 << 20) | (format << 25) | (4 << 27)) >>> 0;
      const want = oracle.fma(a, oracle.nanOf(shape) >> 2n, c, shape, 0, false, false);
      checkF({ insn, want, rm: 0, before, shape });
    }
  });

  it('a product that cancels against the addend', () => {
    fc.assert(
      fc.property(operand(shape), operand(shape), rounding, alreadyInexact, (a, b, { rm, field }, before) => {
        const c = oracle.mul(a, b, shape, 0).bits ^ (1n << BigInt(shape.width - 1));
        hart.state.setF(1, box(a, shape));
        hart.state.setF(2, box(b, shape));
        hart.state.setF(4, box(c, shape));
        const insn = (0x43 | (3 << 7) | (field << 12) | (1 << 15) | (2 << 20) | (format << 25) | (4 << 27)) >>> 0;
        checkF({ insn, want: oracle.fma(a, b, c, shape, rm, false, false), rm, before, shape });
      }),
      { numRuns: 500 * RUNS },
    );
  });

  it.each([
    ['fmin', 0, false],
    ['fmax', 1, true],
  ] as const)('%s', (_name, funct3, largest) => {
    fc.assert(
      fc.property(operand(shape), operand(shape), (a, b) => {
        hart.state.setF(1, box(a, shape));
        hart.state.setF(2, box(b, shape));
        const want = oracle.extremum(a, b, shape, largest);
        checkF({ insn: opFp(0x14 | format, 2, 1, funct3, 3), want, rm: 0, before: 0, shape });
      }),
    );
  });

  it.each([
    ['fle', 0, 'le'],
    ['flt', 1, 'lt'],
    ['feq', 2, 'eq'],
  ] as const)('%s', (_name, funct3, relation) => {
    fc.assert(
      fc.property(operand(shape), operand(shape), fc.boolean(), (a, other, same) => {
        const b = same ? a : other;
        hart.state.setF(1, box(a, shape));
        hart.state.setF(2, box(b, shape));
        const want = oracle.compare(a, b, shape, relation);
        checkX({ insn: opFp(0x50 | format, 2, 1, funct3, 3), want, rm: 0, before: 0 }, (bits) => bits);
      }),
    );
  });
});

const integers = [
  ['w', 0, -(1n << 31n), (1n << 31n) - 1n, (x: bigint) => BigInt.asIntN(32, x)],
  ['wu', 1, 0n, (1n << 32n) - 1n, (x: bigint) => BigInt.asUintN(32, x)],
  ['l', 2, -(1n << 63n), (1n << 63n) - 1n, (x: bigint) => BigInt.asIntN(64, x)],
  ['lu', 3, 0n, (1n << 64n) - 1n, (x: bigint) => BigInt.asUintN(64, x)],
] as const;

describe.each(shapes)('conversions .$suffix against their definition', ({ format, shape }) => {
  it.each(integers)('to %s', (name, rs2, low, high, _narrow) => {
    const near = fc.tuple(fc.constantFrom(low, high, 0n, 100n), fc.integer({ min: -9, max: 9 }), mode).map(
      // Numbers around the limits, halves among them.
      ([limit, distance, rm]) => {
        const doubled = limit * 4n + BigInt(distance);
        const bits = oracle.fromInteger(doubled, shape, rm).bits;
        return bits === 0n ? 0n : bits - (2n << BigInt(shape.fraction));
      },
    );
    fc.assert(
      fc.property(fc.oneof(operand(shape), near), rounding, alreadyInexact, (a, { rm, field }, before) => {
        const bits = BigInt.asUintN(shape.width, a);
        hart.state.setF(1, box(bits, shape));
        const want = oracle.toInteger(bits, shape, rm, low, high);
        const extend = (x: bigint) => (name.startsWith('w') ? BigInt.asIntN(32, x) : x);
        checkX({ insn: opFp(0x60 | format, rs2, 1, field, 3), want, rm, before }, extend);
      }),
      { numRuns: 600 * RUNS },
    );
  });

  it.each(integers)('from %s', (_name, rs2, _low, _high, narrow) => {
    const any = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
    const small = fc.tuple(any, fc.integer({ min: 0, max: 63 })).map(([x, shift]) => x >> BigInt(shift));
    fc.assert(
      fc.property(fc.oneof(any, small), fc.boolean(), rounding, alreadyInexact, (x, flip, { rm, field }, before) => {
        const value = BigInt.asUintN(64, flip ? -x : x);
        hart.state.setX(6, value);
        const want = oracle.fromInteger(narrow(value), shape, rm);
        checkF({ insn: opFp(0x68 | format, rs2, 6, field, 3), want, rm, before, shape });
      }),
      { numRuns: 800 * RUNS },
    );
  });
});

describe.each(['off', 'forced'] as const)('flags of results that x0 does not take, translation %s', (translate) => {
  const NAN = 0x7ff4n << 48n; // signaling
  it.each([
    ['fcvt.wu.d', opFp(0x61, 1, 1, 1, 0)],
    ['fcvt.l.d', opFp(0x61, 2, 1, 4, 0)],
    ['flt.d', opFp(0x51, 1, 1, 1, 0)],
    ['feq.d', opFp(0x51, 1, 1, 2, 0)],
  ])('%s', (_name, insn) => {
    const other = new BareMachine(1, translate);
    other.code([
      ...li(5, 3n << 13n),
      csrrs(0, CSR.mstatus, 5),
      csrrw(0, CSR.fcsr, 0),
      insn,
      csrrs(6, CSR.fcsr, 0),
      hang,
    ]);
    other.hart.state.setF(1, NAN);
    other.hart.run(60);
    expect([other.hart.state.x(6), other.hart.state.x(0)]).toEqual([BigInt(oracle.NV), 0n]);
  });
});

describe('fused multiply-add where a second rounding would show', () => {
  it('halfway products beside tiny addends', () => {
    const half = fc.bigInt({ min: 0n, max: (1n << 27n) - 1n }).map((top) => 0x3ff0000000000000n | (top << 25n));
    const tiny = fc
      .tuple(fc.integer({ min: 40, max: 120 }), fc.bigInt({ min: 0n, max: 3n }), fc.boolean())
      .map(([scale, top, negative]) => ((1023n - BigInt(scale)) << 52n) | (top << 50n) | (negative ? 1n << 63n : 0n));
    fc.assert(
      fc.property(half, half, tiny, alreadyInexact, (a, b, c, before) => {
        hart.state.setF(1, a);
        hart.state.setF(2, b);
        hart.state.setF(4, c);
        const insn = (0x43 | (3 << 7) | (1 << 15) | (2 << 20) | (1 << 25) | (4 << 27)) >>> 0;
        const slow = hart.state.counters().fpSlowPaths;
        checkF({ insn, want: oracle.fma(a, b, c, DOUBLE, 0, false, false), rm: 0, before, shape: DOUBLE });
        const fast = before === oracle.NX && hasFusedMultiplyAdd();
        expect(hart.state.counters().fpSlowPaths).toBe(fast ? slow : slow + 1);
      }),
      { numRuns: 2000 * RUNS },
    );
  });
});

describe('conversions between formats', () => {
  it('fcvt.s.d', () => {
    const nearSingle = operand(SINGLE).map((bits) => oracle.convert(bits, SINGLE, DOUBLE, 0).bits);
    const shifted = fc
      .tuple(nearSingle, fc.integer({ min: -2, max: 2 }))
      .map(([bits, by]) => BigInt.asUintN(64, bits + BigInt(by)));
    const tinyDouble = fc.bigInt({ min: 0x3600000000000000n, max: 0x3820000000000000n });
    fc.assert(
      fc.property(
        fc.oneof(operand(DOUBLE), shifted, tinyDouble),
        rounding,
        alreadyInexact,
        (a, { rm, field }, before) => {
          hart.state.setF(1, a);
          checkF({
            insn: opFp(0x20, 1, 1, field, 3),
            want: oracle.convert(a, DOUBLE, SINGLE, rm),
            rm,
            before,
            shape: SINGLE,
          });
        },
      ),
      { numRuns: 500 * RUNS },
    );
  });

  it('fcvt.d.s', () => {
    fc.assert(
      fc.property(operand(SINGLE), rounding, (a, { rm, field }) => {
        hart.state.setF(1, a | BOX);
        checkF({
          insn: opFp(0x21, 0, 1, field, 3),
          want: oracle.convert(a, SINGLE, DOUBLE, rm),
          rm,
          before: 0,
          shape: DOUBLE,
        });
      }),
    );
  });
});

describe('NaN boxing, signs, classes, and the state of the unit', () => {
  it('a single that is not boxed is the canonical NaN', () => {
    hart.state.setF(1, 0x3f800000n);
    hart.state.setF(2, 0x3f800000n | BOX);
    expect(execute(opFp(0x00, 2, 1, 0, 3), 0)).toBe(0);
    expect(hart.state.f(3)).toBe(0x7fc00000n | BOX);
    execute(opFp(0x10, 1, 2, 0, 3), 0); // fsgnj.s takes the canonical NaN's sign
    expect(hart.state.f(3)).toBe(0x3f800000n | BOX);
    execute(opFp(0x70, 0, 1, 0, 3), 0); // fmv.x.w takes the raw low word
    expect(hart.state.x(3)).toBe(0x3f800000n);
  });

  it.each([
    [0xfff0000000000000n, 0],
    [0xbff0000000000000n, 1],
    [0x8000000000000001n, 2],
    [0x8000000000000000n, 3],
    [0x0000000000000000n, 4],
    [0x000fffffffffffffn, 5],
    [0x3ff0000000000000n, 6],
    [0x7ff0000000000000n, 7],
    [0x7ff0000000000001n, 8],
    [0x7ff8000000000000n, 9],
  ])('fclass.d of %s', (bits, bit) => {
    hart.state.setF(1, bits);
    execute(opFp(0x71, 0, 1, 1, 3), 0);
    expect(hart.state.x(3)).toBe(1n << BigInt(bit));
  });

  it.each([
    [0, 0x3ff0000000000000n],
    [1, 0xbff0000000000000n],
    [2, 0x3ff0000000000000n],
  ])('sign injection %d of -1 and of a negative sign', (funct3, want) => {
    hart.state.setF(1, 0xbff0000000000000n);
    hart.state.setF(2, funct3 === 2 ? 0x8000000000000000n : 0x0n);
    execute(opFp(0x11, 2, 1, funct3, 3), 0);
    expect(hart.state.f(3)).toBe(want);
  });

  it('fast paths are taken: a normal sum needs no exact arithmetic', () => {
    const before = hart.state.counters().fpSlowPaths;
    hart.state.setF(1, 0x3ff8000000000000n);
    hart.state.setF(2, 0x3ff0000000000001n);
    expect(execute(opFp(0x01, 2, 1, 7, 3), 0)).toBe(oracle.NX);
    expect(hart.state.counters().fpSlowPaths).toBe(before);
  });

  it('becomes Dirty in mstatus', () => {
    hart.state.set(OFFSET.mstatus, hart.state.get(OFFSET.mstatus) & ~(2n << 13n)); // Initial
    hart.state.set(OFFSET.fpDirty, 0n);
    execute(opFp(0x01, 2, 1, 7, 3), 0);
    machine.code([csrrs(7, CSR.mstatus, 0), hang], START + 0x1000);
    hart.state.pc = BigInt(START + 0x1000);
    hart.run(2);
    expect((hart.state.x(7) >> 13n) & 3n).toBe(3n);
    expect(hart.state.x(7) >> 63n).toBe(1n);
  });
});
