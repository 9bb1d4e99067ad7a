/**
 * The commands that a SCSI target works on (SAM-3: I_T_L_Q nexuses), and the queue of those that want to come back to the bus.
 * In shared memory, under the controller's lock.
 */
import type { StateSlice } from '../device.js';

/** One nexus a tag, and one without. */
export const UNTAGGED = 256;
const NEXUSES = 257;
const NEXUS_WORDS = 16;
export const N = {
  STATE: 0,
  /** Changes when the nexus is given up: late completions of the host are then nobody's. */
  EPOCH: 1,
  LUN: 2,
  MAY_DISCONNECT: 3,
  DIRECTION: 4,
  /** Bytes that the initiator has not asked for or given yet. */
  REMAINING: 5,
  /** Requests at the host. */
  PENDING: 6,
  STATUS: 7,
  FAILED: 8,
  DURABLE: 9,
  DISCONNECTED: 10,
  MOVED: 11,
  /** Byte of the disk that comes next, as a 64-bit float in two words. */
  OFFSET: 12,
} as const;
export const STATE = { FREE: 0, ACTIVE: 1, DONE: 2 } as const;
export const DIRECTION = { NONE: 0, READ: 1, WRITE: 2, REPLY: 3 } as const;

const READY_SLOTS = 512;
const HEAD = 0;
const TAIL = 1;
const READY_AT = 16;
const NEXUS_AT = READY_AT + READY_SLOTS;
export const NEXUS_STATE_BYTES = Math.ceil(((NEXUS_AT + NEXUSES * NEXUS_WORDS) * 4) / 64) * 64;

export class NexusTable {
  readonly #w: Int32Array;
  readonly #f64: Float64Array;

  constructor(state: StateSlice) {
    this.#w = state.i32;
    this.#f64 = new Float64Array(state.buffer, state.offset, NEXUS_STATE_BYTES / 8);
  }

  get(n: number, field: number): number {
    return this.#w[NEXUS_AT + n * NEXUS_WORDS + field];
  }

  set(n: number, field: number, value: number): void {
    this.#w[NEXUS_AT + n * NEXUS_WORDS + field] = value;
  }

  offset(n: number): number {
    return this.#f64[(NEXUS_AT + n * NEXUS_WORDS + N.OFFSET) / 2];
  }

  setOffset(n: number, offset: number): void {
    this.#f64[(NEXUS_AT + n * NEXUS_WORDS + N.OFFSET) / 2] = offset;
  }

  begin(n: number, lun: number, mayDisconnect: number): void {
    for (let field = N.LUN; field < NEXUS_WORDS; field++) this.set(n, field, 0);
    this.set(n, N.STATE, STATE.ACTIVE);
    this.set(n, N.LUN, lun);
    this.set(n, N.MAY_DISCONNECT, mayDisconnect);
  }

  drop(n: number): void {
    this.set(n, N.STATE, STATE.FREE);
    this.set(n, N.EPOCH, this.get(n, N.EPOCH) + 1);
    this.set(n, N.DISCONNECTED, 0);
  }

  dropAll(): void {
    for (let n = 0; n < NEXUSES; n++) this.drop(n);
    this.#w[HEAD] = this.#w[TAIL];
  }

  /** May be true for a command that has been given up since: popReady() decides. */
  get anyReady(): boolean {
    return this.#w[HEAD] !== this.#w[TAIL];
  }

  pushReady(n: number): void {
    if ((this.#w[TAIL] + 1) % READY_SLOTS === this.#w[HEAD]) this.#compact();
    const tail = this.#w[TAIL];
    this.#w[READY_AT + tail] = n;
    this.#w[TAIL] = (tail + 1) % READY_SLOTS;
  }

  /** The command that has waited longest, or -1. */
  popReady(): number {
    while (this.anyReady) {
      const head = this.#w[HEAD];
      this.#w[HEAD] = (head + 1) % READY_SLOTS;
      const n = this.#w[READY_AT + head];
      if (this.get(n, N.STATE) !== STATE.DONE || !this.get(n, N.DISCONNECTED)) continue;
      this.set(n, N.DISCONNECTED, 0);
      return n;
    }
    return -1;
  }

  /** Commands that were given up have left their entries behind; of the others there are fewer than slots. */
  #compact(): void {
    const live = new Set<number>();
    for (let at = this.#w[HEAD]; at !== this.#w[TAIL]; at = (at + 1) % READY_SLOTS) {
      const n = this.#w[READY_AT + at];
      if (this.get(n, N.STATE) === STATE.DONE) live.add(n);
    }
    let at = 0;
    for (const n of live) this.#w[READY_AT + at++] = n;
    this.#w[HEAD] = 0;
    this.#w[TAIL] = at;
  }
}
