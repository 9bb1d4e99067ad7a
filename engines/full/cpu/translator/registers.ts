import { OFFSET } from '../layout.js';
import type { Body, Local } from '../wasm/body.js';
import {
  boxed,
  type F32,
  type F64,
  f32,
  f64,
  type Halves,
  type I32,
  type I64,
  i32,
  i64,
  select,
  Value,
  type ValueType,
} from '../wasm/value.js';

/** A copy of a local's value: not a Local, so that Body.keep() really keeps what it is now. */
const read = <T extends ValueType>(local: Local<T>): Value<T> => new Value(local.type, local.code);

const BOX = 0xffffffff00000000n;
const CANONICAL_NAN_32 = 0x7fc00000;

/** A single that is not NaN-boxed is the canonical NaN (unprivileged specification, 12.2). */
export function unboxed(body: Body, bits: I64): F32 {
  const raw = body.keep(bits);
  const isBoxed = i64.geU(raw, i64.const(BOX));
  return f32.reinterpret(select(isBoxed, i32.wrap(raw), i32.const(CANONICAL_NAN_32)));
}

/**
 * The guest's registers in wasm locals. Those that a region uses anywhere are loaded when it is entered, those that it
 * writes anywhere are stored when it is left: both happen in one place, so that code on the way needs to know nothing.
 */
export class Registers {
  private readonly x = new Map<number, Local<'i64'>>();
  /** Locals for what registers have been shifted to the left from, and what is known of their halves at this point. */
  private readonly origins = new Map<number, Local<'i32'>>();
  private readonly halves = new Map<number, Halves>();
  private readonly f = new Map<number, Local<'f64'>>();
  private readonly singles = new Map<number, Local<'f32'>>();
  private readonly writtenX = new Set<number>();
  private others: Map<number, Local<'i64'>> | undefined;
  private readonly writtenF = new Set<number>();

  constructor(
    private readonly body: Body,
    private readonly base: I32,
  ) {}

  getX(index: number): I64 {
    if (index === 0) return i64.const(0);
    const other = this.others?.get(index);
    if (other !== undefined) return read(other);
    return new Value('i64', this.localX(index).code, false, undefined, this.halves.get(index));
  }

  setX(index: number, value: I64): void {
    if (index === 0) return;
    if (this.others !== undefined) {
      this.others.set(index, this.body.local('i64', value));
      return;
    }
    const { body } = this;
    const { raised } = value.halves ?? {};
    // Before the register is written: it may be what the value is made of.
    const from = raised && body.local('i32', raised.from);
    this.writtenX.add(index);
    body.set(this.localX(index), value);
    this.halves.delete(index);
    if (raised === undefined || from === undefined) return;
    const origin = this.known(this.origins, index, 'i32');
    body.set(origin, from);
    this.halves.set(index, { raised: { from: read(origin), by: raised.by } });
  }

  /** Must come where a block begins: what is known of halves is known in a straight line only. */
  forgetHalves(): void {
    this.halves.clear();
  }

  /** What `build` writes to x registers it writes to locals of its own, which are returned. */
  aside(build: () => void): ReadonlyMap<number, Local<'i64'>> {
    const others = new Map<number, Local<'i64'>>();
    this.others = others;
    build();
    this.others = undefined;
    return others;
  }

  getF(index: number): F64 {
    return read(this.localF(index));
  }

  setF(index: number, value: F64): void {
    this.writtenF.add(index);
    this.body.set(this.localF(index), value);
  }

  /** fflags: in memory, since they are seldom looked at, and what is called raises them too. */
  get fflags(): I32 {
    return i32.load(this.base, OFFSET.fflags);
  }

  raise(flags: I32): void {
    this.setFlags(i32.or(this.fflags, flags));
  }

  setFlags(flags: I32): void {
    this.body.store('i32', this.base, flags, OFFSET.fflags);
    this.body.store('i32', this.base, i32.const(1), OFFSET.fpDirty);
  }

  /** The single in a register that certainly holds one: see singles.ts. */
  getSingle(index: number): F32 {
    return read(this.known(this.singles, index, 'f32'));
  }

  /** NaN-boxed as well. */
  setSingle(index: number, value: F32): void {
    const local = this.known(this.singles, index, 'f32');
    this.body.set(local, value);
    this.setF(index, boxed.box(local));
  }

  load(): void {
    const { body, base } = this;
    for (const [index, local] of this.x) body.set(local, i64.load(base, OFFSET.x + index * 8));
    for (const [index, local] of this.f) body.set(local, f64.load(base, OFFSET.f + index * 8));
    for (const [index, local] of this.singles) body.set(local, unboxed(body, i64.load(base, OFFSET.f + index * 8)));
  }

  /** FS becomes Dirty even if no instruction on the way wrote anything, as the privileged specification (3.1.6.6) allows. */
  store(): void {
    const { body, base } = this;
    for (const index of this.writtenX) body.store('i64', base, this.localX(index), OFFSET.x + index * 8);
    for (const index of this.writtenF) body.store('f64', base, this.localF(index), OFFSET.f + index * 8);
    // Unless the region has switched FS off after it wrote.
    const enabled = i32.load(base, OFFSET.fpEnabled);
    if (this.writtenF.size > 0) body.store('i32', base, enabled, OFFSET.fpDirty);
  }

  private localX(index: number): Local<'i64'> {
    return this.known(this.x, index, 'i64');
  }

  private localF(index: number): Local<'f64'> {
    return this.known(this.f, index, 'f64');
  }

  private known<T extends ValueType>(map: Map<number, Local<T>>, index: number, type: T): Local<T> {
    const local = map.get(index) ?? this.body.permanent(type);
    map.set(index, local);
    return local;
  }
}
