/**
 * Doorbells: two byte values that a guest of the harness writes to its UART at the start and the end of a sample (any
 * other guest's are bytes like others). The hart's thread stamps them itself, between two instructions of the guest, and
 * leaves the stamps in shared memory; the way to the main thread and to the harness is no part of the measured time.
 */
import type { StateSlice } from '../devices/device.js';

export const DOORBELL_START = 0x02;
export const DOORBELL_STOP = 0x03;

export interface Stamp {
  which: 'start' | 'stop';
  /** CLOCK_MONOTONIC. */
  ns: bigint;
  /** CPU time of this process. */
  cpuSeconds: number;
  /** Values of the machine's counters, in the order of their names. */
  counters: Float64Array;
}

const SLOTS = 8;
const MAX_COUNTERS = 252;
/** which, nanoseconds, CPU seconds, number of counters, counters. */
const SLOT_BYTES = (4 + MAX_COUNTERS) * 8;

/* Words. */
const HEAD = 0;
const TAIL = 1;
const SLOTS_AT = 64;
export const DOORBELLS_BYTES = SLOTS_AT + SLOTS * SLOT_BYTES;

export class Doorbells {
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #bigs: BigInt64Array;

  /** counters: values in a fixed order, cheap (about 10 µs): read outside of the measured interval. */
  constructor(
    state: StateSlice,
    private readonly counters: () => number[],
  ) {
    this.#words = state.i32;
    this.#floats = new Float64Array(state.buffer, state.offset + SLOTS_AT, (SLOTS * SLOT_BYTES) / 8);
    this.#bigs = new BigInt64Array(state.buffer, state.offset + SLOTS_AT, (SLOTS * SLOT_BYTES) / 8);
  }

  /** On a hart's thread, under the UART's lock. True when the byte is a doorbell. */
  ring(byte: number): boolean {
    if (byte !== DOORBELL_START && byte !== DOORBELL_STOP) return false;
    const head = Atomics.load(this.#words, HEAD);
    // More than anyone listens to is dropped: whoever rings so often is found out by the stamps that are there.
    if (head - Atomics.load(this.#words, TAIL) >= SLOTS) return true;
    const at = (head % SLOTS) * (SLOT_BYTES / 8);
    // The counters are read before the start is stamped and after the stop is.
    if (byte === DOORBELL_START) this.#storeCounters(at);
    this.#stamp(at, byte);
    if (byte === DOORBELL_STOP) this.#storeCounters(at);
    Atomics.store(this.#words, HEAD, head + 1);
    return true;
  }

  #stamp(at: number, byte: number): void {
    const stop = byte === DOORBELL_STOP;
    if (stop) this.#bigs[at + 1] = process.hrtime.bigint();
    const usage = process.cpuUsage();
    this.#floats[at] = byte;
    this.#floats[at + 2] = (usage.user + usage.system) / 1e6;
    if (!stop) this.#bigs[at + 1] = process.hrtime.bigint();
  }

  #storeCounters(at: number): void {
    const values = this.counters().slice(0, MAX_COUNTERS);
    this.#floats[at + 3] = values.length;
    this.#floats.set(values, at + 4);
  }

  /** On the main thread: the stamps since the last call, oldest first. */
  take(): Stamp[] {
    const stamps: Stamp[] = [];
    const head = Atomics.load(this.#words, HEAD);
    for (let tail = Atomics.load(this.#words, TAIL); tail < head; tail++) {
      const at = (tail % SLOTS) * (SLOT_BYTES / 8);
      stamps.push({
        which: this.#floats[at] === DOORBELL_START ? 'start' : 'stop',
        ns: this.#bigs[at + 1],
        cpuSeconds: this.#floats[at + 2],
        counters: this.#floats.slice(at + 4, at + 4 + this.#floats[at + 3]),
      });
      Atomics.store(this.#words, TAIL, tail + 1);
    }
    return stamps;
  }
}
