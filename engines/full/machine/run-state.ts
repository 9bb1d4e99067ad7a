/** Whether the machine runs, how it ended, and whether its main thread has something to look at: a few shared words. */

import type { StateSlice } from '../devices/device.js';
import type { GuestEnd } from '../devices/finisher.js';

const ARRIVED = 0;
const END_KIND = 1;
const END_CODE = 2;
const MAIN_CALLED = 3;

const KINDS = ['none', 'poweroff', 'reset'] as const;

export class RunState {
  readonly #words: Int32Array;

  constructor(state: StateSlice) {
    this.#words = state.i32;
  }

  /** Each hart's thread, after its hart's reset: one that ran earlier could send interrupts that a reset then takes away. */
  startTogether(harts: number): void {
    if (Atomics.add(this.#words, ARRIVED, 1) + 1 === harts) Atomics.notify(this.#words, ARRIVED);
    for (;;) {
      const arrived = Atomics.load(this.#words, ARRIVED);
      if (arrived >= harts) return;
      Atomics.wait(this.#words, ARRIVED, arrived);
    }
  }

  /** Harts whose threads have got so far. */
  get arrived(): number {
    return Atomics.load(this.#words, ARRIVED);
  }

  /** The guest ended its machine. True for the first to say so: only that one counts. */
  end(how: GuestEnd): boolean {
    const kind = KINDS.indexOf(how.kind);
    if (Atomics.compareExchange(this.#words, END_KIND, 0, kind) !== 0) return false;
    Atomics.store(this.#words, END_CODE, how.kind === 'poweroff' ? how.code : 0);
    return true;
  }

  get ended(): GuestEnd | undefined {
    const kind = KINDS[Atomics.load(this.#words, END_KIND)];
    if (kind === 'reset') return { kind };
    return kind === 'poweroff' ? { kind, code: Atomics.load(this.#words, END_CODE) } : undefined;
  }

  /** True when the main thread must be sent a message: it has not been called since it last looked. */
  callMain(): boolean {
    return Atomics.exchange(this.#words, MAIN_CALLED, 1) === 0;
  }

  /** By the main thread, before it looks. */
  mainLooks(): void {
    Atomics.store(this.#words, MAIN_CALLED, 0);
  }
}
