/**
 * The one checked way from the hypervisor to a guest's memory. A number that a guest passed becomes a GuestAddress only here, by
 * a check of the whole range; the raw views are used with GuestAddresses and nothing else. Other vCPUs of the guest may change
 * what is there at any moment: whoever reads a field reads it once.
 */
import { PARA_EFAULT, PARA_EINVAL, PARA_FRAME_BYTES } from './abi.js';

/** A byte offset into the guest's linear memory, of a range that was checked. Negative values are errors (-EFAULT, -EINVAL). */
export type GuestAddress = number & { readonly __guest: unique symbol };

export const EFAULT = -PARA_EFAULT as GuestAddress;
export const EINVAL = -PARA_EINVAL as GuestAddress;

const TWO_32 = 2 ** 32;

export class GuestMemory {
  /** Both reach as far as `bytes`. Made anew when memory has grown: never kept across a hypercall. */
  i32: Int32Array;
  u8: Uint8Array;
  /** A whole number of frames; what of the memory this object has seen. */
  bytes: number;

  /** `topFrames`: how many frames the domain's memory has by now (DOM.frames); absent: it never grows. */
  constructor(
    readonly memory: WebAssembly.Memory,
    frames: number,
    private readonly topFrames: () => number = () => frames,
  ) {
    this.bytes = Math.min(frames * PARA_FRAME_BYTES, memory.buffer.byteLength);
    this.i32 = new Int32Array(memory.buffer, 0, this.bytes / 4);
    this.u8 = new Uint8Array(memory.buffer, 0, this.bytes);
  }

  /** Whether addresses up to `end` (exclusive) are the guest's: perhaps memory has grown since it was looked at last. */
  reaches(end: number): boolean {
    return end <= this.bytes || (end <= this.topFrames() * PARA_FRAME_BYTES && end <= this.grown());
  }

  /** A buffer of a shared memory keeps its length, and another thread's growth is seen by growing by nothing. */
  private grown(): number {
    this.memory.grow(0);
    const { buffer } = this.memory;
    this.bytes = Math.min(this.topFrames() * PARA_FRAME_BYTES, buffer.byteLength);
    this.i32 = new Int32Array(buffer, 0, this.bytes / 4);
    this.u8 = new Uint8Array(buffer, 0, this.bytes);
    return this.bytes;
  }

  /** A buffer of any alignment: `address` and `bytes` are what the guest passed (any i32, read as unsigned). */
  buffer(address: number, bytes: number): GuestAddress {
    const start = address >>> 0;
    return this.reaches(start + (bytes >>> 0)) ? (start as GuestAddress) : EFAULT;
  }

  /** A structure: 4-byte aligned. */
  struct(address: number, bytes: number): GuestAddress {
    const start = address >>> 0;
    if ((start & 3) !== 0) return EINVAL;
    return this.reaches(start + bytes) ? (start as GuestAddress) : EFAULT;
  }

  /** A field of a checked structure, 0 .. 2^32 - 1. Read once, from memory, even if called twice in a row. */
  u32(at: GuestAddress, offset: number): number {
    return Atomics.load(this.i32, (at + offset) >> 2) >>> 0;
  }

  /** Low word first; above 2^53 it is rounded. */
  u64(at: GuestAddress, offset: number): number {
    return this.u32(at, offset) + this.u32(at, offset + 4) * TWO_32;
  }

  setU32(at: GuestAddress, offset: number, value: number): void {
    Atomics.store(this.i32, (at + offset) >> 2, value | 0);
  }

  /** value: an integer, 0 .. 2^53. */
  setU64(at: GuestAddress, offset: number, value: number): void {
    this.i32[(at + offset) >> 2] = (value % TWO_32) | 0;
    this.i32[(at + offset + 4) >> 2] = (value / TWO_32) | 0;
  }
}
