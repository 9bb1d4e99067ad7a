/** Interrupt lines of all harts as one thread drives them: levels in shared memory, and a kick for harts that may sleep. */
import type { Kicker } from '../../backends/io.js';
import { HartLines } from '../cpu/lines.js';
import type { InterruptLines } from '../devices/hart-lines.js';
import type { StateLayout } from './shared-state.js';
import type { Tracer } from './trace.js';

export class SharedLines implements InterruptLines {
  /** A line of the thread's own hart rose since the thread last cleared this: it must not go to sleep on a WFI. */
  ownRaised = false;
  kicks = 0;
  /** Harts whose kick is still owed, a bit each. */
  #owed = 0;
  readonly #harts: HartLines[];

  /** self: the hart that this thread executes, -1 for the main thread. */
  constructor(
    memory: WebAssembly.Memory,
    layout: StateLayout,
    private readonly self: number,
    private readonly kicker: Kicker,
    private readonly tracer?: Tracer,
  ) {
    this.#harts = Array.from({ length: layout.harts }, (_, hart) => new HartLines(memory, layout.hartBase(hart)));
  }

  set(hart: number, bits: number, level: boolean): void {
    const lines = this.#harts[hart];
    const now = lines.get() & bits;
    if (!level) {
      if (now === 0) return;
      this.tracer?.line(hart, bits, false);
      lines.lower(bits);
    } else if (now !== bits) {
      this.tracer?.line(hart, bits, true);
      lines.raise(bits);
      this.#wake(hart);
    }
  }

  /**
   * Wakes the harts whose lines rose on this thread, which must call this once it holds no device's lock, and before it sleeps:
   * a kick is a system call, and who is woken by it often runs at once and wants that very lock (os/ipi: 22 µs of processor time, 12 without).
   */
  settle(): void {
    if (this.#owed !== 0) this.#kickOwed();
  }

  timerChanged(hart: number): void {
    if (hart !== this.self) this.#wake(hart);
  }

  /** Makes every hart's run() return Stopped, and ends its sleep. */
  stopAll(): void {
    for (const [hart, lines] of this.#harts.entries()) {
      lines.stop();
      this.kicker.kick(hart);
    }
  }

  #wake(hart: number): void {
    if (hart === this.self) {
      this.ownRaised = true;
      return;
    }
    this.kicks++;
    if (this.self < 0) this.kicker.kick(hart);
    else this.#owed |= 1 << hart;
  }

  #kickOwed(): void {
    let owed = this.#owed;
    this.#owed = 0;
    for (; owed !== 0; owed &= owed - 1) this.kicker.kick(31 - Math.clz32(owed & -owed));
  }
}
