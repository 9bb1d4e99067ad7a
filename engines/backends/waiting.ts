/**
 * How a context waits, whatever does its I/O: nothing to wait for, then polling as the waiting policy says, then sleep.
 * The sleep is announced in the kick slot first (kick.ts), so that no kick is lost.
 */
import { nowNs } from './clock.js';
import type { WaitingPolicy } from './io.js';
import type { KickSlot, SleepsOn } from './kick.js';

/** Longest uninterrupted sleep: Worker.terminate() is noticed only between system calls. Kick a thread before you end it. */
const SLICE_NS = 250e6;
/** Looks between two readings of the clock while polling. */
const LOOKS = 16;

/** What a method does while its thread waits. */
export interface Sleeper {
  submit(): void;
  poll(): number;
  /** False: poll() would find nothing. Cheap, a few nanoseconds where that can be. */
  mayHaveCompletions(): boolean;
  /** What ends sleep() when a kick comes; asked before each sleep. */
  sleepsOn(): SleepsOn;
  /** Submits, then sleeps until a completion, a kick or the timeout. May return early. */
  sleep(timeoutNs: number, how: SleepsOn): void;
}

export class Waiter {
  /** wait() is running. */
  waiting = false;
  readonly #pollNs: number;

  constructor(
    private readonly sleeper: Sleeper,
    private readonly kicks: KickSlot,
    private readonly counters: { waits: number; kicksReceived: number; sleptNs: number },
    policy: WaitingPolicy,
  ) {
    this.#pollNs = policy.pollUs * 1000;
  }

  /** IoContext.wait(). */
  wait(timeoutNs: number): void {
    this.counters.waits++;
    this.waiting = true;
    this.#wait(timeoutNs);
    this.waiting = false;
  }

  #wait(timeoutNs: number): void {
    if (this.#settled(timeoutNs)) return;
    const end = timeoutNs === Number.POSITIVE_INFINITY ? timeoutNs : nowNs() + timeoutNs;
    if (this.#pollNs > 0 && this.#idle(() => this.#spin(end))) return;
    this.#sleep(end);
  }

  /** True when there is nothing to wait for: a completion or a kick is already here, or there is no time. */
  #settled(timeoutNs: number): boolean {
    const delivered = this.sleeper.poll();
    if (!this.#takeKick() && delivered === 0 && timeoutNs > 0) return false;
    this.sleeper.submit();
    if (delivered === 0) this.sleeper.poll();
    return true;
  }

  /** The polling part of the policy. True when the wait is over. */
  #spin(end: number): boolean {
    this.sleeper.submit();
    const until = Math.min(end, nowNs() + this.#pollNs);
    do {
      for (let i = 0; i < LOOKS; i++) {
        if (this.sleeper.mayHaveCompletions() && this.sleeper.poll() > 0) return true;
        if (this.#takeKick()) return true;
      }
    } while (nowNs() < until);
    return until === end;
  }

  #sleep(end: number): void {
    for (let left = leftUntil(end); left > 0; left = leftUntil(end)) {
      const how = this.sleeper.sleepsOn();
      if (!this.kicks.fallAsleep(how)) {
        this.counters.kicksReceived++;
        this.sleeper.submit();
        this.sleeper.poll();
        return;
      }
      this.#idle(() => this.sleeper.sleep(Math.min(left, SLICE_NS), how));
      const kicked = this.kicks.wakeUp();
      if (kicked) this.counters.kicksReceived++;
      if (this.sleeper.poll() > 0 || kicked) return;
    }
    this.sleeper.submit();
  }

  #idle<T>(wait: () => T): T {
    const before = nowNs();
    const result = wait();
    this.counters.sleptNs += nowNs() - before;
    return result;
  }

  #takeKick(): boolean {
    const kicked = this.kicks.takeKick();
    if (kicked) this.counters.kicksReceived++;
    return kicked;
  }
}

/** The clock is not read for a wait without a timeout. */
const leftUntil = (end: number): number => (end === Number.POSITIVE_INFINITY ? end : end - nowNs());
