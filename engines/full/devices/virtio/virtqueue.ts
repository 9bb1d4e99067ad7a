/**
 * A split virtqueue (virtio 1.2, 2.7), the device's side. Its state is in shared memory; any thread may take chains from it and
 * give them back.
 *
 *      driver ── available ring ──► take()     by the holder of `taking`, one thread at a time
 *      driver ◄── used ring ─────── complete() under a lock of its own, from whatever thread a request ends on
 *
 * The rings' places were checked when the queue was enabled and cannot change before the next reset, so the rings are read
 * through typed arrays. Indices are read and written with Atomics: they order the accesses to what they announce (2.7.13,
 * 2.7.14), and a store followed by a load is a full barrier, which EVENT_IDX needs on both sides (2.7.7.2, 2.7.10).
 */
import { BUS_ERROR, type GuestRam, guestAddress, Lock, type StateSlice } from '../device.js';
import type { Chain } from './chain.js';
import { DESCRIPTOR_BYTES, FEATURE, NO_INTERRUPT, NO_NOTIFY } from './spec.js';

/* Words of the state. Addresses are kept as the driver wrote them, in two words; the places are made of them by enable(). */
const TAKING = 0;
const SIZE = 1;
const ENABLED = 2;
const LAST_AVAILABLE = 3;
/** Index of 16-bit words of the available and used rings, byte offset of the table; all unsigned. */
const AVAILABLE_AT = 4;
const USED_AT = 5;
const TABLE_AT = 6;
const FLAGS = 7;
export const ADDRESS = { TABLE: 8, AVAILABLE: 10, USED: 12 } as const;
const GIVING = 16;
const USED_INDEX = 17;
const SIGNALLED = 18;
const EPOCH = 19;
const COMPLETED = 20;
const INTERRUPTS = 21;
const NOTIFICATIONS = 22;
/** Times in a row that the driver wanted an interrupt after all, when it had been given time to look. */
const ASKED_AFTER_ALL = 23;
const WORDS = 32;
export const VIRTQUEUE_STATE_BYTES = WORDS * 4;

const EVENT_IDX = 1;
const INDIRECT = 2;

/** After so many of those it is given time again only now and then: it does not look by itself. */
const PATIENCE = 4;
const AGAIN_AFTER = 64;

/** Answers of take() beside a chain's head. */
export const EMPTY = -1;
/** The driver has broken the protocol: the device needs a reset. */
export const BROKEN = -2;

export class Virtqueue {
  /** Held by the one thread that takes chains. */
  readonly taking: Lock;
  readonly #giving: Lock;
  readonly #w: Int32Array;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;

  /** maxSize: a power of two, at most 1024. interrupt(): the driver is to look at the used ring; under the queue's lock. */
  constructor(
    state: StateSlice,
    private readonly ram: GuestRam,
    readonly maxSize: number,
    private readonly interrupt: () => void,
  ) {
    this.#w = state.i32;
    this.taking = new Lock(state.i32, TAKING);
    this.#giving = new Lock(state.i32, GIVING);
    this.#u16 = new Uint16Array(ram.buffer);
    this.#u32 = new Uint32Array(ram.buffer);
  }

  /* ---- what the transport's registers show ---- */

  get size(): number {
    return this.#w[SIZE];
  }

  /** Ignores what is no power of two, or too large. */
  set size(value: number) {
    const legal = value > 0 && value <= this.maxSize && (value & (value - 1)) === 0;
    if (legal && !this.enabled) this.#w[SIZE] = value;
  }

  get enabled(): boolean {
    return this.#w[ENABLED] !== 0;
  }

  /** Half 0 or 1 of one of ADDRESS. */
  address(which: number, half: number): number {
    return this.#w[which + half] >>> 0;
  }

  setAddress(which: number, half: number, value: number): void {
    if (!this.enabled) this.#w[which + half] = value;
  }

  /** features: bits 31:0 as negotiated. False when the rings do not lie in RAM, aligned as 2.7 asks: the queue stays off. */
  enable(features: number): boolean {
    const w = this.#w;
    if (this.enabled) return true;
    const size = w[SIZE];
    // Both rings have an event index at their end, whether or not EVENT_IDX was negotiated (2.7, table of sizes).
    const table = this.#place(ADDRESS.TABLE, DESCRIPTOR_BYTES * size, DESCRIPTOR_BYTES);
    const available = this.#place(ADDRESS.AVAILABLE, 6 + 2 * size, 2);
    const used = this.#place(ADDRESS.USED, 6 + 8 * size, 4);
    if (table < 0 || available < 0 || used < 0) return false;
    w[TABLE_AT] = table;
    w[AVAILABLE_AT] = available / 2;
    w[USED_AT] = used / 2;
    w[FLAGS] =
      (features & (1 << FEATURE.EVENT_IDX) ? EVENT_IDX : 0) | (features & (1 << FEATURE.INDIRECT_DESC) ? INDIRECT : 0);
    w[LAST_AVAILABLE] = w[USED_INDEX] = w[SIGNALLED] = 0;
    Atomics.store(w, ENABLED, 1);
    return true;
  }

  /** Waits for a thread that takes chains at the moment, then forgets everything; late completions are nobody's. */
  reset(): void {
    this.taking.acquire();
    this.#giving.acquire();
    const w = this.#w;
    w[ENABLED] = 0;
    w[EPOCH]++;
    w[SIZE] = this.maxSize;
    w.fill(0, ADDRESS.TABLE, GIVING);
    this.#giving.release();
    this.taking.release();
  }

  /* ---- taking: by the holder of `taking` ---- */

  /** Changes when the queue is reset: complete() wants the one that the chain was taken in. */
  get epoch(): number {
    return this.#w[EPOCH];
  }

  /** Reads the next chain into `chain`; its head, or EMPTY, or BROKEN. */
  take(chain: Chain): number {
    const head = this.peek(chain);
    if (head >= 0) this.skip();
    return head;
  }

  /** The same without taking it: skip() does. */
  peek(chain: Chain): number {
    const w = this.#w;
    if (w[ENABLED] === 0) return EMPTY;
    const at = w[AVAILABLE_AT] >>> 0;
    const size = w[SIZE];
    const last = w[LAST_AVAILABLE];
    const waiting = (Atomics.load(this.#u16, at + 1) - last) & 0xffff;
    if (waiting === 0) return EMPTY;
    if (waiting > size) return BROKEN;
    const head = this.#u16[at + 2 + (last & (size - 1))];
    const whole = head < size && chain.walk(w[TABLE_AT] >>> 0, size, head, (w[FLAGS] & INDIRECT) !== 0);
    return whole ? head : BROKEN;
  }

  skip(): void {
    this.#w[LAST_AVAILABLE] = (this.#w[LAST_AVAILABLE] + 1) & 0xffff;
  }

  /** Takes nothing of the last `count` skipped ones after all. */
  unskip(count: number): void {
    this.#w[LAST_AVAILABLE] = (this.#w[LAST_AVAILABLE] - count) & 0xffff;
  }

  /** After EMPTY: asks for a notification of the next chain. True when one has come meanwhile. */
  rearm(): boolean {
    const w = this.#w;
    if (w[ENABLED] === 0) return false;
    const last = w[LAST_AVAILABLE];
    if (w[FLAGS] & EVENT_IDX) Atomics.store(this.#u16, (w[USED_AT] >>> 0) + 2 + 4 * w[SIZE], last);
    return Atomics.load(this.#u16, (w[AVAILABLE_AT] >>> 0) + 1) !== last;
  }

  /** The driver has added what nobody has taken. For any thread. */
  get waiting(): boolean {
    const w = this.#w;
    if (w[ENABLED] === 0) return false;
    return Atomics.load(this.#u16, (w[AVAILABLE_AT] >>> 0) + 1) !== Atomics.load(w, LAST_AVAILABLE);
  }

  /** For queues of empty buffers: their filling is of no interest. With EVENT_IDX it is enough never to rearm. */
  suppressNotifications(): void {
    const w = this.#w;
    if (w[ENABLED] !== 0 && !(w[FLAGS] & EVENT_IDX)) Atomics.store(this.#u16, w[USED_AT] >>> 0, NO_NOTIFY);
  }

  countNotification(): void {
    Atomics.add(this.#w, NOTIFICATIONS, 1);
  }

  /* ---- giving back: from any thread ---- */

  /** Begins to give chains of the epoch back: give(), then end(). False when the queue has been reset: then neither. */
  begin(epoch: number): boolean {
    this.#giving.acquire();
    if (this.#w[EPOCH] === epoch && this.#w[ENABLED] !== 0) return true;
    this.#giving.release();
    return false;
  }

  /** written: bytes of the device-writable part that were written, from its start. */
  give(head: number, written: number): void {
    const w = this.#w;
    const used = w[USED_INDEX];
    const at = (w[USED_AT] >>> 1) + 1 + 2 * (used & (w[SIZE] - 1));
    this.#u32[at] = head;
    this.#u32[at + 1] = written;
    w[USED_INDEX] = (used + 1) & 0xffff;
    w[COMPLETED]++;
  }

  /** Shows the driver what was given since begin(), and interrupts it if it asked for that. */
  end(): void {
    this.#show();
    this.#interruptIfWanted();
    this.#giving.release();
  }

  /**
   * As end(), but if this kind of driver looks at the used ring by itself once its hart is awake, whether it wants an interrupt is
   * asked later: true, and the caller must call settle() soon. A device may read the driver's wish (2.7.7, 2.7.10) at any time
   * after the used index was written: a driver that has seen the chain by then has withdrawn it, and is spared the interrupt.
   */
  endBeforeLook(): boolean {
    const w = this.#w;
    this.#show();
    const asked = w[ASKED_AFTER_ALL];
    const later = asked < PATIENCE || asked >= PATIENCE + AGAIN_AFTER;
    if (!later) {
      w[ASKED_AFTER_ALL] = asked + 1;
      this.#interruptIfWanted();
    }
    this.#giving.release();
    return later;
  }

  /** After endBeforeLook(), with the epoch of then. */
  settle(epoch: number): void {
    if (!this.begin(epoch)) return;
    const asked = this.#interruptIfWanted();
    this.#w[ASKED_AFTER_ALL] = asked ? Math.min(this.#w[ASKED_AFTER_ALL], PATIENCE - 1) + 1 : 0;
    this.#giving.release();
  }

  /** One chain, by itself. */
  complete(head: number, written: number, epoch: number): void {
    if (!this.begin(epoch)) return;
    this.give(head, written);
    this.end();
  }

  /** Totals since reset of the machine: chains given back, interrupts asked for, notifications. */
  counts(): { completed: number; interrupts: number; notifications: number } {
    const w = this.#w;
    return { completed: w[COMPLETED] >>> 0, interrupts: w[INTERRUPTS] >>> 0, notifications: w[NOTIFICATIONS] >>> 0 };
  }

  #show(): void {
    Atomics.store(this.#u16, (this.#w[USED_AT] >>> 0) + 1, this.#w[USED_INDEX]);
  }

  #interruptIfWanted(): boolean {
    if (!this.#interruptWanted()) return false;
    this.#w[INTERRUPTS]++;
    this.interrupt();
    return true;
  }

  #interruptWanted(): boolean {
    const w = this.#w;
    const at = w[AVAILABLE_AT] >>> 0;
    if (!(w[FLAGS] & EVENT_IDX)) return (Atomics.load(this.#u16, at) & NO_INTERRUPT) === 0;
    const event = Atomics.load(this.#u16, at + 2 + w[SIZE]);
    const before = w[SIGNALLED];
    const now = w[USED_INDEX];
    w[SIGNALLED] = now;
    // 2.7.10: the driver wants to hear when the index passes `event`.
    return ((now - event - 1) & 0xffff) < ((now - before) & 0xffff);
  }

  /** Byte offset in the shared memory, or BUS_ERROR. */
  #place(which: number, bytes: number, alignment: number): number {
    const address = this.address(which, 0) + this.address(which, 1) * 4_294_967_296;
    return address % alignment === 0 ? this.ram.offsetOf(guestAddress(address), bytes) : BUS_ERROR;
  }
}
