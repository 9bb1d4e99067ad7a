/** A request of the block device while the host works on it. Made once and used again, so that a request allocates nothing. */
import type { Completion } from '../../../backends/io.js';
import type { Virtqueue } from './virtqueue.js';

export class BlkRequest {
  queue: Virtqueue | undefined;
  /** Number of the queue. */
  n = 0;
  epoch = 0;
  head = 0;
  /** Byte offset in the shared memory of the status byte. */
  statusAt = 0;
  /** Bytes of the device-writable part that will have been written, the status included. */
  written = 0;
  /** Requests to the host that have not ended, and their pieces in all. */
  pending = 0;
  pieces = 0;
  /** Bytes that the pieces shall move, and have moved. */
  expected = 0;
  moved = 0;
  failed = false;
  /** A flush must follow before it is done. */
  durable = false;
  /** For all of them. */
  readonly done: Completion;

  constructor(ended: (request: BlkRequest) => void) {
    this.done = (result) => {
      if (result >= 0) this.moved += result;
      else this.failed = true;
      if (--this.pending === 0) ended(this);
    };
  }

  begin(queue: Virtqueue, n: number, head: number, statusAt: number): void {
    this.queue = queue;
    this.n = n;
    this.epoch = queue.epoch;
    this.head = head;
    this.statusAt = statusAt;
    this.written = 1;
    this.pending = this.pieces = this.expected = this.moved = 0;
    this.failed = this.durable = false;
  }

  /** One more request to the host, of so many bytes in so many pieces. */
  add(bytes: number, pieces = 1): void {
    this.pending++;
    this.pieces += pieces;
    this.expected += bytes;
  }

  get good(): boolean {
    return !this.failed && this.moved === this.expected;
  }
}
