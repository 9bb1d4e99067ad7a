import {
  type Chunk,
  type I32,
  type I64,
  i32,
  LIKELY,
  TYPE_CODE,
  UNLIKELY,
  uleb,
  Value,
  type ValueType,
} from './value.js';

/** A local variable; as a Value it reads itself. */
export class Local<T extends ValueType> extends Value<T> {
  constructor(
    type: T,
    readonly index: number,
  ) {
    super(type, [0x20, uleb(index)]);
  }
}

/** A block or loop that is open: the target of br. */
export interface Label {
  readonly depth: number;
}

/** A function of the module or an import, by index. */
export interface FunctionRef {
  readonly index: number;
}

const STORES = {
  i32: [2, 0x36],
  i64: [3, 0x37],
  f32: [2, 0x38],
  f64: [3, 0x39],
  v128: [3, [0xfd, 0x0b]],
  i32_8: [0, 0x3a],
  i32_16: [1, 0x3b],
  i64_8: [0, 0x3c],
  i64_16: [1, 0x3d],
  i64_32: [2, 0x3e],
} as const;

const RMW = { add: 0x1e, sub: 0x25, and: 0x2c, or: 0x33, xor: 0x3a, xchg: 0x41 } as const;
export type RmwOperation = keyof typeof RMW;

/** Opcode of an rmw operation by width: 32-bit values travel as i64 (zero-extended), as registers do. */
const rmwOpcode = (base: number, width: 4 | 8): number => (width === 8 ? base + 1 : base + 6);

/** Builds one function's body. Statements are emitted in the order of calls; expressions are Values. */
export class Body {
  private code: Chunk[] = [];
  private readonly localTypes: ValueType[] = [];
  private readonly free: Record<ValueType, number[]> = {
    i32: [],
    i64: [],
    f32: [],
    f64: [],
    v128: [],
  };
  private scopeLocals: Local<ValueType>[] = [];
  private depth = 0;

  constructor(private readonly parameters: readonly ValueType[]) {}

  parameter<T extends ValueType>(index: number, type: T): Local<T> {
    if (this.parameters[index] !== type) throw new Error(`parameter ${index} is not ${type}`);
    return new Local(type, index);
  }

  /** A new local, set to `init` when given. Belongs to the innermost scope(). */
  local<T extends ValueType>(type: T, init?: Value<T>): Local<T> {
    const reused = this.free[type].pop();
    const local = new Local(type, reused ?? this.parameters.length + this.localTypes.length);
    if (reused === undefined) this.localTypes.push(type);
    this.scopeLocals.push(local);
    if (init !== undefined) this.set(local, init);
    return local;
  }

  /** A local of its own for the whole function, whatever scope() is open; 0 at first. */
  permanent<T extends ValueType>(type: T): Local<T> {
    this.localTypes.push(type);
    return new Local(type, this.parameters.length + this.localTypes.length - 1);
  }

  /** Leaves a place here for code that is known only later: what the returned function is given is emitted there. */
  later(): (build: () => void) => void {
    const place: Chunk[] = [];
    this.code.push(place);
    return (build) => {
      const rest = this.code;
      this.code = place;
      build();
      this.code = rest;
    };
  }

  /** Computes `init` once. */
  keep<T extends ValueType>(init: Value<T>): Local<T> {
    return init instanceof Local ? init : this.local(init.type, init);
  }

  /** Locals made within `build` are free for others after it. */
  scope(build: () => void): void {
    const outer = this.scopeLocals;
    this.scopeLocals = [];
    build();
    for (const local of this.scopeLocals) this.free[local.type].push(local.index);
    this.scopeLocals = outer;
  }

  set<T extends ValueType>(local: Local<T>, value: Value<T>): void {
    this.code.push(value.code, 0x21, uleb(local.index));
  }

  store(kind: keyof typeof STORES, address: I32, value: Value<ValueType>, offset = 0): void {
    const [alignment, opcode] = STORES[kind];
    this.code.push(address.code, value.code, opcode, alignment, uleb(offset));
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    this.code.push(condition.code, 0x04, 0x40);
    this.nested(then);
    if (otherwise !== undefined) {
      this.code.push(0x05);
      this.nested(otherwise);
    }
    this.code.push(0x0b);
  }

  /** An if that is rarely taken: V8 puts it out of the way, and spills registers only there. */
  unlikely(condition: I32, then: () => void): void {
    this.code.push(condition.code, UNLIKELY, 0x04, 0x40);
    this.nested(then);
    this.code.push(0x0b);
  }

  /** An if that is usually taken. */
  likely(condition: I32, then: () => void, otherwise: () => void): void {
    this.code.push(condition.code, LIKELY, 0x04, 0x40);
    this.nested(then);
    this.code.push(0x05);
    this.nested(otherwise);
    this.code.push(0x0b);
  }

  /** br to the label leaves the block. */
  block(build: (label: Label) => void): void {
    this.code.push(0x02, 0x40);
    this.nested(() => build({ depth: this.depth }));
    this.code.push(0x0b);
  }

  /** br to the label starts the loop again. */
  loop(build: (label: Label) => void): void {
    this.code.push(0x03, 0x40);
    this.nested(() => build({ depth: this.depth }));
    this.code.push(0x0b);
  }

  br(label: Label): void {
    this.code.push(0x0c, uleb(this.depth - label.depth));
  }

  brIf(condition: I32, label: Label): void {
    this.code.push(condition.code, 0x0d, uleb(this.depth - label.depth));
  }

  /** br_if that is rarely taken: see unlikely(). */
  brIfUnlikely(condition: I32, label: Label): void {
    this.code.push(condition.code, UNLIKELY, 0x0d, uleb(this.depth - label.depth));
  }

  brTable(index: I32, labels: readonly Label[], otherwise: Label): void {
    const depths = labels.map((label) => uleb(this.depth - label.depth));
    this.code.push(index.code, 0x0e, uleb(labels.length), depths, uleb(this.depth - otherwise.depth));
  }

  unreachable(): void {
    this.code.push(0x00);
  }

  return(value: Value<ValueType>): void {
    this.code.push(value.code, 0x0f);
  }

  /** Out of a function without results. */
  returnVoid(): void {
    this.code.push(0x0f);
  }

  /** A call as an expression. */
  call<T extends ValueType>(type: T, callee: FunctionRef, ...args: Value<ValueType>[]): Value<T> {
    return new Value(type, [args.map((arg) => arg.code), 0x10, uleb(callee.index)]);
  }

  /** A call whose function returns nothing. */
  callVoid(callee: FunctionRef, ...args: Value<ValueType>[]): void {
    this.code.push(
      args.map((arg) => arg.code),
      0x10,
      uleb(callee.index),
    );
  }

  /** Calls the function of a table's entry; `type` from ModuleBuilder.type(). */
  callIndirect<T extends ValueType>(result: T, type: number, entry: I32, ...args: Value<ValueType>[]): Value<T> {
    return new Value(result, [args.map((arg) => arg.code), entry.code, 0x11, uleb(type), 0x00]);
  }

  /** Calls a function in place of the rest of this one, on its stack frame (tail call proposal). */
  returnCall(callee: FunctionRef, ...args: Value<ValueType>[]): void {
    this.code.push(
      args.map((arg) => arg.code),
      0x12,
      uleb(callee.index),
    );
  }

  /** Calls the function of a table's entry in place of the rest of this one, on its stack frame (tail call proposal). */
  returnCallIndirect(type: number, entry: I32, ...args: Value<ValueType>[]): void {
    this.code.push(
      args.map((arg) => arg.code),
      entry.code,
      0x13,
      uleb(type),
      0x00,
    );
  }

  /** Atomic read-modify-write; the old value, zero-extended. The address must be aligned. */
  atomicRmw(operation: RmwOperation, width: 4 | 8, address: I32, operand: I64): I64 {
    const opcode = rmwOpcode(RMW[operation], width);
    return new Value('i64', [address.code, operand.code, 0xfe, opcode, width === 8 ? 3 : 2, 0]);
  }

  /** Atomic compare-exchange; the old value, zero-extended. A 4-byte `expected` must be zero-extended. */
  atomicCompareExchange(width: 4 | 8, address: I32, expected: I64, replacement: I64): I64 {
    const opcode = rmwOpcode(0x48, width);
    const operands = [address.code, expected.code, replacement.code];
    return new Value('i64', [operands, 0xfe, opcode, width === 8 ? 3 : 2, 0]);
  }

  /** memory.fill */
  fill(address: I32, byte: I32, bytes: I32): void {
    this.code.push(address.code, byte.code, bytes.code, 0xfc, 0x0b, 0x00);
  }

  /** memory.copy */
  copy(to: I32, from: I32, bytes: I32): void {
    this.code.push(to.code, from.code, bytes.code, 0xfc, 0x0a, 0x00, 0x00);
  }

  atomicFence(): void {
    this.code.push(0xfe, 0x03, 0x00);
  }

  /** The body as the code section wants it, without its size. */
  encode(): Chunk {
    const locals = this.localTypes.map((type): Chunk => [1, TYPE_CODE[type]]);
    return [uleb(locals.length), locals, this.code, 0x0b];
  }

  private nested(build: () => void): void {
    this.depth++;
    build();
    this.depth--;
  }
}

/** A 0 or 1 as i64, as slt and friends want it. */
export const truth = (condition: I32): I64 => new Value('i64', [condition.code, 0xad]);
/** Not. */
export const not = (condition: I32): I32 => i32.eqz(condition);
