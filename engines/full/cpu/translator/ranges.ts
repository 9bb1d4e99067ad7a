import { OFFSET, REGION, SLOT } from '../layout.js';
import type { Body, FunctionRef, Label, Local } from '../wasm/body.js';
import { type I32, type I64, i32, i64 } from '../wasm/value.js';
import type { Merge } from './merges.js';

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
    private readonly record: I32,
  ) {}

  /** Where in the region's record the slot of what is named `key` lies; more names than slots share them. */
  slot(key: string): number {
    const index = this.slots.get(key) ?? this.slots.size;
    this.slots.set(key, index);
    return REGION.slots + (index % REGION.slotCount) * SLOT.bytes;
  }

  /** Address in wasm memory of an access; `fail` must leave when only the interpreter can do it. */
  address(key: string, address: I64, bytes: number, writing: boolean, fail: () => void): I32 {
    const { body, base } = this;
    const slot = this.slot(key);
    const at = body.keep(address);
    const outside = i64.geU(
      i64.sub(at, this.field(slot, SLOT.low)),
      this.field(slot, writing ? SLOT.write : SLOT.read),
    );
    body.unlikely(outside, () => {
      const { refill } = this;
      const found = body.call('i32', refill, base, at, i32.const(bytes), i32.const(+writing), this.slotAddress(slot));
      body.if(i32.eqz(found), fail);
    });
    return i32.add(i32.wrap(at as I64), this.delta(slot));
  }

  /**
   * Checks for a whole merge, given its first access's address: `delta` becomes what makes an address in wasm memory of a
   * base register's low half, less the least offset, or 0 when each access must look for itself (also when it would be 0).
   */
  checkMerge(key: string, merge: Merge, address: I64, bytes: number, delta: Local<'i32'>): void {
    const { body, base, refill } = this;
    const slot = this.slot(key);
    const at = body.keep(address);
    body.block((done) => {
      body.block((sound) => {
        body.block((missed) => {
          this.leaveUnlessInside(slot, merge, at, missed);
          body.br(sound);
        });
        body.set(delta, i32.const(0));
        const writing = i32.const(+merge.writes);
        const found = body.call('i32', refill, base, at, i32.const(bytes), writing, this.slotAddress(slot));
        body.brIf(i32.eqz(found), done);
        this.leaveUnlessInside(slot, merge, at, done);
      });
      body.set(delta, i32.add(this.delta(slot), i32.const(merge.leastOffset)));
    });
  }

  /** A field of a slot. */
  field(slot: number, offset: number): I64 {
    return i64.load(this.record, slot + offset);
  }

  delta(slot: number): I32 {
    return i32.load(this.record, slot + SLOT.delta);
  }

  /** Address of a slot in wasm memory. */
  slotAddress(slot: number): I32 {
    return i32.add(this.record, i32.const(slot));
  }

  private leaveUnlessInside(slot: number, merge: Merge, at: Local<'i64'>, otherwise: Label): void {
    const { body } = this;
    const within = i64.sub(at, this.field(slot, SLOT.low));
    const first = body.keep(merge.low === 0 ? within : i64.add(within, i64.const(merge.low)));
    const room = body.keep(this.field(slot, merge.writing ? SLOT.write : SLOT.read));
    body.brIfUnlikely(i64.geU(first, room), otherwise);
    const beyond = merge.high - merge.low - 7;
    if (beyond > 1) body.brIfUnlikely(i64.ltS(i64.sub(room, first), i64.const(beyond)), otherwise);
  }

  /** Empties the slots when translations may have changed since the region was left. */
  emitPrologue(): void {
    const { body, base, record, slots } = this;
    if (slots.size === 0) return;
    const known = (offset: number): I32 => i32.load(record, offset);
    const context = i32.xor(known(REGION.context), i32.load(base, OFFSET.tlbRead));
    const epoch = i32.xor(known(REGION.epoch), i32.load(base, OFFSET.epoch));
    body.unlikely(i32.or(context, epoch), () => {
      const bytes = Math.min(slots.size, REGION.slotCount) * SLOT.bytes;
      body.fill(this.slotAddress(REGION.slots), i32.const(0), i32.const(bytes));
      body.store('i32', record, i32.load(base, OFFSET.tlbRead), REGION.context);
      body.store('i32', record, i32.load(base, OFFSET.epoch), REGION.epoch);
    });
  }
}
