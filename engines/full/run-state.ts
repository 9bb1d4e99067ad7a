/** Whether the machine runs, how it ended, and whether its main thread has something to look at: a few shared words. */

import type { StateSlice } from './devices/device.js';
import type { GuestEnd } from './devices/finisher.js';

const RUNNING = 0;
const END_KIND = 1;
const END_CODE = 2;
const MAIN_CALLED = 3;

const KINDS = ['none', 'poweroff', 'reset'] as const;

export class RunState {
  readonly #words: Int32Array;

  constructor(state: StateSlice) {
    this.#words = state.i32;
  }

  /** The devices are in their power-on state: harts may run. */
  release(): void {
    Atomics.store(this.#words, RUNNING, 1);
    Atomics.notify(this.#words, RUNNING);
  }

  /** Sleeps until release(). */
  awaitRelease(): void {
    while (Atomics.load(this.#words, RUNNING) === 0) Atomics.wait(this.#words, RUNNING, 0);
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
