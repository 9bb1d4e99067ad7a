/**
 * One chain of descriptors, read from guest memory: the device-readable pieces, then the device-writable ones (virtio 1.2,
 * 2.7.5 to 2.7.7). A descriptor is read once; what stands here has been checked and lies in RAM. Neighbours in memory are one
 * piece, since a device must not rely on how a driver cuts its buffers (2.7.4.2).
 *
 * An instance is scratch space of a thread, filled anew for each chain.
 */
import { BUS_ERROR, type GuestRam, guestAddress } from '../device.js';
import { DESCRIPTOR, DESCRIPTOR_BYTES } from './spec.js';

/** Descriptors of one chain. A driver's own limit is the queue's size (2.7.5.3.1), which is smaller. */
const DESCRIPTORS_MAX = 1024;
const WORD = 4_294_967_296;

export class Chain {
  /** Byte offset in the shared memory (as GuestRam.offsetOf), and length, of each piece. */
  readonly offset = new Uint32Array(DESCRIPTORS_MAX);
  readonly length = new Uint32Array(DESCRIPTORS_MAX);
  /** Pieces in all, and how many of them, the first ones, the device may only read. */
  count = 0;
  readable = 0;
  readableBytes = 0;
  writableBytes = 0;
  /** The whole shared memory, as bytes and as words of any alignment. */
  readonly all: Uint8Array;
  readonly view: DataView;

  constructor(readonly ram: GuestRam) {
    this.all = new Uint8Array(ram.buffer);
    this.view = new DataView(ram.buffer);
  }

  /**
   * Follows the chain from descriptor `head` of the table of `size` at byte `table` of the shared memory. False when the
   * specification does not allow it (a loop, a piece outside RAM, a table in a table, readable after writable).
   * indirect: INDIRECT_DESC was negotiated.
   */
  walk(table: number, size: number, head: number, indirect: boolean): boolean {
    const { view } = this;
    this.count = this.readable = this.readableBytes = this.writableBytes = 0;
    let entries = size;
    let left = Math.min(size, DESCRIPTORS_MAX);
    let inTable = false;
    let at = table;
    for (let next = head; next < entries && left > 0; left--) {
      const d = at + next * DESCRIPTOR_BYTES;
      const address = view.getUint32(d, true) + view.getUint32(d + 4, true) * WORD;
      const bytes = view.getUint32(d + 8, true);
      const word = view.getUint32(d + 12, true);
      if (word & DESCRIPTOR.INDIRECT) {
        if (inTable || !indirect || word & DESCRIPTOR.NEXT || bytes === 0 || bytes % DESCRIPTOR_BYTES) return false;
        at = this.ram.offsetOf(guestAddress(address), bytes);
        if (at === BUS_ERROR) return false;
        inTable = true;
        entries = bytes / DESCRIPTOR_BYTES;
        left = Math.min(entries, DESCRIPTORS_MAX - this.count) + 1;
        next = 0;
        continue;
      }
      if (!this.#add(address, bytes, (word & DESCRIPTOR.WRITE) !== 0)) return false;
      if (!(word & DESCRIPTOR.NEXT)) return true;
      next = word >>> 16;
    }
    return false;
  }

  /** Byte offset in the shared memory of the last device-writable byte; there must be one. */
  get lastWritable(): number {
    return this.offset[this.count - 1] + this.length[this.count - 1] - 1;
  }

  /** Copies device-readable bytes, from the `from`-th on, into `target`: as many as there are, at most all of it. */
  copyOut(from: number, target: Uint8Array): number {
    let skip = from;
    let done = 0;
    for (let i = 0; i < this.readable && done < target.length; i++) {
      const bytes = Math.min(this.length[i] - skip, target.length - done);
      if (bytes > 0) {
        const at = this.offset[i] + skip;
        target.set(this.all.subarray(at, at + bytes), done);
        done += bytes;
      }
      skip = Math.max(0, skip - this.length[i]);
    }
    return done;
  }

  /** Copies `source` to the device-writable bytes from the `from`-th on: as much as there is room for. */
  copyIn(from: number, source: Uint8Array): number {
    let skip = from;
    let done = 0;
    for (let i = this.readable; i < this.count && done < source.length; i++) {
      const bytes = Math.min(this.length[i] - skip, source.length - done);
      if (bytes > 0) {
        const part = done === 0 && bytes === source.length ? source : source.subarray(done, done + bytes);
        this.all.set(part, this.offset[i] + skip);
        done += bytes;
      }
      skip = Math.max(0, skip - this.length[i]);
    }
    return done;
  }

  #add(address: number, bytes: number, writable: boolean): boolean {
    if (!writable && this.count > this.readable) return false;
    if (bytes === 0) return true; // legal, if pointless
    const at = this.ram.offsetOf(guestAddress(address), bytes);
    if (at === BUS_ERROR) return false;
    const last = this.count - 1;
    const joins = last >= (writable ? this.readable : 0) && this.offset[last] + this.length[last] === at;
    if (joins) this.length[last] += bytes;
    else {
      this.offset[this.count] = at;
      this.length[this.count] = bytes;
      this.count++;
    }
    if (writable) this.writableBytes += bytes;
    else {
      this.readable = this.count;
      this.readableBytes += bytes;
    }
    return true;
  }
}
