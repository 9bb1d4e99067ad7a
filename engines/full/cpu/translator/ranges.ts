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

/** Where a window begins in wasm memory. */
const hostLow = ({ low, delta }: Window): number => (Number(BigInt.asIntN(32, low)) + delta) >>> 0;

/** A load or store: its base register and that register's value, what is added to it, and both together. */
export interface Operand {
  readonly register: number;
  readonly value: I64;
  readonly displacement: number;
  readonly address: I64;
  readonly bytes: number;
  readonly writing: boolean;
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
    private readonly memory: MemoryAccess,
  ) {}

  /**
   * Emits an access; `emit` gets an address and an offset in wasm memory, and may be asked twice. Within a window, where
   * the access lies in it is what is compared and, with the window's place as offset, what is accessed.
   */
  access(operand: Operand, emit: (at: I32, offset: number) => void, fail: () => void): void {
    const { body, base } = this;
    const { register, displacement, address, bytes, writing } = operand;
    const window = this.windowOf(register, writing);
    if (window === undefined) {
      emit(this.address(register, body.keep(address), bytes, writing, fail), 0);
      return;
    }
    const from = i64.sub(operand.value, i64.const(window.low));
    const within = body.keep(displacement === 0 ? from : i64.add(from, i64.const(displacement)));
    const inside = i64.leU(within, i64.const(window.pages * 4096 - bytes));
    const { locate, record } = this.memory;
    body.likely(
      inside,
      () => emit(i32.wrap(within as I64), hostLow(window)),
      () => {
        const size = i32.const(bytes);
        const found = body.local(
          'i32',
          body.call('i32', locate, base, address, size, i32.const(+writing), i32.const(record)),
        );
        body.if(i32.eqz(found), fail);
        emit(found, 0);
      },
    );
  }

  /** Address in wasm memory of an access; `fail` must leave when only the interpreter can do it. */
  address(register: number, at: Local<'i64'>, bytes: number, writing: boolean, fail: () => void): I32 {
    const window = this.windowOf(register, writing);
    if (window !== undefined) return this.inWindow(window, at, bytes, writing, fail);
    const { body, base } = this;
    const range = this.of(register);
    const outside = i64.geU(i64.sub(at, range.low), writing ? range.write : range.read);
    body.unlikely(outside, () => {
      const found = body.call('i32', this.memory.refill, base, at, i32.const(bytes), i32.const(+writing));
      body.if(i32.eqz(found), fail);
      body.set(range.low, i64.load(base, OFFSET.rangeLow));
      body.set(range.read, i64.load(base, OFFSET.rangeRead));
      body.set(range.write, i64.load(base, OFFSET.rangeWrite));
      body.set(range.delta, i32.load(base, OFFSET.rangeDelta));
    });
    return i32.add(i32.wrap(at as I64), range.delta);
  }

  private windowOf(register: number, writing: boolean): Window | undefined {
    const window = this.memory.windows.get(register);
    return window !== undefined && (window.writable || !writing) ? window : undefined;
  }

  private inWindow(window: Window, at: Local<'i64'>, bytes: number, writing: boolean, fail: () => void): I32 {
    const { body, base } = this;
    const { locate, record } = this.memory;
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
