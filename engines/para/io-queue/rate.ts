/**
 * Caps: at most so many operations and bytes a second, as the generic cell rate algorithm of ATM does it (ITU-T I.371, annex A, virtual
 * scheduling): each operation moves its record's theoretical arrival time on by 1/rate, and one may start when that is at most
 * TOLERANCE ahead. Two numbers a cap, no timer that fills buckets; who wakes late by less than the tolerance has lost nothing.
 */
import { REC } from './records.js';

/**
 * So much of a cap's work may start at once after a pause, ns. Small against any interval over which a cap is looked at (in 250 ms it
 * is 1.6 %), large against the lateness of a sleep's end.
 */
export const TOLERANCE_NS = 4e6;
/**
 * The same for the cap of a whole device: what flows share by weight must be no more at once than each of them can have waiting (a ring
 * holds 64 frames), or the lighter ones get what the heavier cannot take.
 */
export const DEVICE_TOLERANCE_NS = 2e6;
/** Sleepers come so much of the tolerance later than they could, so that one wake-up starts several requests. */
export const BATCH = 0.25;

/** When the record's caps let the next request start, ns; 0: at any time. `at`: index of the record in f64. */
export function capDue(f64: Float64Array, at: number, tolerance: number): number {
  let due = 0;
  if (f64[at + REC.opsPerSecond] > 0) due = f64[at + REC.opsNext] - tolerance;
  if (f64[at + REC.bytesPerSecond] > 0) due = Math.max(due, f64[at + REC.bytesNext] - tolerance);
  return due;
}

/** So much has started. Also corrects an estimate, with negative numbers. */
export function chargeCaps(f64: Float64Array, at: number, now: number, ops: number, bytes: number): void {
  const opsRate = f64[at + REC.opsPerSecond];
  const bytesRate = f64[at + REC.bytesPerSecond];
  if (opsRate > 0) f64[at + REC.opsNext] = Math.max(f64[at + REC.opsNext], now) + (ops * 1e9) / opsRate;
  if (bytesRate > 0) f64[at + REC.bytesNext] = Math.max(f64[at + REC.bytesNext], now) + (bytes * 1e9) / bytesRate;
}
