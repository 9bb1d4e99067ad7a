/**
 * The end of test programs: they write to a word in RAM that the ELF symbol `tohost` names (Berkeley's host-target
 * interface). Only what ends a program is served: device 0, command 0, an odd payload: exit status times 2, plus 1.
 */
import type { GuestEnd } from '../devices/finisher.js';

export class Htif {
  readonly #words: Int32Array;
  readonly #index: number;

  /** offset: of the word within the memory; the loader has checked that it lies in RAM. */
  constructor(
    memory: WebAssembly.Memory,
    offset: number,
    private readonly end: (how: GuestEnd) => void,
  ) {
    this.#words = new Int32Array(memory.buffer);
    this.#index = offset / 4;
  }

  /** Between slices. */
  poll(): void {
    const low = this.#words[this.#index];
    if ((low & 1) === 0) return;
    const high = this.#words[this.#index + 1];
    if (high >>> 16 === 0) this.end({ kind: 'poweroff', code: low >>> 1 });
  }
}
