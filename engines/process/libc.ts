/**
 * What supervision and spinning threads want of the C library. Optional: where it cannot be had (see backends/libc.ts)
 * the functions say so by their result, and callers fall back.
 */
import { libc, NativeMemory, PR_SET_PDEATHSIG, PR_SET_TIMERSLACK } from '../backends/libc.js';

/** The kernel sends `signal` to this process when the thread that started it ends. False where the host cannot. */
export function setParentDeathSignal(signal: number): boolean {
  return libc()?.prctl(PR_SET_PDEATHSIG, signal, 0) === 0;
}

let timespec: { memory: NativeMemory; words: BigInt64Array } | undefined;

/** A clock of clock_gettime(2) in nanoseconds, or undefined where it cannot be read. */
export function readClock(clock: number): bigint | undefined {
  const c = libc();
  if (c === undefined) return undefined;
  if (timespec === undefined) {
    const memory = new NativeMemory(c, 4096);
    timespec = { memory, words: new BigInt64Array(memory.buffer, 0, 2) };
  }
  if (c.clockGettime(clock, timespec.memory.address) !== 0) return undefined;
  return timespec.words[0] * 1_000_000_000n + timespec.words[1];
}

/** The calling thread's sleeps end when they should, not up to 50 µs later (PR_SET_TIMERSLACK, prctl(2)). */
export function minimizeTimerSlack(): void {
  libc()?.prctl(PR_SET_TIMERSLACK, 1, 0);
}

/** Gives the processor to another runnable thread, if there is one. Does nothing where the host has no such call. */
export function yieldProcessor(): void {
  libc()?.schedYield();
}
