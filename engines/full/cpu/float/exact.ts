import { countEvent } from '../interpreter/region-support.js';
import { EVENT } from '../layout.js';
import { type Body, type FunctionRef, type Local, not, truth } from '../wasm/body.js';
import type { Declared, ModuleBuilder } from '../wasm/module.js';
import { type F64, f64, type I32, type I64, i32, i64, select, type ValueType } from '../wasm/value.js';
import { BOX, CANONICAL_NAN, definePack, defineSignaling, defineValue, FLAG, isDouble, unpack } from './encoding.js';
import { roundedToIntegral } from './integral.js';
import { defineRound, raise, zeroBits } from './rounding.js';
import { defineFused, defineProduct, defineQuotient, defineRoot, defineSum } from './significands.js';

/**
 * Floating-point instructions done exactly, in all rounding modes and with all flags, in WebAssembly: what the fast paths (see
 * ../isa/float.ts) cannot promise is done here, by the interpreter and by translated code alike.
 *
 *   exact(stateBase, code, rounding, a, b, c): the result's bits, for an f or an x register
 *
 * Operands are registers' bits. `code` is twice the index in OPERATIONS, plus 1 for doubles.
 */
const OPERATIONS = [
  'fadd',
  'fsub',
  'fmul',
  'fdiv',
  'fsqrt',
  'fmadd',
  'fmsub',
  'fnmsub',
  'fnmadd',
  'fmin',
  'fmax',
  'feq',
  'flt',
  'fle',
  /** Between formats: the result's is meant. */
  'fcvt',
  'from w',
  'from wu',
  'from l',
  'from lu',
  'to w',
  'to wu',
  'to l',
  'to lu',
] as const;
export type ExactOperation = (typeof OPERATIONS)[number];

export const exactCode = (operation: ExactOperation, format: 0 | 1): number =>
  2 * OPERATIONS.indexOf(operation) + format;

export const EXACT_SIGNATURE = {
  parameters: ['i32', 'i32', 'i32', 'i64', 'i64', 'i64'],
  results: ['i64'],
} as const satisfies { parameters: readonly ValueType[]; results: readonly ValueType[] };

/** Parts of the module that operations call. */
interface Parts {
  readonly value: FunctionRef;
  readonly signaling: FunctionRef;
  readonly pack: FunctionRef;
  readonly round: FunctionRef;
  readonly sum: FunctionRef;
  readonly product: FunctionRef;
  readonly quotient: FunctionRef;
  readonly root: FunctionRef;
  readonly fused: FunctionRef;
}

/** Defines and exports `exact`. */
export function exportExact(module: ModuleBuilder): FunctionRef {
  const function_ = (parameters: ValueType[], result: ValueType, build: (body: Body) => void): Declared => {
    const declared = module.declare(parameters, [result]);
    module.define(declared, build);
    return declared;
  };
  const round = function_(['i32', 'i32', 'i32', 'i64', 'i32'], 'i64', defineRound);
  const finite = (build: (body: Body, round: FunctionRef) => void): Declared =>
    function_(['i32', 'i32', 'f64', 'f64', 'f64'], 'i64', (body) => build(body, round));
  const parts: Parts = {
    value: function_(['i64', 'i32'], 'f64', defineValue),
    signaling: function_(['i64', 'i32'], 'i32', defineSignaling),
    pack: function_(['f64', 'i32'], 'i64', definePack),
    round,
    sum: finite(defineSum),
    product: finite(defineProduct),
    quotient: finite(defineQuotient),
    root: finite(defineRoot),
    fused: finite(defineFused),
  };
  const exact = module.declare(EXACT_SIGNATURE.parameters, EXACT_SIGNATURE.results);
  module.define(exact, (body) => new Exact(body, parts).emit());
  module.export('exact', exact);
  return exact;
}

const NONE = f64.const(0);
const isNan = (value: F64): I32 => f64.ne(value, value);
const isInfinite = (value: F64): I32 => f64.eq(f64.abs(value), f64.const(Number.POSITIVE_INFINITY));
const isZero = (value: F64): I32 => f64.eq(value, f64.const(0));
const either = (...conditions: I32[]): I32 => conditions.reduce(i32.or);

/** Least and largest result, the latter as the limit that is not reached, and both as an x register has them. */
const RANGES: Readonly<Record<string, { low: number; limit: number; least: bigint; most: bigint }>> = {
  'to w': { low: -(2 ** 31), limit: 2 ** 31, least: -(1n << 31n), most: (1n << 31n) - 1n },
  'to wu': { low: 0, limit: 2 ** 32, least: 0n, most: -1n },
  'to l': { low: -(2 ** 63), limit: 2 ** 63, least: -(1n << 63n), most: (1n << 63n) - 1n },
  'to lu': { low: 0, limit: 2 ** 64, least: 0n, most: -1n },
};

class Exact {
  private readonly base: Local<'i32'>;
  private readonly how: Local<'i32'>;
  private readonly rounding: Local<'i32'>;
  private readonly raw: readonly Local<'i64'>[];

  constructor(
    private readonly body: Body,
    private readonly parts: Parts,
  ) {
    this.base = body.parameter(0, 'i32');
    this.how = body.parameter(1, 'i32'); // the code at first
    this.rounding = body.parameter(2, 'i32');
    this.raw = [3, 4, 5].map((index) => body.parameter(index, 'i64'));
  }

  emit(): void {
    const { body, base, how, rounding } = this;
    countEvent(body, base, EVENT.fpSlowPaths);
    const operation = body.keep(i32.shrU(how, i32.const(1)));
    body.set(how, i32.or(i32.and(how, i32.const(1)), i32.shl(rounding, i32.const(1))));
    this.emitCases(operation, OPERATIONS.length - 1, []);
    body.unreachable();
  }

  /** As Flow.emitCases does it. */
  private emitCases(operation: I32, index: number, labels: Parameters<Body['brTable']>[1][number][]): void {
    const { body } = this;
    body.block((label) => {
      labels.unshift(label);
      if (index > 0) this.emitCases(operation, index - 1, labels);
      else body.brTable(operation, labels, labels[0]);
    });
    body.scope(() => this.emitOperation(OPERATIONS[index]));
  }

  private emitOperation(name: ExactOperation): void {
    const [kind, integer] = name.split(' ');
    if (kind === 'from') this.fromInteger(integer);
    else if (kind === 'to') this.toInteger(name);
    else if (kind === 'fadd' || kind === 'fsub') this.sum(kind === 'fsub');
    else if (kind === 'fmul') this.product();
    else if (kind === 'fdiv') this.quotient();
    else if (kind === 'fsqrt') this.root();
    else if (kind === 'fcvt') this.convert();
    else if (kind === 'fmin' || kind === 'fmax') this.extremum(kind);
    else if (kind === 'feq' || kind === 'flt' || kind === 'fle') this.compare(kind);
    else this.fused(kind === 'fnmsub' || kind === 'fnmadd', kind === 'fmsub' || kind === 'fnmadd');
  }

  private sum(subtracts: boolean): void {
    const { body } = this;
    const [x, second] = [this.value(0), this.value(1)];
    const y = subtracts ? body.keep(f64.neg(second)) : second;
    const r = body.keep(f64.add(x, y));
    body.if(isNan(r), () => this.returnNan(2, not(either(isNan(x), isNan(y)))));
    body.if(either(isInfinite(x), isInfinite(y)), () => this.returnValue(r));
    this.return(this.call(this.parts.sum, x, y));
  }

  private product(): void {
    const { body } = this;
    const [x, y] = [this.value(0), this.value(1)];
    const r = body.keep(f64.mul(x, y));
    body.if(isNan(r), () => this.returnNan(2, not(either(isNan(x), isNan(y)))));
    body.if(either(isInfinite(x), isInfinite(y), isZero(x), isZero(y)), () => this.returnValue(r));
    this.return(this.call(this.parts.product, x, y));
  }

  private quotient(): void {
    const { body, base } = this;
    const [x, y] = [this.value(0), this.value(1)];
    const r = body.keep(f64.div(x, y));
    body.if(isNan(r), () => this.returnNan(2, not(either(isNan(x), isNan(y)))));
    body.if(either(isInfinite(x), isInfinite(y), isZero(x)), () => this.returnValue(r));
    body.if(isZero(y), () => {
      raise(body, base, i32.const(FLAG.DZ));
      this.returnValue(r);
    });
    this.return(this.call(this.parts.quotient, x, y));
  }

  private root(): void {
    const { body } = this;
    const x = this.value(0);
    const r = body.keep(f64.sqrt(x));
    body.if(isNan(r), () => this.returnNan(1, not(isNan(x))));
    body.if(either(isInfinite(x), isZero(x)), () => this.returnValue(r));
    this.return(this.call(this.parts.root, x));
  }

  /** An infinity times 0 is invalid even where the addend is a quiet NaN (12.4). */
  private fused(negatesProduct: boolean, negatesAddend: boolean): void {
    const { body } = this;
    const values = [this.value(0), this.value(1), this.value(2)];
    const x = negatesProduct ? body.keep(f64.neg(values[0])) : values[0];
    const y = values[1];
    const z = negatesAddend ? body.keep(f64.neg(values[2])) : values[2];
    const product = body.keep(f64.mul(x, y));
    const invalid = i32.and(isNan(product), not(either(isNan(x), isNan(y))));
    body.if(either(isNan(product), isNan(z)), () => this.returnNan(3, invalid));
    body.if(either(isInfinite(x), isInfinite(y)), () => {
      const r = body.keep(f64.add(product, z));
      body.if(isNan(r), () => this.returnNan(0, i32.const(1)));
      this.returnValue(r);
    });
    body.if(isInfinite(z), () => this.returnValue(z));
    body.if(either(isZero(x), isZero(y)), () => {
      body.if(not(isZero(z)), () => this.returnValue(z));
      this.return(this.call(this.parts.sum, product, z)); // zeros: only their signs count
    });
    this.return(this.call(this.parts.fused, x, y, z));
  }

  private extremum(kind: 'fmin' | 'fmax'): void {
    const { body, base } = this;
    const [x, y] = [this.value(0), this.value(1)];
    body.if(this.signaling(2), () => raise(body, base, i32.const(FLAG.NV)));
    body.if(isNan(x), () => {
      body.if(isNan(y), () => this.return(this.nan()));
      this.returnValue(y);
    });
    body.if(isNan(y), () => this.returnValue(x));
    this.returnValue(kind === 'fmin' ? f64.min(x, y) : f64.max(x, y));
  }

  private compare(kind: 'feq' | 'flt' | 'fle'): void {
    const { body, base } = this;
    const [x, y] = [this.value(0), this.value(1)];
    const unordered = either(isNan(x), isNan(y));
    const invalid = kind === 'feq' ? this.signaling(2) : unordered;
    body.if(invalid, () => raise(body, base, i32.const(FLAG.NV)));
    const relation = { feq: f64.eq, flt: f64.lt, fle: f64.le }[kind];
    this.return(truth(relation(x, y)));
  }

  private convert(): void {
    const { body, base, how } = this;
    const [raw] = this.raw;
    const from = body.keep(i32.xor(how, i32.const(1)));
    const x = body.keep(body.call('f64', this.parts.value, raw, from));
    body.if(isNan(x), () => {
      body.if(body.call('i32', this.parts.signaling, raw, from), () => raise(body, base, i32.const(FLAG.NV)));
      this.return(this.nan());
    });
    body.if(either(isDouble(how), isInfinite(x), isZero(x)), () => this.returnValue(x));
    const { negative, exponent, significand } = unpack(body, x);
    // From bit 52, where the point is, to bit 62.
    const moved = i64.shl(significand, i64.const(10));
    this.return(body.call('i64', this.parts.round, base, negative, exponent, moved, how));
  }

  private fromInteger(kind: string): void {
    const { body, base, how } = this;
    const [raw] = this.raw;
    const extended = { w: i64.extend32S(raw), wu: i64.extendU(i32.wrap(raw)), l: raw, lu: raw }[kind] as I64;
    const x = body.local('i64', extended);
    body.if(i64.eqz(x), () => this.return(zeroBits(i32.const(0), how)));
    const signed = kind === 'w' || kind === 'l';
    const negative = body.keep(signed ? i64.ltS(x, i64.const(0)) : i32.const(0));
    body.if(negative, () => body.set(x, i64.sub(i64.const(0), x)));
    const exponent = body.local('i32', i32.const(62));
    body.if(i64.ltS(x, i64.const(0)), () => {
      body.set(x, i64.or(i64.shrU(x, i64.const(1)), i64.and(x, i64.const(1))));
      body.set(exponent, i32.const(63));
    });
    this.return(body.call('i64', this.parts.round, base, negative, exponent, x, how));
  }

  /** What does not fit, and NaNs, give the nearest integer that does (table 11.4). */
  private toInteger(name: ExactOperation): void {
    const { body, base, rounding } = this;
    const { low, limit, least, most } = RANGES[name];
    const x = this.value(0);
    const r = roundedToIntegral(body, rounding, x);
    const fits = i32.and(f64.ge(r, f64.const(low)), f64.lt(r, f64.const(limit)));
    body.if(fits, () => {
      body.if(f64.ne(r, x), () => raise(body, base, i32.const(FLAG.NX)));
      const integer = name === 'to lu' ? i64.truncF64U(r) : i64.truncF64S(r);
      this.return(name === 'to wu' ? i64.extend32S(integer) : integer);
    });
    raise(body, base, i32.const(FLAG.NV));
    this.return(select(f64.lt(x, f64.const(0)), i64.const(least), i64.const(most)));
  }

  private value(operand: 0 | 1 | 2): Local<'f64'> {
    return this.body.keep(this.body.call('f64', this.parts.value, this.raw[operand], this.how));
  }

  private call(part: FunctionRef, x: F64, y: F64 = NONE, z: F64 = NONE): I64 {
    return this.body.call('i64', part, this.base, this.how, x, y, z);
  }

  /** Whether one of the first operands is a signaling NaN. */
  private signaling(operands: number): I32 {
    const each = this.raw.slice(0, operands).map((raw) => this.body.call('i32', this.parts.signaling, raw, this.how));
    return either(i32.const(0), ...each);
  }

  private nan(): I64 {
    const single = i64.const(BOX | CANONICAL_NAN.single);
    return select(isDouble(this.how), i64.const(CANONICAL_NAN.double), single);
  }

  private returnNan(operands: number, invalid: I32): void {
    const { body, base } = this;
    body.if(either(invalid, this.signaling(operands)), () => raise(body, base, i32.const(FLAG.NV)));
    this.return(this.nan());
  }

  private returnValue(value: F64): void {
    this.return(this.body.call('i64', this.parts.pack, value, this.how));
  }

  private return(value: I64): void {
    this.body.return(value);
  }
}
