/**
 * Real-time clock: Google's Goldfish RTC, as in QEMU's `virt`. Time of day in nanoseconds since 1970 as two words; the
 * alarm's registers keep what is written, and never ring.
 */
import { type AccessSize, type Device, Lock, type Resettable, type StateSlice } from './device.js';

const TIME_LOW = 0x00;
const TIME_HIGH = 0x04;
const ALARM_LOW = 0x08;
const ALARM_HIGH = 0x0c;

/* Words of the state. */
const LOCK = 0;
const LATCHED_HIGH = 16;
const ALARM = 17; // two words
export const RTC_STATE_BYTES = 80;

export class Rtc implements Device, Resettable {
  readonly name = 'rtc';
  readonly #words: Int32Array;
  readonly #lock: Lock;

  /** now: nanoseconds since 1970. */
  constructor(
    state: StateSlice,
    private readonly now: () => bigint,
  ) {
    this.#words = state.i32;
    this.#lock = new Lock(state.i32, LOCK);
  }

  reset(): void {
    this.#words.fill(0);
  }

  counters(): Record<string, number> {
    return {};
  }

  /** Reading the low word latches the high one, so that the two belong together. */
  read(offset: number, size: AccessSize): number {
    if (size !== 4) return 0;
    const words = this.#words;
    if (offset === TIME_LOW) return this.#latch();
    if (offset === TIME_HIGH) return words[LATCHED_HIGH] >>> 0;
    if (offset === ALARM_LOW || offset === ALARM_HIGH) return words[ALARM + ((offset >> 2) & 1)] >>> 0;
    return 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size === 4 && (offset === ALARM_LOW || offset === ALARM_HIGH)) this.#words[ALARM + ((offset >> 2) & 1)] = value;
  }

  #latch(): number {
    const now = this.now();
    this.#lock.acquire();
    this.#words[LATCHED_HIGH] = Number(now >> 32n) | 0;
    this.#lock.release();
    return Number(now & 0xffff_ffffn);
  }
}
