/**
 * The driver of a block device, as one thread has it: hands checked requests to the device, and each back when it is done. It sees
 * slots of the I/O queue and never a ring; who answers is blkback.ts.
 *
 *     io-queue ──takeReady()──► start(slot) ──► IoContext … completion ──► done(slot)
 *
 * Slots that are linked by SLOT.together are one operation of the device: contiguous on it, and of one kind.
 */
import type { Completion, Pieces } from '../../backends/io.js';
import { PIECES_MAX } from '../../backends/pieces.js';
import { BLKIF_OP_DISCARD, BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_READ, PARA_EIO } from '../abi.js';
import { type HypervisorMemory, SEGMENT_WORDS, SLOT } from '../hypervisor-memory.js';
import { NO_SLOT, type Slot, slotWord } from '../io-queue.js';
import type { BlockDevice } from './block-device.js';
import { segmentsWord } from './block-request.js';

/** How a slot's request went: 0, or a negative errno. */
export type Done = (slot: Slot, status: number) => void;

/** Segments that slots done together may have in all. */
export const SEGMENTS_TOGETHER = PIECES_MAX;

export class BlockDriver {
  /** Device operations that were started and have not ended. */
  inFlight = 0;
  private killed: (() => void) | undefined;
  /** One for each slot, made when first needed: a closure a request would cost more than the rest of this file. */
  private readonly completions: Completion[] = [];
  private readonly pieces = { address: new Float64Array(PIECES_MAX), bytes: new Float64Array(PIECES_MAX), count: 0 };

  constructor(
    private readonly hv: HypervisorMemory,
    readonly device: BlockDevice,
    private readonly done: Done,
  ) {}

  /**
   * It is as if it had crashed: what it has under way will end, and nobody hears of it. `drained` is called when the last of it has
   * ended: the device does nothing for it any more.
   */
  kill(drained: () => void): void {
    this.killed = drained;
    if (this.inFlight === 0) drained();
  }

  /** Hands a checked request, with those that are together with it, to the device. */
  start(slot: Slot): void {
    const { i32, f64 } = this.hv;
    const word = slotWord(slot);
    if (i32[word + SLOT.status] < 0) {
      // A malformed one: answers keep the order of the queue, and there is one path for all.
      this.done(slot, i32[word + SLOT.status]);
      return;
    }
    this.inFlight++;
    const done = this.completion(slot);
    const operation = i32[word + SLOT.operation];
    const offset = f64[(word + SLOT.offset) / 2];
    if (operation === BLKIF_OP_FLUSH_DISKCACHE) this.device.flush(done);
    else if (operation === BLKIF_OP_DISCARD) this.device.discard(offset, f64[(word + SLOT.extent) / 2], done);
    else this.device.transfer(operation === BLKIF_OP_READ, this.gather(slot), offset, done);
  }

  /** Where in the guest's memory the operation takes place. Valid until the next call. */
  private gather(first: Slot): Pieces {
    const { i32 } = this.hv;
    const { pieces } = this;
    let count = 0;
    for (let slot = first; slot !== NO_SLOT; slot = i32[slotWord(slot) + SLOT.together]) {
      const segments = i32[slotWord(slot) + SLOT.segments];
      for (let s = 0, at = segmentsWord(this.hv, slot); s < segments; s++, at += SEGMENT_WORDS) {
        pieces.address[count] = i32[at + 1] >>> 0;
        pieces.bytes[count++] = i32[at + 2];
      }
    }
    pieces.count = count;
    return pieces;
  }

  private completion(slot: Slot): Completion {
    this.completions[slot] ??= (result) => this.ended(slot, result);
    return this.completions[slot];
  }

  /** Each of the slots gets its part of what the device said: an error is everyone's, a short transfer theirs who are behind it. */
  private ended(first: Slot, result: number): void {
    const { i32 } = this.hv;
    this.inFlight--;
    if (this.killed !== undefined) {
      if (this.inFlight === 0) this.killed();
      return;
    }
    let left = result;
    for (let slot = first, next = NO_SLOT; slot !== NO_SLOT; slot = next) {
      const word = slotWord(slot);
      next = i32[word + SLOT.together]; // the slot is another's once it is done
      const bytes = i32[word + SLOT.bytes];
      const status = result < 0 ? result : left < bytes ? -PARA_EIO : 0;
      left -= bytes;
      this.done(slot, status);
    }
  }
}
