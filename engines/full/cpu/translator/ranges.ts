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
 * From guest addresses to wasm memory. For each base register a region keeps in locals the range that it pointed to
 * last: an access within is a subtraction, a comparison and an addition. Translations change only outside of regions,
 * so a range found in one is good until it is left. At first all ranges are empty.
 */
export class Ranges {
  private readonly ranges = new Map<number, Range>();

  constructor(
    private readonly body: Body,
    private readonly base: I32,
    private readonly refill: FunctionRef,
  ) {}

  /** Address in wasm memory of an access; `fail` must leave when only the interpreter can do it. */
  address(register: number, at: Local<'i64'>, bytes: number, writing: boolean, fail: () => void): I32 {
    const { body, base } = this;
    const range = this.of(register);
    const outside = i64.geU(i64.sub(at, range.low), writing ? range.write : range.read);
    body.if(outside, () => {
      const found = body.call('i32', this.refill, base, at, i32.const(bytes), i32.const(+writing));
      body.if(i32.eqz(found), fail);
      body.set(range.low, i64.load(base, OFFSET.rangeLow));
      body.set(range.read, i64.load(base, OFFSET.rangeRead));
      body.set(range.write, i64.load(base, OFFSET.rangeWrite));
      body.set(range.delta, i32.load(base, OFFSET.rangeDelta));
    });
    return i32.add(i32.wrap(at as I64), range.delta);
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
