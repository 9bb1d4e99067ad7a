/** What each hart's thread counts outside of shared device state: bus accesses by window, exits, time, kicks, I/O calls. */
import type { StateSlice } from '../devices/device.js';

/** Windows of the bus that are counted, reads and writes. */
const WINDOWS = 16;

/** Places of the numbers behind the windows'. */
const OWN = [
  'exits.slice_end',
  'exits.wfi',
  'exits.pause',
  'sleeps',
  'kicks_sent',
  'time.translated_ns',
  'time.interpreter_ns',
  'time.devices_ns',
  'time.idle_ns',
] as const;
const IO = ['submitted', 'completed', 'syscalls', 'waits', 'kicksReceived', 'bounced'] as const;
export type OwnCounter = (typeof OWN)[number];
/** Where a counter is. */
const PLACE = Object.fromEntries(OWN.map((name, place) => [name, place])) as Readonly<Record<OwnCounter, number>>;
/** Values that a thread keeps for itself; times in nanoseconds. */
export interface OwnValues {
  readonly kicks: number;
  readonly translated: number;
  readonly interpreter: number;
  readonly devices: number;
  readonly idle: number;
}
export type IoCounters = Readonly<Record<(typeof IO)[number], number>>;

const IO_NAMES: Readonly<Record<(typeof IO)[number], string>> = {
  submitted: 'submitted',
  completed: 'completed',
  syscalls: 'syscalls',
  waits: 'waits',
  kicksReceived: 'kicks_received',
  bounced: 'bounced',
};

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
    this.#own[PLACE[name]]++;
  }

  /** Makes what this thread counts elsewhere visible to the others. Before each sleep, hence without loops over names. */
  publish(io: IoCounters, { kicks, translated, interpreter, devices, idle }: OwnValues): void {
    const own = this.#own;
    own[PLACE.kicks_sent] = kicks;
    own[PLACE['time.translated_ns']] = translated;
    own[PLACE['time.interpreter_ns']] = interpreter;
    own[PLACE['time.devices_ns']] = devices;
    own[PLACE['time.idle_ns']] = idle;
    own[OWN.length] = io.submitted;
    own[OWN.length + 1] = io.completed;
    own[OWN.length + 2] = io.syscalls;
    own[OWN.length + 3] = io.waits;
    own[OWN.length + 4] = io.kicksReceived;
    own[OWN.length + 5] = io.bounced;
  }

  /** Sums over all threads; `windows` names the bus's windows in order. Always the same names in the same order. */
  totals(windows: readonly string[]): Record<string, number> {
    const sums: Record<string, number> = {};
    windows.forEach((name, index) => {
      sums[`mmio.${name}.reads`] = this.#sum(2 * index);
      sums[`mmio.${name}.writes`] = this.#sum(2 * index + 1);
    });
    [...OWN, ...IO.map((name) => `io.${IO_NAMES[name]}`)].forEach((name, index) => {
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
