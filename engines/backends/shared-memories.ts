/** The shared memories registered with one IoContext, and the one check of a range inside them. */
import type { MemoryId } from './io.js';

/** A memory whose bytes the kernel or another thread may be handed. */
export class SharedMemories {
  readonly #memories: (WebAssembly.Memory | undefined)[] = [];
  readonly #addresses: number[] = [];
  readonly #sizes: number[] = [];

  /** addressOf: where the first byte of a view lies; 0 when nobody needs addresses (worker threads). */
  constructor(private readonly addressOf: (view: Uint8Array) => number) {}

  add(memory: WebAssembly.Memory): MemoryId {
    if (!(memory.buffer instanceof SharedArrayBuffer)) throw new TypeError('an I/O memory must be a shared memory');
    const known = this.#memories.indexOf(memory);
    if (known >= 0) return known;
    this.#memories.push(memory);
    // A shared memory never moves: V8 reserves its maximum when it is made.
    this.#addresses.push(this.addressOf(new Uint8Array(memory.buffer)));
    this.#sizes.push(memory.buffer.byteLength);
    return this.#memories.length - 1;
  }

  /** Its number is not used again: who still has it finds nothing there. */
  remove(id: MemoryId): void {
    this.#memories[id] = undefined;
    this.#sizes[id] = -1;
  }

  /**
   * Host address of `bytes` bytes at `offset`. The caller has checked the guest's numbers already; this keeps a mistake
   * there from reaching the host's memory, so it throws. NaN and fractions end outside.
   */
  locate(id: MemoryId, offset: number, bytes: number): number {
    if (!inside(offset, bytes, this.#sizes[id])) this.#checkGrown(id, offset, bytes);
    return this.#addresses[id] + offset;
  }

  #checkGrown(id: MemoryId, offset: number, bytes: number): void {
    const memory = this.#memories[id];
    if (memory === undefined) throw new RangeError(`I/O memory ${id} was never registered`);
    this.#sizes[id] = memory.buffer.byteLength;
    if (inside(offset, bytes, this.#sizes[id])) return;
    throw new RangeError(`I/O of ${bytes} bytes at ${offset} lies outside memory ${id} of ${this.#sizes[id]} bytes`);
  }
}

/** False for an unknown size (undefined compares false) as for NaN, fractions and overflow. */
function inside(offset: number, bytes: number, size: number): boolean {
  return offset >= 0 && bytes >= 0 && offset + bytes <= size && Number.isInteger(offset) && Number.isInteger(bytes);
}
