import { OFFSET } from '../layout.js';
import type { Body, FunctionRef, Local } from '../wasm/body.js';
import { type I32, type I64, i32, i64 } from '../wasm/value.js';

/** A range of virtual addresses that lies in RAM in one piece: see OFFSET.rangeLow. */
interface Range {
  low: Local<'i64'>;
  read: Local<'i64'>;
  write: Local<'i64'>;
  delta: Local<'i32'>;
}

/**
 * A range that a base register pointed into when its region was made, as constants: addresses, how far it may be read
 * and written (bytes, less 7), and what makes an address in wasm memory of the low half of a virtual one.
 */
export interface Window {
  readonly low: bigint;
  readonly pages: number;
  readonly writable: boolean;
  readonly delta: number;
}

/** What a region needs to reach memory. */
export interface MemoryAccess {
  readonly refill: FunctionRef;
  readonly locate: FunctionRef;
  /** By base register. */
  readonly windows: ReadonlyMap<number, Window>;
  /** Address of the region's record. */
  readonly record: number;
}

/**
 * From guest addresses to wasm memory. For each base register a region keeps in locals the range that it pointed to
 * last: an access within is a subtraction, a comparison and an addition. Translations change only outside of regions,
 * so a range found in one is good until it is left. At first all ranges are empty.
 *
 * Where a base register's range is known when the code is made, and expected to stay, it is a window: constants instead
 * of locals, which leaves processor registers to the guest's.
 */
export class Ranges {
  private readonly ranges = new Map<number, Range>();

  constructor(
    private readonly body: Body,
    private readonly base: I32,
    private readonly access: MemoryAccess,
  ) {}

  /** Address in wasm memory of an access; `fail` must leave when only the interpreter can do it. */
  address(register: number, at: Local<'i64'>, bytes: number, writing: boolean, fail: () => void): I32 {
    const window = this.access.windows.get(register);
    if (window !== undefined && (window.writable || !writing)) return this.inWindow(window, at, bytes, writing, fail);
    const { body, base } = this;
    const range = this.of(register);
    const outside = i64.geU(i64.sub(at, range.low), writing ? range.write : range.read);
    body.unlikely(outside, () => {
      const found = body.call('i32', this.access.refill, base, at, i32.const(bytes), i32.const(+writing));
      body.if(i32.eqz(found), fail);
      body.set(range.low, i64.load(base, OFFSET.rangeLow));
      body.set(range.read, i64.load(base, OFFSET.rangeRead));
      body.set(range.write, i64.load(base, OFFSET.rangeWrite));
      body.set(range.delta, i32.load(base, OFFSET.rangeDelta));
    });
    return i32.add(i32.wrap(at as I64), range.delta);
  }

  private inWindow(window: Window, at: Local<'i64'>, bytes: number, writing: boolean, fail: () => void): I32 {
    const { body, base } = this;
    const { locate, record } = this.access;
    const address = body.local('i32', i32.add(i32.wrap(at as I64), i32.const(window.delta)));
    const inside = window.pages * 4096 - bytes + 1;
    body.unlikely(i64.geU(i64.sub(at, i64.const(window.low)), i64.const(inside)), () => {
      const writes = i32.const(+writing);
      body.set(address, body.call('i32', locate, base, at, i32.const(bytes), writes, i32.const(record)));
      body.if(i32.eqz(address), fail);
    });
    return address;
  }

  private of(register: number): Range {
    const { body } = this;
    const range = this.ranges.get(register) ?? {
      low: body.permanent('i64'),
      read: body.permanent('i64'),
      write: body.permanent('i64'),
      delta: body.permanent('i32'),
    };
    this.ranges.set(register, range);
    return range;
  }
}
