/**
 * Timers of one thread, all on one timerfd(2) that its IoContext watches: a thread that sleeps in wait() is woken by it as
 * by any other I/O. A deadline that is moved back costs no system call: the timer fires at the old one and looks again.
 */
import { nowNs } from './clock.js';
import { HostError } from './host-error.js';
import type { HandleId, IoContext } from './io.js';
import { CLOCK_MONOTONIC, type Libc, NativeMemory } from './libc.js';
import { POLLIN } from './uring-abi.js';

const TFD_CLOEXEC_NONBLOCK = 0o2004000;
const NEVER = Number.POSITIVE_INFINITY;
/** Timers that are due this soon run as well: one wake-up instead of two. */
const SLACK_NS = 50e3;
const READ_AT = 64;

export class Timer {
  /** nowNs() at which it is due; Infinity: not set. */
  deadline = NEVER;

  constructor(readonly run: (now: number) => void) {}
}

export class Timers {
  readonly #all = new Set<Timer>();
  #handle: HandleId | undefined;
  #memory: NativeMemory | undefined;
  #fd = -1;
  #watch = -1;
  #armedFor = NEVER;

  constructor(
    private readonly c: Libc,
    private readonly io: IoContext,
  ) {}

  /** Sets or moves a timer; Infinity takes it away. */
  set(timer: Timer, deadline: number): void {
    timer.deadline = deadline;
    if (deadline === NEVER) {
      this.#all.delete(timer);
      return;
    }
    this.#all.add(timer);
    if (deadline < this.#armedFor) this.#arm(deadline);
  }

  dispose(): void {
    this.#all.clear();
    if (this.#handle === undefined) return;
    this.io.unwatch(this.#watch);
    this.io.close(this.#handle);
    this.#memory?.free();
    this.#handle = undefined;
  }

  #arm(deadline: number): void {
    const memory = this.#open();
    const ns = Math.max(1, deadline - nowNs());
    const seconds = Math.floor(ns / 1e9);
    const words = new Uint32Array(memory.buffer, 0, 8);
    words[4] = seconds;
    words[6] = ns - seconds * 1e9;
    this.c.timerfdSettime(this.#fd, memory.address);
    this.#armedFor = deadline;
  }

  #open(): NativeMemory {
    if (this.#memory !== undefined && this.#handle !== undefined) return this.#memory;
    this.#fd = this.c.timerfdCreate(CLOCK_MONOTONIC, TFD_CLOEXEC_NONBLOCK);
    if (this.#fd < 0) throw new HostError('no timer to be had', -this.#fd);
    this.#handle = this.io.adopt(this.#fd);
    this.#memory = new NativeMemory(this.c, 4096);
    this.#listen();
    return this.#memory;
  }

  #listen(): void {
    this.#watch = this.io.watch(this.#fd, POLLIN, () => this.#fire());
  }

  #fire(): void {
    if (this.#memory === undefined) return;
    this.c.read(this.#fd, this.#memory.address + READ_AT, 8);
    this.#armedFor = NEVER;
    const now = nowNs();
    for (const timer of [...this.#all]) {
      if (timer.deadline > now + SLACK_NS) continue;
      this.#all.delete(timer);
      timer.deadline = NEVER;
      timer.run(now);
    }
    if (this.#handle === undefined) return; // one of them has disposed of us
    let next = NEVER;
    for (const timer of this.#all) next = Math.min(next, timer.deadline);
    if (next < this.#armedFor) this.#arm(next);
    this.#listen();
  }
}
