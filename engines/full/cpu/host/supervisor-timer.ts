import { IRQ, OFFSET } from '../layout.js';

const TWO32 = 2 ** 32;
/** menvcfg.STCE, bit 63. */
export const STCE = 1 << 31;

/**
 * The supervisor's timer (Sstc 1.0): while menvcfg.STCE is set, STIP says whether time has reached stimecmp. Over the
 * hart's state in shared memory, by its own thread alone.
 */
export class SupervisorTimer {
  /** at: index of the state's first word. */
  constructor(
    private readonly i32: Int32Array,
    private readonly at: number,
  ) {}

  get enabled(): boolean {
    return (this.word(OFFSET.menvcfg + 4) & STCE) !== 0;
  }

  /**
   * Raises STIP when its time has come. Answers the tick at which to look again: 0 when the line has risen now, Infinity
   * when it was up before or the timer is off.
   */
  check(now: number): number {
    if (!this.enabled) return Number.POSITIVE_INFINITY;
    const compare = this.compare;
    if (compare > now) return compare;
    return this.set(true) ? 0 : Number.POSITIVE_INFINITY;
  }

  /** After a write to stimecmp or menvcfg: STIP as it must be from now on. */
  drive(now: number): void {
    this.set(this.enabled && this.compare <= now);
  }

  private get compare(): number {
    return (this.word(OFFSET.stimecmp) >>> 0) + (this.word(OFFSET.stimecmp + 4) >>> 0) * TWO32;
  }

  private word(offset: number): number {
    return this.i32[this.at + (offset >> 2)];
  }

  /** Whether the line has changed. */
  private set(level: boolean): boolean {
    const lines = this.at + (OFFSET.irqLines >> 2);
    if (!level) return (Atomics.and(this.i32, lines, ~IRQ.STIP) & IRQ.STIP) !== 0;
    if ((Atomics.or(this.i32, lines, IRQ.STIP) & IRQ.STIP) !== 0) return false;
    Atomics.store(this.i32, this.at + (OFFSET.attention >> 2), 1);
    return true;
  }
}
