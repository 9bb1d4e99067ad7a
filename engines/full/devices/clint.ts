/**
 * Core-local interruptor (SiFive's CLINT, as in QEMU's `virt`): msip (one word a hart), mtimecmp (64 bits a hart), mtime.
 * mtime is read-only here: it follows the host's clock. Reserved addresses read 0 and ignore writes.
 *
 * The line MTIP is a comparison with the clock, so it has to be looked at when time has passed: each hart's thread does
 * that for its own hart by checkTimer(), after each slice of instructions and before it sleeps.
 */

import { IRQ } from '../cpu/layout.js';
import type { Clock } from '../machine/clock.js';
import { type AccessSize, type Device, Lock, type Resettable, type StateSlice } from './device.js';
import type { InterruptLines } from './hart-lines.js';

/* Words of the state. */
const LOCK = 0;
const TIMER_WRITES = 16;
const IPIS = 17;
const MSIP = 32;

/* Offsets of the registers. */
const REG_MTIMECMP = 0x4000;
const REG_MTIME = 0xbff8;

const TWO32 = 2 ** 32;

export const clintStateBytes = (harts: number): number => (MSIP + 3 * harts) * 4;

export class Clint implements Device, Resettable {
  readonly name = 'clint';
  readonly #words: Int32Array;
  readonly #lock: Lock;
  readonly #compare: number;
  /** High half that belongs to the low half just read: an 8-byte read arrives as two. -1: none. */
  #latchedHigh = -1;

  constructor(
    state: StateSlice,
    private readonly harts: number,
    private readonly clock: Clock,
    private readonly lines: InterruptLines,
  ) {
    this.#words = state.i32;
    this.#lock = new Lock(state.i32, LOCK);
    this.#compare = MSIP + harts;
  }

  /** The specification leaves mtimecmp open; all ones keeps timers quiet until they are set. */
  reset(): void {
    this.#words.fill(0);
    this.#words.fill(-1, this.#compare, this.#compare + 2 * this.harts);
  }

  counters(): Record<string, number> {
    return { 'clint.timer_writes': this.#words[TIMER_WRITES] >>> 0, 'clint.ipis': this.#words[IPIS] >>> 0 };
  }

  /**
   * Sets the hart's MTIP as the clock demands; answers the tick at which it must be looked at again (Infinity: it is up).
   * now: what the clock has just shown.
   */
  checkTimer(hart: number, now: number): number {
    const compare = this.#timerOf(hart);
    if (compare > now) return compare;
    this.#lock.acquire();
    this.#drive(hart);
    this.#lock.release();
    return Number.POSITIVE_INFINITY;
  }

  read(offset: number, size: AccessSize): number {
    const word = this.#word(offset & ~3);
    return size === 4 ? word : (word >>> ((offset & 3) * 8)) & (size === 2 ? 0xffff : 0xff);
  }

  /** Only whole words can be written: no driver does anything else, and the registers do not promise it. */
  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    const hart = offset < REG_MTIMECMP ? offset >> 2 : (offset - REG_MTIMECMP) >> 3;
    if (hart >= this.harts || offset >= REG_MTIME) return;
    this.#lock.acquire();
    if (offset < REG_MTIMECMP) this.#setSoftware(hart, value & 1);
    else this.#setCompare(hart, (offset >> 2) & 1, value);
    this.#lock.release();
  }

  #word(offset: number): number {
    if (offset >= REG_MTIME) return this.#timeWord(offset);
    if (offset >= REG_MTIMECMP) {
      const index = (offset - REG_MTIMECMP) >> 2;
      return index < 2 * this.harts ? this.#words[this.#compare + index] >>> 0 : 0;
    }
    return offset >> 2 < this.harts ? this.#words[MSIP + (offset >> 2)] : 0;
  }

  #timeWord(offset: number): number {
    if (offset === REG_MTIME) {
      const now = this.clock.now();
      this.#latchedHigh = Math.floor(now / TWO32);
      return now % TWO32;
    }
    if (offset !== REG_MTIME + 4) return 0;
    const high = this.#latchedHigh >= 0 ? this.#latchedHigh : Math.floor(this.clock.now() / TWO32);
    this.#latchedHigh = -1;
    return high;
  }

  #setSoftware(hart: number, level: number): void {
    if (level === 1) this.#words[IPIS]++;
    this.#words[MSIP + hart] = level;
    this.lines.set(hart, IRQ.MSIP, level === 1);
  }

  #setCompare(hart: number, half: number, value: number): void {
    if (half === 0) this.#words[TIMER_WRITES]++;
    this.#words[this.#compare + 2 * hart + half] = value;
    this.#drive(hart);
    this.lines.timerChanged(hart);
  }

  #drive(hart: number): void {
    this.lines.set(hart, IRQ.MTIP, this.#timerOf(hart) <= this.clock.now());
  }

  #timerOf(hart: number): number {
    const at = this.#compare + 2 * hart;
    return (this.#words[at] >>> 0) + (this.#words[at + 1] >>> 0) * TWO32;
  }
}
