/** The block requests in flight of one IoContext: parallel arrays and a free list, so that a request allocates nothing. */

import type { Completion } from './io.js';
import type { NativeMemory } from './libc.js';
import type { Vector } from './pieces.js';

/** In flight at once. Completion queues are sized so that they cannot overflow. */
export const REQUESTS_MAX = 1024;

const nothing: Completion = () => {};

export class RequestTable {
  readonly op = new Uint8Array(REQUESTS_MAX);
  readonly fd = new Int32Array(REQUESTS_MAX);
  /** Where the kernel reads or writes: the guest's memory, or the bounce buffer. */
  readonly address = new Float64Array(REQUESTS_MAX);
  readonly bytes = new Float64Array(REQUESTS_MAX);
  readonly offset = new Float64Array(REQUESTS_MAX);
  /** Bytes already moved, when the kernel does a request in pieces. */
  readonly progress = new Float64Array(REQUESTS_MAX);
  readonly retries = new Uint16Array(REQUESTS_MAX);
  /** What a piece's length must be a multiple of; a shorter read has met the end of the file. */
  readonly granule = new Uint32Array(REQUESTS_MAX);
  readonly bounce: (NativeMemory | undefined)[] = new Array(REQUESTS_MAX).fill(undefined);
  /** Of requests whose memory is in pieces; address is not used then. */
  readonly vector: (Vector | undefined)[] = new Array(REQUESTS_MAX).fill(undefined);
  /** Where a bounced read goes in the end. */
  readonly target = new Float64Array(REQUESTS_MAX);
  readonly done: Completion[] = new Array(REQUESTS_MAX).fill(nothing);
  readonly #free = new Uint16Array(REQUESTS_MAX).map((_, i) => REQUESTS_MAX - 1 - i);
  #freeCount = REQUESTS_MAX;

  get inFlight(): number {
    return REQUESTS_MAX - this.#freeCount;
  }

  /** A request's index, or -1 when all are in flight. */
  take(): number {
    return this.#freeCount === 0 ? -1 : this.#free[--this.#freeCount];
  }

  release(index: number): void {
    this.done[index] = nothing;
    this.bounce[index] = undefined;
    this.vector[index] = undefined;
    this.#free[this.#freeCount++] = index;
  }
}
