import type { Body, Label, Local } from '../wasm/body.js';
import { f64, f64x2, fusedMultiplyAdd, type I32, type I64, i32, i64, select, type V128, Value } from '../wasm/value.js';
import type { Linear } from './affine.js';
import type { Registers } from './registers.js';
import type { StripCode } from './strip-code.js';
import type { Stream, VectorLoop, VectorStep } from './vector-plan.js';

/** Vectors that are done in one turn, and the iterations that these are. */
const UNROLLED = 2;
const LANES = 2 * UNROLLED;
const LANES_LOG2 = 2;
const VECTOR_BYTES = 16;
const DOUBLE_BYTES = 8;
/** Fewer turns are not worth the preparations. */
const LEAST_TURNS = 2;
/** See FloatKind.smallest. */
const SMALLEST = 2 ** -1020;
const LARGE_ADDEND = 2 ** -900;
/** What a double consists of but its sign. */
const MAGNITUDE = (1n << 63n) - 1n;
/** Upper words of finite doubles are up to this. */
const LARGEST_FINITE = 0x7fefffffn << 32n;
/** See HALF_MASK in float-kinds.ts: products of doubles without these bits are exact. */
const LOWER_HALF = (1n << 27n) - 1n;

/** What is the same in all turns. */
interface Constants {
  readonly zero: V128;
  readonly smallest: V128;
  readonly magnitude: V128;
  readonly largestFinite: V128;
  readonly lowerHalf: V128;
  readonly inputs: ReadonlyMap<number, V128>;
  /** Where an input is 0. */
  readonly zeros: ReadonlyMap<number, V128>;
  readonly pointers: ReadonlyMap<Stream, Local<'i32'>>;
}

/**
 * Emits the vectorized part of a strip, before its fast copy, which does what is left: all when the arrays lie in each
 * other's way, and all from the turn on in which some result is too small, infinite or not a number.
 */
export class VectorCode {
  /** Whether the loop is over. */
  private readonly ended: Local<'i32'>;

  constructor(
    private readonly body: Body,
    private readonly count: Local<'i32'>,
    private readonly registers: Registers,
    private readonly strips: StripCode,
    private readonly inexact: boolean,
  ) {
    this.ended = body.permanent('i32');
  }

  /** `over`: on behind the loop. */
  emit(loop: VectorLoop, over: () => void): void {
    const { body, registers, inexact } = this;
    body.set(this.ended, i32.const(0));
    const emit = (exact: boolean) => () => body.block((skip) => body.scope(() => this.emitLoop(loop, exact, skip)));
    if (inexact || !loop.steps.some((step) => 'last' in step)) emit(false)();
    else if (loop.steps.some(({ kind }) => kind === 'fused'))
      body.if(i32.and(registers.fflags, i32.const(1)), emit(false));
    else body.if(i32.and(registers.fflags, i32.const(1)), emit(false), emit(true));
    body.if(this.ended, over);
  }

  /** `exact`: NX is clear, and has to stay so, or the fast copy must raise it. */
  private emitLoop(loop: VectorLoop, exact: boolean, skip: Label): void {
    const { body, registers } = this;
    const { turns, all } = this.turns(loop);
    body.brIf(i32.ltU(turns, i32.const(LEAST_TURNS)), skip);
    const constants = this.constants(loop);
    this.leaveIfOverlapping(constants.pointers, skip);
    const left = body.keep(copyOf(turns));
    const results = new Map(
      [...loop.outputs]
        .filter((register) => !loop.again.has(register))
        .map((register) => [register, body.keep(f64x2.splat(registers.getF(register)))]),
    );
    body.block((exit) => {
      body.loop((again) => {
        body.scope(() => this.emitTurn(loop, constants, results, exact, exit));
        body.set(left, i32.sub(left, i32.const(1)));
        body.brIf(left, again);
      });
    });
    const done = body.keep(i32.shl(i32.sub(turns, left), i32.const(LANES_LOG2)));
    body.if(done, () => {
      this.emitEnd(loop, constants, results, done);
      body.set(this.ended, i32.eq(done, all));
    });
  }

  /** Turns for which addresses have been checked, and the loop goes on; `all`: its iterations when it may end by them. */
  private turns({ length, distance, distanceSign, per }: VectorLoop): Record<'turns' | 'all', Local<'i32'>> {
    const { body, count } = this;
    const rounds = i32.divU(i32.add(count, i32.const(length - 1)), i32.const(length));
    const most = body.keep(i64.extendU(rounds));
    const way = this.linear(distance);
    const forward = body.keep(distanceSign === 1 ? way : i64.sub(i64.const(0), way));
    const times = per === 1 ? forward : body.keep(i64.divU(forward, i64.const(per)));
    // Where the way is no multiple of a step, the end is somewhere else.
    const ends = body.keep(i64.extendU(i64.eq(i64.mul(times, i64.const(per)), forward)));
    const total = body.keep(i64.add(times, ends));
    const least = body.keep(select(i64.ltU(total, most), total, most));
    const whole = i32.and(i64.eq(total, least), i32.wrap(ends));
    return {
      turns: body.keep(i32.shrU(i32.wrap(least), i32.const(LANES_LOG2))),
      all: body.keep(select(whole, i32.wrap(least), i32.const(0))),
    };
  }

  private constants({ inputs, streams }: VectorLoop): Constants {
    const { body, registers, strips } = this;
    const zero = body.keep(f64x2.splat(f64.const(0)));
    const bits = (value: bigint): V128 => body.keep(f64x2.splat(f64.reinterpret(i64.const(value))));
    const values = new Map([...inputs].map((each) => [each, body.keep(f64x2.splat(registers.getF(each)))]));
    const address = ({ terms, low }: Stream): I64 => this.linear({ terms, low, high: low });
    return {
      zero,
      smallest: body.keep(f64x2.splat(f64.const(SMALLEST))),
      magnitude: bits(MAGNITUDE),
      largestFinite: bits(LARGEST_FINITE),
      lowerHalf: bits(LOWER_HALF),
      inputs: values,
      zeros: new Map([...values].map(([each, value]) => [each, body.keep(f64x2.eq(value, zero))])),
      pointers: new Map(streams.map((each) => [each, body.keep(strips.host(each.group, address(each)))])),
    };
  }

  /** An array that is written must be away from all others by a turn. */
  private leaveIfOverlapping(pointers: Constants['pointers'], skip: Label): void {
    const { body } = this;
    const far = LANES * DOUBLE_BYTES;
    const streams = [...pointers];
    for (const [index, [stream, pointer]] of streams.entries()) {
      for (const [other, otherPointer] of streams.slice(index + 1)) {
        if (!stream.writing && !other.writing) continue;
        const apart = body.keep(i32.sub(pointer, otherPointer));
        // An array that is only read may be read at several places.
        const extent = spread(stream) + spread(other);
        const near = i32.ltU(i32.add(apart, i32.const(far + extent - 1)), i32.const(2 * (far + extent) - 1));
        body.brIfUnlikely(near, skip);
      }
    }
  }

  private emitTurn(
    loop: VectorLoop,
    constants: Constants,
    results: ReadonlyMap<number, Local<'v128'>>,
    exact: boolean,
    exit: Label,
  ): void {
    const { body } = this;
    const lanes = Array.from(
      { length: UNROLLED },
      (_, index) => new Vector(body, constants, index * VECTOR_BYTES, exact),
    );
    for (const vector of lanes) for (const step of loop.steps) vector.emit(step);
    this.leaveUnlessInside(lanes, constants, exit);
    if (exact) this.leaveUnlessExact(lanes, constants, exit);
    for (const vector of lanes) vector.store(loop.steps);
    for (const [register, result] of results) body.set(result, lanes[UNROLLED - 1].value(register));
    for (const pointer of constants.pointers.values()) {
      body.set(pointer, i32.add(pointer, i32.const(UNROLLED * VECTOR_BYTES)));
    }
  }

  /**
   * Leaves where a last result is not finite, or a product neither of some size nor exactly 0. Signed comparisons of the
   * upper words do: their differences' top bits, which are those of the doubles, tell.
   */
  private leaveUnlessInside(lanes: readonly Vector[], constants: Constants, exit: Label): void {
    const { body } = this;
    const magnitudes = (of: readonly V128[]): V128[] => of.map((value) => f64x2.and(value, constants.magnitude));
    const products = lanes.flatMap(({ products }) => products);
    const small = magnitudes(products.map(({ result }) => result));
    const large = magnitudes(lanes.flatMap(({ last }) => last));
    const outside: V128[] = [];
    if (small.length > 0) outside.push(f64x2.subWords(small.reduce(f64x2.minWords), constants.smallest));
    if (large.length > 0) outside.push(f64x2.subWords(constants.largestFinite, large.reduce(f64x2.maxWords)));
    if (outside.length === 0) return;
    body.unlikely(f64x2.bitmask(outside.reduce(f64x2.or)), () => {
      const sound = [
        ...products.map(({ result, zero }) => f64x2.or(f64x2.ge(f64x2.abs(result), constants.smallest), zero)),
        ...lanes.flatMap(({ last }) => last.map((each) => f64x2.eq(f64x2.sub(each, each), constants.zero))),
      ];
      body.brIf(i32.ne(f64x2.bitmask(sound.reduce(f64x2.and)), i32.const(3)), exit);
    });
  }

  private leaveUnlessExact(lanes: readonly Vector[], constants: Constants, exit: Label): void {
    const { body } = this;
    const factors = lanes.flatMap(({ factors }) => factors);
    const sums = lanes.flatMap(({ returned }) => returned);
    if (factors.length > 0) {
      body.brIfUnlikely(f64x2.any(f64x2.and(factors.reduce(f64x2.or), constants.lowerHalf)), exit);
    }
    if (sums.length > 0) {
      body.brIfUnlikely(i32.ne(f64x2.bitmask(sums.reduce(f64x2.and)), i32.const(3)), exit);
    }
  }

  /** Registers as they are after `done` iterations, at least one. */
  private emitEnd(
    { counters, length, steps, outputs }: VectorLoop,
    constants: Constants,
    results: ReadonlyMap<number, V128>,
    done: Local<'i32'>,
  ): void {
    const { body, count, registers } = this;
    const last = new LastVector(body, constants, 0, false);
    for (const step of steps) last.emit(step);
    for (const register of outputs) {
      registers.setF(register, f64x2.second(results.get(register) ?? last.value(register)));
    }
    const more = body.keep(i64.extendU(i32.sub(done, i32.const(1))));
    const values = counters.map(({ register, value, per }) => {
      const moved = i64.add(this.linear(value), i64.mul(more, i64.const(per)));
      return { register, value: body.keep(moved) };
    });
    for (const { register, value } of values) registers.setX(register, value);
    body.set(count, i32.sub(count, i32.mul(done, i32.const(length))));
  }

  private linear({ terms, low }: Linear): I64 {
    let sum: I64 = i64.const(low);
    for (const [register, factor] of terms) {
      const value = this.registers.getX(register);
      sum = i64.add(sum, factor === 1 ? value : i64.mul(value, i64.const(factor)));
    }
    return sum;
  }
}

/** Not a Local, so that Body.keep() makes another. */
const copyOf = (local: Local<'i32'>): I32 => new Value('i32', local.code);

/** How far apart the places are at which an array is read. */
const spread = ({ group, writing }: Stream): number => (writing ? 0 : group.high - group.low - DOUBLE_BYTES);

/** Two iterations at once. */
class Vector {
  private readonly values = new Map<number, V128>();
  private readonly toStore = new Map<VectorStep, V128>();
  /** Products and fused sums, and where they are exact though they be small. */
  readonly products: { readonly result: V128; readonly zero: V128 }[] = [];
  /** Results that must be finite. */
  readonly last: V128[] = [];
  /** What was multiplied. */
  readonly factors: V128[] = [];
  /** Where sums less one operand are the other one: there they are exact, and finite. */
  readonly returned: V128[] = [];

  constructor(
    private readonly body: Body,
    private readonly constants: Constants,
    private readonly offset: number,
    private readonly exact: boolean,
  ) {}

  /** Stores wait for store(). */
  emit(step: VectorStep): void {
    switch (step.kind) {
      case 'load':
        this.set(step.rd, f64x2.load(this.pointer(step.stream), step.constant - step.stream.low + this.offset));
        break;
      case 'store':
        this.toStore.set(step, this.value(step.rs2));
        break;
      case 'copy':
        this.values.set(step.rd, this.value(step.rs1));
        break;
      case 'neg':
      case 'abs':
        this.set(step.rd, f64x2[step.kind](this.value(step.rs1)));
        break;
      default:
        this.arithmetic(step);
    }
  }

  store(steps: readonly VectorStep[]): void {
    for (const step of steps) {
      const value = this.toStore.get(step);
      if (step.kind !== 'store' || value === undefined) continue;
      this.body.store('v128', this.pointer(step.stream), value, this.offset);
    }
  }

  value(register: number): V128 {
    return (this.values.get(register) ?? this.constants.inputs.get(register)) as V128;
  }

  /** Infinities and NaNs stay what they are through all three operations, so that the last results show them. */
  private arithmetic(step: Extract<VectorStep, { last: boolean }>): void {
    const [a, b] = step.operands.map((operand) => this.value(operand));
    const zero = f64x2.or(this.isZero(step.operands[0]), this.isZero(step.operands[1]));
    if (step.kind === 'fused') {
      this.fusedSum(step, zero);
      return;
    }
    const result = this.set(step.rd, f64x2[step.kind](a, b));
    if (step.kind === 'mul') {
      this.products.push({ result, zero });
      this.factors.push(a, b);
    } else if (this.exact) {
      const [first, second] =
        step.kind === 'add'
          ? [f64x2.sub(result, b), f64x2.sub(result, a)]
          : [f64x2.add(result, b), f64x2.sub(a, result)];
      this.returned.push(f64x2.and(f64x2.eq(first, a), f64x2.eq(second, b)));
      return;
    }
    if (step.last) this.last.push(result);
  }

  /** Exact where it is too small: a product of 0, or an addend so large that no digit of a product lies below all numbers. */
  private fusedSum({ rd, operands, signs, last }: Extract<VectorStep, { last: boolean }>, zero: V128): void {
    const [a, b, c] = operands.map((operand) => this.value(operand));
    const product = signs?.product ? f64x2.neg(a) : a;
    const result = this.set(rd, fusedMultiplyAdd.f64x2(product, b, signs?.addend ? f64x2.neg(c) : c));
    const large = f64x2.ge(f64x2.abs(c), f64x2.splat(f64.const(LARGE_ADDEND)));
    this.products.push({ result, zero: f64x2.or(zero, large) });
    if (last) this.last.push(result);
  }

  private isZero(register: number): V128 {
    const { constants } = this;
    const known = this.values.has(register) ? undefined : constants.zeros.get(register);
    return known ?? f64x2.eq(this.value(register), constants.zero);
  }

  private set(register: number, value: V128): V128 {
    const kept = this.body.keep(value);
    this.values.set(register, kept);
    return kept;
  }

  protected pointer(stream: Stream): I32 {
    return this.constants.pointers.get(stream) as Local<'i32'>;
  }
}

/** The last two iterations that have been done, once more: what they stored is there. */
class LastVector extends Vector {
  override emit(step: VectorStep): void {
    if (step.kind !== 'store') super.emit(step);
    else if (step.kept) super.emit({ ...step, kind: 'load', rd: step.rs2 });
  }

  protected override pointer(stream: Stream): I32 {
    return i32.sub(super.pointer(stream), i32.const(VECTOR_BYTES));
  }
}
