/**
 * Which host socket carries which of a guest's UDP flows: shared by all threads of one machine.
 *
 * The decision: a flow's socket is opened by the thread that first sends on it, which keeps the receive posted in its own
 * IoContext and so gets the replies. A descriptor belongs to the process, so any other thread that sends on the same
 * flow finds it here and sends on the same socket: the peer sees one source port whichever vCPU the guest's task runs on.
 *
 *   entry:  FREE ──claim (table lock)──► USED, users = 0 ──pin──► users > 0 (being sent on)
 *             ▲                            │ evict: users 0 -> EVICTED, by the owner only (its receive is posted)
 *             └────────── release ─────────┘
 *
 * A pinned entry is not evicted, so that nobody sends on a descriptor that was closed and has become something else.
 */
import { Lock } from './lock.js';

/** Of one machine. A guest that opens more reuses the ones that it has used least recently. */
export const FLOWS_MAX = 48;
const HEADER_WORDS = 16;
const ENTRY_WORDS = 16;
export const FLOW_TABLE_BYTES = (HEADER_WORDS + FLOWS_MAX * ENTRY_WORDS) * 4;
const LOCK = 0;
const CLOCK = 1;
/** Words of an entry. */
const STATE = 0;
const USERS = 1;
const MAC_HIGH = 2;
const MAC_LOW = 3;
const IP_ADDRESS = 4;
const PORTS = 5;
const DESCRIPTOR = 6;
const LAST_USED = 7;
const HOST_IP = 8;
const FREE = 0;
const USED = 1;
const EVICTED = -0x40000000;

export interface FlowKey {
  guestMac: number;
  guestIp: number;
  guestPort: number;
  /** As the guest names it. */
  hostIp: number;
  hostPort: number;
}

export class FlowTable {
  readonly #words: Int32Array;
  readonly #lock: Lock;

  /** Zeroed memory for the table of one machine. */
  static create(): SharedArrayBuffer {
    return new SharedArrayBuffer(FLOW_TABLE_BYTES);
  }

  /** The table lies at the buffer's start. */
  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer, 0, FLOW_TABLE_BYTES / 4);
    this.#lock = new Lock(this.#words, LOCK);
  }

  /** Pins the flow's entry and answers its index, or -1. A hint (the last index) makes this one comparison. */
  pin(key: FlowKey, hint: number): number {
    if (hint >= 0 && this.#pinIf(hint, key)) return hint;
    for (let index = 0; index < FLOWS_MAX; index++) if (this.#pinIf(index, key)) return index;
    return -1;
  }

  unpin(index: number): void {
    Atomics.sub(this.#words, at(index) + USERS, 1);
  }

  /** The socket of a pinned entry. */
  descriptor(index: number): number {
    return this.#words[at(index) + DESCRIPTOR];
  }

  /** Runs `action` while no other thread makes or removes flows. */
  locked<T>(action: () => T): T {
    return this.#lock.hold(action);
  }

  /** Under the lock: fills a free entry and pins it; -1 when there is none. */
  claim(key: FlowKey, descriptor: number): number {
    for (let index = 0; index < FLOWS_MAX; index++) {
      const entry = at(index);
      if (this.#words[entry + STATE] !== FREE) continue;
      this.#words[entry + MAC_HIGH] = Math.floor(key.guestMac / 4294967296);
      this.#words[entry + MAC_LOW] = key.guestMac;
      this.#words[entry + IP_ADDRESS] = key.guestIp;
      this.#words[entry + HOST_IP] = key.hostIp;
      this.#words[entry + PORTS] = (key.guestPort << 16) | key.hostPort;
      this.#words[entry + DESCRIPTOR] = descriptor;
      Atomics.add(this.#words, entry + USERS, 1);
      Atomics.store(this.#words, entry + STATE, USED);
      return index;
    }
    return -1;
  }

  /** Under the lock: true when one could be claimed. */
  hasFree(): boolean {
    for (let index = 0; index < FLOWS_MAX; index++) if (this.#words[at(index) + STATE] === FREE) return true;
    return false;
  }

  /** Under the lock, by the owner: takes the entry from the others; false while one of them sends on it. */
  evict(index: number): boolean {
    return Atomics.compareExchange(this.#words, at(index) + USERS, 0, EVICTED) === 0;
  }

  /** After evict(), once the socket is closed. */
  release(index: number): void {
    Atomics.store(this.#words, at(index) + STATE, FREE);
    // Taken away, not set to zero: a thread may be between its failed pin and taking that back.
    Atomics.sub(this.#words, at(index) + USERS, EVICTED);
  }

  /** A reply has come: the flow is in use. */
  touch(index: number): void {
    this.#words[at(index) + LAST_USED] = this.#words[CLOCK]++;
  }

  /** Grows whenever the entry is used; the least of several was used least recently. */
  lastUsed(index: number): number {
    return this.#words[at(index) + LAST_USED];
  }

  #pinIf(index: number, key: FlowKey): boolean {
    const entry = at(index);
    const words = this.#words;
    if (!this.#matches(entry, key)) return false;
    // Between the comparison and the pin the entry may have become another's: compare again once it is pinned.
    if (Atomics.add(words, entry + USERS, 1) < 0 || !this.#matches(entry, key)) {
      Atomics.sub(words, entry + USERS, 1);
      return false;
    }
    words[entry + LAST_USED] = words[CLOCK]++;
    return true;
  }

  #matches(entry: number, key: FlowKey): boolean {
    const words = this.#words;
    return (
      words[entry + PORTS] === ((key.guestPort << 16) | key.hostPort) &&
      words[entry + IP_ADDRESS] === (key.guestIp | 0) &&
      words[entry + HOST_IP] === (key.hostIp | 0) &&
      words[entry + MAC_LOW] === (key.guestMac | 0) &&
      words[entry + MAC_HIGH] === Math.floor(key.guestMac / 4294967296) &&
      Atomics.load(words, entry + STATE) === USED
    );
  }
}

const at = (index: number): number => HEADER_WORDS + index * ENTRY_WORDS;
