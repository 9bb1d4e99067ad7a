/** Aligned buffers for O_DIRECT requests whose own memory is not aligned. Kept by size for the next such request. */
import { type Libc, NativeMemory } from './libc.js';

const SMALLEST = 4096;

export class BouncePool {
  readonly #free = new Map<number, NativeMemory[]>();

  constructor(private readonly c: Libc) {}

  /** A page-aligned buffer of at least `bytes`. */
  take(bytes: number): NativeMemory {
    const size = roundUp(bytes);
    return this.#free.get(size)?.pop() ?? new NativeMemory(this.c, size);
  }

  give(memory: NativeMemory): void {
    const list = this.#free.get(memory.bytes);
    if (list === undefined) this.#free.set(memory.bytes, [memory]);
    else list.push(memory);
  }

  dispose(): void {
    for (const list of this.#free.values()) for (const memory of list) memory.free();
    this.#free.clear();
  }
}

function roundUp(bytes: number): number {
  let size = SMALLEST;
  while (size < bytes) size *= 2;
  return size;
}
