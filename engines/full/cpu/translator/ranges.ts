import { OFFSET, REGION, SLOT } from '../layout.js';
import type { Body, FunctionRef } from '../wasm/body.js';
import { type I32, type I64, i32, i64 } from '../wasm/value.js';

/**
 * From guest addresses to wasm memory. For each base register a region has a slot (see SLOT) with the range that it
 * pointed to last: an access within is a subtraction, a comparison and an addition. Slots are in memory, not in locals:
 * with a range's four values in locals V8 runs out of processor registers, and moves all of them about wherever a rare
 * path meets a common one; as operands in memory they cost no instruction of their own.
 *
 * Translations change only outside of regions, so slots are looked at when a region is entered, and believed in it.
 */
export class Ranges {
  private readonly slots = new Map<string, number>();

  constructor(
    private readonly body: Body,
    private readonly base: I32,
    private readonly refill: FunctionRef,
    private readonly record: number,
  ) {}

  /** Where in wasm memory the slot of what is named `key` lies; more names than slots share them. */
  slot(key: string): number {
    const index = this.slots.get(key) ?? this.slots.size;
    this.slots.set(key, index);
    return this.record + REGION.slots + (index % REGION.slotCount) * SLOT.bytes;
  }

  /** Address in wasm memory of an access; `fail` must leave when only the interpreter can do it. */
  address(key: string, address: I64, bytes: number, writing: boolean, fail: () => void): I32 {
    const { body, base } = this;
    const slot = this.slot(key);
    const at = body.keep(address);
    const outside = i64.geU(i64.sub(at, field(slot, SLOT.low)), field(slot, writing ? SLOT.write : SLOT.read));
    body.unlikely(outside, () => {
      const { refill } = this;
      const found = body.call('i32', refill, base, at, i32.const(bytes), i32.const(+writing), i32.const(slot));
      body.if(i32.eqz(found), fail);
    });
    return i32.add(i32.wrap(at as I64), i32.load(i32.const(slot), SLOT.delta));
  }

  /** Empties the slots when translations may have changed since the region was left. */
  emitPrologue(): void {
    const { body, base, record, slots } = this;
    if (slots.size === 0) return;
    const known = (offset: number): I32 => i32.load(i32.const(record), offset);
    const context = i32.xor(known(REGION.context), i32.load(base, OFFSET.tlbRead));
    const epoch = i32.xor(known(REGION.epoch), i32.load(base, OFFSET.epoch));
    body.unlikely(i32.or(context, epoch), () => {
      const bytes = Math.min(slots.size, REGION.slotCount) * SLOT.bytes;
      body.fill(i32.const(record + REGION.slots), i32.const(0), i32.const(bytes));
      body.store('i32', i32.const(record), i32.load(base, OFFSET.tlbRead), REGION.context);
      body.store('i32', i32.const(record), i32.load(base, OFFSET.epoch), REGION.epoch);
    });
  }
}

const field = (slot: number, offset: number): I64 => i64.load(i32.const(slot), offset);
