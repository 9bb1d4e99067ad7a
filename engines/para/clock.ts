/**
 * The clock that guests see and that stamps doorbells: CLOCK_MONOTONIC in whole nanoseconds, as a float, exact for 104 days of
 * uptime. Not backends/clock.ts: that is calibrated per thread, and vCPUs on different threads must never see time go back.
 */
export function clockNs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e9 + nanoseconds;
}
