import { dataIndex, pageOfLast } from '../interpreter/tlb-code.js';
import { OFFSET, REGION, SLOT, TLB } from '../layout.js';
import type { Body, FunctionRef, Label, Local } from '../wasm/body.js';
import { type I32, type I64, i32, i64 } from '../wasm/value.js';
import type { Cover } from './covers.js';

/** Of so many accesses outside of their slots' ranges one makes its slot follow. A power of 2. */
const FOLLOWS = 32;
/** Where an entry of a TLB has what makes an address in wasm memory: see TLB. */
const ADDEND = 8;

/** An access that checks for others: `cover` is around `pointer`, and it is `bytes` at `address`. */
export interface Check {
  readonly cover: Cover;
  readonly pointer: Local<'i64'>;
  readonly address: I64;
  readonly bytes: number;
  readonly writing: boolean;
  /** The low half of the address, less `offset`. */
  readonly low: I32;
  readonly offset: number;
}

/** What a check finds; `fail` must leave when only the interpreter can do the access. */
export interface Found {
  readonly delta: Local<'i32'>;
  readonly at: Local<'i32'>;
  readonly fail: () => void;
}

/** The stack's slot: it is in one place nearly always. */
export const STACK = 'sp';

/** Where the TLB for stores lies, from that for loads. */
const tableOf = (writing: boolean): number => (writing ? TLB.writeTable(0) - TLB.readTable(0) : 0);

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
  /** Address of the TLB for loads, where it is looked in first. */
  private readonly tlb: Local<'i32'> | undefined;

  constructor(
    private readonly body: Body,
    private readonly base: I32,
    private readonly refill: FunctionRef,
    private readonly record: I32,
    scattered: boolean,
  ) {
    this.tlb = scattered ? body.permanent('i32') : undefined;
  }

  /** Where in the region's record the slot of what is named `key` lies; more names than slots share them. */
  slot(key: string): number {
    const index = this.slots.get(key) ?? this.slots.size;
    this.slots.set(key, index);
    return REGION.slots + (index % REGION.slotCount) * SLOT.bytes;
  }

  /**
   * Address in wasm memory of an access; `fail` must leave when only the interpreter can do it. Most of what is outside of
   * its slot's range is in the TLB: small pages that lie scattered, visited by turns. Now and then the slot follows.
   */
  address(key: string, address: I64, bytes: number, writing: boolean, fail: () => void): I32 {
    if (this.tlb !== undefined && key !== STACK) return this.addressAlone(key, address, bytes, writing, fail);
    const { body } = this;
    const slot = this.slot(key);
    const at = body.keep(address);
    const low = i32.wrap(at as I64);
    const addend = body.local('i32', this.delta(slot));
    body.unlikely(this.isOutside(slot, at, writing), () =>
      body.block((found) => {
        const entry = body.keep(this.entryOf(at, writing));
        // See leaveUnlessHeld().
        const held = i64.eq(i64.load(entry), pageOfLast(at, bytes));
        body.if(i32.and(held, this.stays()), () => {
          body.set(addend, i32.load(entry, ADDEND));
          body.br(found);
        });
        body.if(i32.eqz(this.refilled(slot, at, bytes, writing)), fail);
        body.set(addend, this.delta(slot));
      }),
    );
    return i32.add(low, addend);
  }

  /**
   * Checks all that a pointer is for: `delta` becomes what makes an address in wasm memory of its low half, or 0 when each
   * access must look for itself (also when it would be 0), and `at` where in wasm memory `offset` bytes before the access lie.
   */
  check(
    key: string,
    { cover, pointer, address, bytes, writing, low, offset }: Check,
    { delta, at, fail }: Found,
  ): void {
    const { body, tlb } = this;
    const slot = this.slot(key);
    const found = (addend: I32, done: Label): void => {
      body.set(delta, addend);
      body.set(at, i32.add(low, delta));
      body.br(done);
    };
    body.block((done) => {
      body.block((missed) => {
        if (tlb !== undefined && key !== STACK) {
          found(this.addendOf(tlb, cover, pointer, cover.writing, missed), done);
        } else {
          this.leaveUnlessInside(slot, cover, pointer, missed);
          found(this.delta(slot), done);
        }
      });
      body.set(delta, i32.const(0));
      body.block((alone) => {
        // Only where it is worth it: code that is hardly ever executed makes V8 keep less in registers all the same.
        if (tlb !== undefined) this.lookUp(tlb, key, cover, pointer, writing, (addend) => found(addend, done), alone);
        body.brIf(i32.eqz(this.refilled(slot, address, bytes, writing)), alone);
        this.leaveUnlessInside(slot, cover, pointer, alone);
        found(this.delta(slot), done);
      });
      body.set(at, i32.sub(this.addressAlone(key, address, bytes, writing, fail), i32.const(offset)));
    });
  }

  /** In the TLB. Goes to `alone` when the check cannot succeed: not in one page, or only what is read now may be done. */
  private lookUp(
    tlb: I32,
    key: string,
    cover: Cover,
    pointer: Local<'i64'>,
    writing: boolean,
    found: (addend: I32) => void,
    alone: Label,
  ): void {
    const { body } = this;
    body.block((unknown) => {
      if (key === STACK) {
        const first = body.keep(i64.add(pointer, i64.const(cover.low)));
        const last = i64.add(pointer, i64.const(cover.high - 1));
        body.brIf(i64.geU(i64.xor(first, last), i64.const(4096)), alone);
        body.brIf(i32.eqz(this.stays()), unknown);
        body.block((missed) => found(this.addendOf(tlb, cover, pointer, cover.writing, missed)));
      }
      if (!cover.writing || writing) return;
      this.addendOf(tlb, cover, pointer, false, unknown);
      body.br(alone);
    });
  }

  private addendOf(tlb: I32, cover: Cover, pointer: Local<'i64'>, writing: boolean, otherwise: Label): I32 {
    const first = cover.low === 0 ? pointer : this.body.keep(i64.add(pointer, i64.const(cover.low)));
    const entry = this.leaveUnlessHeld(tlb, first, cover.high - cover.low, writing, otherwise);
    return i32.load(entry, tableOf(writing) + ADDEND);
  }

  /**
   * The same where ranges are known to be left all the time: the TLB first, since the processor mispredicts the comparison
   * with a range that is left by turns, which costs more than all the rest.
   */
  addressAlone(key: string, address: I64, bytes: number, writing: boolean, fail: () => void): I32 {
    const { body, tlb } = this;
    const slot = this.slot(key);
    const at = body.keep(address);
    if (tlb === undefined) return this.addressInRange(slot, at, bytes, writing, fail);
    const addend = body.local('i32');
    body.block((found) => {
      body.block((missed) => {
        const entry = this.leaveUnlessHeld(tlb, at, bytes, writing, missed);
        body.set(addend, i32.load(entry, tableOf(writing) + ADDEND));
        body.br(found);
      });
      body.if(this.isOutside(slot, at, writing), () => body.if(i32.eqz(this.refilled(slot, at, bytes, writing)), fail));
      body.set(addend, this.delta(slot));
    });
    return i32.add(i32.wrap(at as I64), addend);
  }

  /** By the slot alone, with little code: what is hardly ever executed makes V8 keep less in registers all the same. */
  private addressInRange(slot: number, at: Local<'i64'>, bytes: number, writing: boolean, fail: () => void): I32 {
    const { body } = this;
    body.unlikely(this.isOutside(slot, at, writing), () =>
      body.if(i32.eqz(this.refilled(slot, at, bytes, writing)), fail),
    );
    return i32.add(i32.wrap(at as I64), this.delta(slot));
  }

  /** Whether an address is outside of its slot's range. */
  private isOutside(slot: number, at: I64, writing: boolean): I32 {
    return i64.geU(i64.sub(at, this.field(slot, SLOT.low)), this.field(slot, writing ? SLOT.write : SLOT.read));
  }

  /** Makes the slot's range that around an address; 0 when only the interpreter can do the access. */
  private refilled(slot: number, at: I64, bytes: number, writing: boolean): I32 {
    const { body, base, refill } = this;
    return body.call('i32', refill, base, at, i32.const(bytes), i32.const(+writing), this.slotAddress(slot));
  }

  /**
   * The TLB's entry for bytes in one page: see pageOfLast().
   */
  private leaveUnlessHeld(tlb: I32, first: Local<'i64'>, bytes: number, writing: boolean, otherwise: Label): I32 {
    const { body } = this;
    const entry = body.keep(i32.add(tlb, dataIndex(first)));
    body.brIfUnlikely(i64.ne(i64.load(entry, tableOf(writing)), pageOfLast(first, bytes)), otherwise);
    return entry;
  }

  /** Whether a slot that an access is outside of stays as it is this time. */
  private stays(): I32 {
    const { body, record } = this;
    const turn = body.keep(i32.add(i32.load(record, REGION.turns), i32.const(1)));
    body.store('i32', record, turn, REGION.turns);
    return i32.ne(i32.and(turn, i32.const(FOLLOWS - 1)), i32.const(0));
  }

  /** The TLB's entry where the page of an address may be. */
  private entryOf(address: I64, writing: boolean): I32 {
    return i32.add(i32.load(this.base, writing ? OFFSET.tlbWrite : OFFSET.tlbRead), dataIndex(address));
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

  private leaveUnlessInside(slot: number, cover: Cover, pointer: Local<'i64'>, otherwise: Label): void {
    const { body } = this;
    const within = i64.sub(pointer, this.field(slot, SLOT.low));
    const first = body.keep(cover.low === 0 ? within : i64.add(within, i64.const(cover.low)));
    const room = body.keep(this.field(slot, cover.writing ? SLOT.write : SLOT.read));
    body.brIfUnlikely(i64.geU(first, room), otherwise);
    const beyond = cover.high - cover.low - 7;
    if (beyond > 1) body.brIfUnlikely(i64.ltS(i64.sub(room, first), i64.const(beyond)), otherwise);
  }

  /** Empties the slots when translations may have changed since the region was left. */
  emitPrologue(): void {
    const { body, base, record, slots, tlb } = this;
    if (slots.size === 0) return;
    if (tlb !== undefined) body.set(tlb, i32.load(base, OFFSET.tlbRead));
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
