/** The harness's own time, injected so that tests can turn it: durations, time left, what is saved as a date. */
export interface Clock {
  /** Monotonic, nanoseconds. */
  nowNs(): bigint;
  /** Wall clock. */
  date(): Date;
}

export const hostClock: Clock = { nowNs: () => process.hrtime.bigint(), date: () => new Date() };
