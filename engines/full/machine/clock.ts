/** The machine's one clock: mtime, 10 MHz, counted by the host's CLOCK_MONOTONIC from the moment of reset. */
import { TIMEBASE_HZ } from '../memory-map.js';

const NS_PER_TICK = 1e9 / TIMEBASE_HZ;

/** Kept: `process` is an accessor of the global object, and asking that takes a fifth as long as the clock. */
const { hrtime } = process;

/** Ticks since reset, a whole number. Every thread has one; all show the same time. */
export class Clock {
  readonly #seconds: number;
  readonly #nanoseconds: number;

  /** `zero`: process.hrtime() at reset. */
  constructor(zero: [number, number]) {
    this.#seconds = zero[0];
    this.#nanoseconds = zero[1];
  }

  /** process.hrtime() and not the bigint one: rdtime comes here, and this takes half the time. */
  now(): number {
    const [seconds, nanoseconds] = hrtime();
    return Math.floor(((seconds - this.#seconds) * 1e9 + (nanoseconds - this.#nanoseconds)) / NS_PER_TICK);
  }

  /** Nanoseconds from now until the tick; 0 when it has passed. At most a day, so that the number stays one for a timer. */
  nsUntil(tick: number): number {
    const ns = (tick - this.now()) * NS_PER_TICK;
    return ns > 0 ? Math.min(ns, 86_400e9) : 0;
  }
}
