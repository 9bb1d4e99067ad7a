/**
 * A ring of bytes in shared memory: the console. One reader at a time (the caller sees to that); writers may be several devices, on
 * several threads.
 */
import { Lock, type StateSlice } from '../devices/device.js';

/* Words of the state; head and tail count bytes since reset, modulo 2 ** 32. */
const HEAD = 0;
const WRITERS = 1;
const TAIL = 16;
const DATA_BYTES_AT = 128;

export const byteRingBytes = (capacity: number): number => DATA_BYTES_AT + capacity;

export class ByteRing {
  readonly #words: Int32Array;
  readonly #data: Uint8Array;
  readonly #mask: number;
  readonly #writers: Lock;

  /** The slice holds byteRingBytes(capacity), the capacity a power of two. */
  constructor(state: StateSlice) {
    this.#words = state.i32;
    this.#writers = new Lock(state.i32, WRITERS);
    this.#data = state.u8.subarray(DATA_BYTES_AT);
    this.#mask = this.#data.length - 1;
    if ((this.#data.length & this.#mask) !== 0) throw new RangeError(`ring of ${this.#data.length} bytes`);
  }

  get length(): number {
    return (Atomics.load(this.#words, HEAD) - Atomics.load(this.#words, TAIL)) >>> 0;
  }

  get capacity(): number {
    return this.#data.length;
  }

  get room(): number {
    return this.#data.length - this.length;
  }

  /** False when it is full. */
  put(byte: number): boolean {
    this.#writers.acquire();
    const fits = this.room > 0;
    if (fits) {
      const head = Atomics.load(this.#words, HEAD);
      this.#data[head & this.#mask] = byte;
      Atomics.store(this.#words, HEAD, (head + 1) | 0);
    }
    this.#writers.release();
    return fits;
  }

  /** The oldest byte, or -1. */
  take(): number {
    if (this.length === 0) return -1;
    const tail = Atomics.load(this.#words, TAIL);
    const byte = this.#data[tail & this.#mask];
    Atomics.store(this.#words, TAIL, (tail + 1) | 0);
    return byte;
  }

  /** All bytes, oldest first, as a copy of its own. */
  drain(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    const tail = Atomics.load(this.#words, TAIL);
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.#data[(tail + i) & this.#mask];
    Atomics.store(this.#words, TAIL, (tail + bytes.length) | 0);
    return bytes;
  }
}
