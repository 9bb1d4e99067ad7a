/**
 * Jobs of one IoContext for its worker threads, in shared memory. One producer (the context's thread), several
 * consumers (its workers); results come back the same way with the roles changed.
 *
 *   owner ── pending ring ──► workers (compare-and-exchange on HEAD)        TAIL is the futex that idle workers sleep on
 *   owner ◄── done ring ───── workers (fetch-and-add on DONE_TAIL), then a kick of the owner's slot
 *
 * A ring has a place for every job that can be in flight, so neither overflows. Indices wrap as 32-bit integers.
 */
import { REQUESTS_MAX } from './requests.js';

export const JOB = { READ: 0, WRITE: 1, FLUSH: 2, ZERO: 3 } as const;

const HEAD = 0;
const TAIL = 1;
const DONE_TAIL = 2;
const IDLE = 3;
const STOP = 4;
const HEADER_WORDS = 16;
const MASK = REQUESTS_MAX - 1;
const INT_BYTES = (HEADER_WORDS + 5 * REQUESTS_MAX) * 4;
/** result: as of a Completion. */
const FLOAT_FIELDS = 4;

export interface Job {
  op: number;
  fd: number;
  memory: number;
  address: number;
  bytes: number;
  offset: number;
}

export class JobQueue {
  readonly #words: Int32Array;
  readonly #pending: Int32Array;
  readonly #done: Int32Array;
  readonly #ints: Int32Array;
  readonly #floats: Float64Array;
  #doneHead = 0;

  static create(): SharedArrayBuffer {
    return new SharedArrayBuffer(INT_BYTES + FLOAT_FIELDS * REQUESTS_MAX * 8);
  }

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer, 0, HEADER_WORDS);
    this.#pending = new Int32Array(buffer, HEADER_WORDS * 4, REQUESTS_MAX);
    this.#done = new Int32Array(buffer, (HEADER_WORDS + REQUESTS_MAX) * 4, REQUESTS_MAX);
    this.#ints = new Int32Array(buffer, (HEADER_WORDS + 2 * REQUESTS_MAX) * 4, 3 * REQUESTS_MAX);
    this.#floats = new Float64Array(buffer, INT_BYTES, FLOAT_FIELDS * REQUESTS_MAX);
  }

  /** Owner: queues a job under a free index of its request table. */
  push(index: number, job: Job): void {
    this.#ints.set([job.op, job.fd, job.memory], index * 3);
    this.#floats.set([job.address, job.bytes, job.offset], index * FLOAT_FIELDS);
    const tail = this.#words[TAIL];
    this.#pending[tail & MASK] = index;
    Atomics.store(this.#words, TAIL, (tail + 1) | 0);
    Atomics.notify(this.#words, TAIL, 1);
  }

  /** Jobs that no worker has taken yet, less the workers that sleep: how many more could work. */
  get unserved(): number {
    const waiting = (this.#words[TAIL] - Atomics.load(this.#words, HEAD)) | 0;
    return waiting - Atomics.load(this.#words, IDLE);
  }

  /** Owner: the index of a job that is done, or -1. */
  takeDone(): number {
    const at = this.#doneHead & MASK;
    const index = Atomics.load(this.#done, at) - 1;
    if (index < 0) return -1;
    this.#done[at] = 0;
    this.#doneHead = (this.#doneHead + 1) | 0;
    return index;
  }

  /** Owner: a load; false when takeDone() would find nothing. */
  get hasDone(): boolean {
    return Atomics.load(this.#done, this.#doneHead & MASK) !== 0;
  }

  result(index: number): number {
    return this.#floats[index * FLOAT_FIELDS + 3];
  }

  /** Owner: workers end when they are idle next. */
  stop(): void {
    Atomics.store(this.#words, STOP, 1);
    Atomics.notify(this.#words, TAIL);
  }

  /** Worker: sleeps until there is a job; its index, or -1 when the queue was stopped. */
  take(): number {
    for (;;) {
      const head = Atomics.load(this.#words, HEAD);
      const tail = Atomics.load(this.#words, TAIL);
      if (head === tail) {
        if (Atomics.load(this.#words, STOP) === 1) return -1;
        Atomics.add(this.#words, IDLE, 1);
        Atomics.wait(this.#words, TAIL, tail, 1000);
        Atomics.sub(this.#words, IDLE, 1);
        continue;
      }
      // Read before it is claimed: the place is not filled anew while its job is in flight.
      const index = Atomics.load(this.#pending, head & MASK);
      if (Atomics.compareExchange(this.#words, HEAD, head, (head + 1) | 0) === head) return index;
    }
  }

  /** Worker: what to do for an index that take() gave. */
  job(index: number): Job {
    const [op, fd, memory] = this.#ints.subarray(index * 3, index * 3 + 3);
    const [address, bytes, offset] = this.#floats.subarray(index * FLOAT_FIELDS, index * FLOAT_FIELDS + 3);
    return { op, fd, memory, address, bytes, offset };
  }

  /** Worker: publishes a result. The owner must be kicked afterwards. */
  finish(index: number, result: number): void {
    this.#floats[index * FLOAT_FIELDS + 3] = result;
    const ticket = Atomics.add(this.#words, DONE_TAIL, 1);
    Atomics.store(this.#done, ticket & MASK, index + 1);
  }
}
