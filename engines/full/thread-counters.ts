/** What each hart's thread counts outside of shared device state: bus accesses by window, waits, kicks, I/O calls. */
import type { StateSlice } from './devices/device.js';

/** Windows of the bus that are counted, reads and writes. */
const WINDOWS = 16;

/** Places of the numbers behind the windows'. */
const OWN = ['wfi_waits', 'pauses', 'slices', 'kicks_sent'] as const;
const IO = ['submitted', 'completed', 'syscalls', 'waits', 'kicksReceived', 'bounced'] as const;
export type OwnCounter = (typeof OWN)[number];
export type IoCounters = Readonly<Record<(typeof IO)[number], number>>;

const ROW = 2 * WINDOWS + 16;
export const THREAD_COUNTERS_BYTES = ROW * 8;

export class ThreadCounters {
  readonly #all: Float64Array;
  readonly #own: Float64Array;
  /** For this thread's Bus. */
  readonly bus: Float64Array;

  constructor(
    state: StateSlice,
    private readonly harts: number,
    hart: number,
  ) {
    this.#all = new Float64Array(state.buffer, state.offset, harts * ROW);
    this.bus = this.#all.subarray(hart * ROW, hart * ROW + 2 * WINDOWS);
    this.#own = this.#all.subarray(hart * ROW + 2 * WINDOWS, (hart + 1) * ROW);
  }

  count(name: OwnCounter): void {
    this.#own[OWN.indexOf(name)]++;
  }

  /** Makes what this thread counts elsewhere visible to the others. */
  publish(io: IoCounters, kicksSent: number): void {
    this.#own[OWN.indexOf('kicks_sent')] = kicksSent;
    for (let i = 0; i < IO.length; i++) this.#own[OWN.length + i] = io[IO[i]];
  }

  /** Sums over all threads; `windows` names the bus's windows in order. Always the same names in the same order. */
  totals(windows: readonly string[]): Record<string, number> {
    const sums: Record<string, number> = {};
    windows.forEach((name, index) => {
      sums[`mmio.${name}.reads`] = this.#sum(2 * index);
      sums[`mmio.${name}.writes`] = this.#sum(2 * index + 1);
    });
    [...OWN, ...IO.map((name) => `io.${name}`)].forEach((name, index) => {
      sums[name] = this.#sum(2 * WINDOWS + index);
    });
    return sums;
  }

  #sum(index: number): number {
    let sum = 0;
    for (let hart = 0; hart < this.harts; hart++) sum += this.#all[hart * ROW + index];
    return sum;
  }
}
