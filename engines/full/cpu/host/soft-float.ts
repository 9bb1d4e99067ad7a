import { add, divide, fusedMultiplyAdd, multiply, squareRoot } from '../float/arithmetic.js';
import { between, classify, compare, extremum, fromInteger, toInteger } from '../float/convert.js';
import { BINARY32, BINARY64, type Format, type Result } from '../float/format.js';
import { unpackRd, unpackRs1, unpackRs2, unpackRs3 } from '../interpreter/operation.js';
import { SOFT_FLOAT_NAMES } from '../isa/table.js';
import { EVENT, OFFSET } from '../layout.js';
import type { HartContext } from './context.js';

/** Reads operands and writes results of one floating-point instruction. */
interface Operands {
  f(operand: 1 | 2 | 3, format: Format): bigint;
  x(): bigint;
  mode: number;
}

interface Operation {
  run(operands: Operands): Result;
  /** Where the result goes: an f register of this format, or an integer register (32-bit results sign-extended). */
  to: Format | 'word' | 'x';
}

const BOX = 0xffffffff00000000n;
const RANGES: Record<string, [bigint, bigint]> = {
  w: [-(1n << 31n), (1n << 31n) - 1n],
  wu: [0n, (1n << 32n) - 1n],
  l: [-(1n << 63n), (1n << 63n) - 1n],
  lu: [0n, (1n << 64n) - 1n],
};
const FUSED: Record<string, { negateProduct: boolean; negateAddend: boolean }> = {
  fmadd: { negateProduct: false, negateAddend: false },
  fmsub: { negateProduct: false, negateAddend: true },
  fnmsub: { negateProduct: true, negateAddend: false },
  fnmadd: { negateProduct: true, negateAddend: true },
};

const formatOf = (suffix: string): Format => (suffix === 's' ? BINARY32 : BINARY64);

function conversion(to: string, from: string): Operation {
  if (from in RANGES) {
    const [low] = RANGES[from];
    const narrow = (x: bigint): bigint => {
      const bits = from.startsWith('w') ? 32 : 64;
      return low < 0n ? BigInt.asIntN(bits, x) : BigInt.asUintN(bits, x);
    };
    return { to: formatOf(to), run: (o) => fromInteger(narrow(o.x()), formatOf(to), o.mode) };
  }
  const source = formatOf(from);
  if (to in RANGES) {
    const [low, high] = RANGES[to];
    return { to: to.startsWith('w') ? 'word' : 'x', run: (o) => toInteger(o.f(1, source), source, o.mode, low, high) };
  }
  return { to: formatOf(to), run: (o) => between(o.f(1, source), source, formatOf(to), o.mode) };
}

function arithmetic(base: string, f: Format): Operation | undefined {
  const two = (run: (a: bigint, b: bigint, mode: number) => Result): Operation => ({
    to: f,
    run: (o) => run(o.f(1, f), o.f(2, f), o.mode),
  });
  const relation = (name: 'eq' | 'lt' | 'le'): Operation => ({
    to: 'x',
    run: (o) => compare(o.f(1, f), o.f(2, f), f, name),
  });
  const operations: Record<string, Operation> = {
    fadd: two((a, b, mode) => add(a, b, f, mode, false)),
    fsub: two((a, b, mode) => add(a, b, f, mode, true)),
    fmul: two((a, b, mode) => multiply(a, b, f, mode)),
    fdiv: two((a, b, mode) => divide(a, b, f, mode)),
    fmin: two((a, b) => extremum(a, b, f, false)),
    fmax: two((a, b) => extremum(a, b, f, true)),
    feq: relation('eq'),
    flt: relation('lt'),
    fle: relation('le'),
    fsqrt: { to: f, run: (o) => squareRoot(o.f(1, f), f, o.mode) },
    fclass: { to: 'x', run: (o) => classify(o.f(1, f), f) },
  };
  return operations[base];
}

/** The operation of a mnemonic; undefined for moves, which need none. */
function operationOf(name: string): Operation | undefined {
  const [base, first, second] = name.split('.');
  if (base === 'fcvt') return conversion(first, second);
  const f = formatOf(first);
  const signs = FUSED[base];
  if (signs === undefined) return arithmetic(base, f);
  return { to: f, run: (o) => fusedMultiplyAdd([o.f(1, f), o.f(2, f), o.f(3, f)], f, o.mode, signs) };
}

const OPERATIONS = SOFT_FLOAT_NAMES.map(operationOf);

/** Executes floating-point instructions exactly, on the hart's registers. */
export class SoftFloat {
  constructor(private readonly hart: HartContext) {}

  execute(name: number, low: number, mode: number): void {
    const operation = OPERATIONS[name];
    if (operation === undefined) throw new Error(`${SOFT_FLOAT_NAMES[name]} is never done outside`);
    const { hart } = this;
    hart.count(EVENT.fpSlowPaths);
    const numbers = [unpackRs1(low), unpackRs2(low), unpackRs3(low)];
    const result = operation.run({
      f: (operand, format) => this.read(numbers[operand - 1], format),
      x: () => hart.view.getBigInt64(hart.base + OFFSET.x + numbers[0] * 8, true),
      mode,
    });
    if (result.flags !== 0) hart.set(OFFSET.fflags, hart.get(OFFSET.fflags) | result.flags);
    hart.set(OFFSET.fpDirty, 1);
    this.write(unpackRd(low), operation.to, result.bits);
  }

  /** A single that is not NaN-boxed is the canonical NaN (12.2). */
  private read(register: number, format: Format): bigint {
    const raw = this.hart.view.getBigUint64(this.hart.base + OFFSET.f + register * 8, true);
    if (format === BINARY64) return raw;
    return raw >= BOX ? raw & 0xffffffffn : BINARY32.canonicalNan;
  }

  private write(register: number, to: Operation['to'], bits: bigint): void {
    const { view, base } = this.hart;
    if (to === 'word') view.setBigInt64(base + OFFSET.x + register * 8, BigInt.asIntN(32, bits), true);
    else if (to === 'x') view.setBigInt64(base + OFFSET.x + register * 8, BigInt.asIntN(64, bits), true);
    else view.setBigUint64(base + OFFSET.f + register * 8, to === BINARY32 ? bits | BOX : bits, true);
  }
}
