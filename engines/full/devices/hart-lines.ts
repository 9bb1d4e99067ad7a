/** What interrupt controllers drive: the interrupt lines of all harts. */

export interface InterruptLines {
  /**
   * Sets the level of the lines in `bits` (IRQ.… of cpu/layout.ts, as in mip) of a hart and wakes it when that matters.
   * Idempotent, callable from any thread and under any lock.
   */
  set(hart: number, bits: number, level: boolean): void;
  /** Another deadline counts for the hart's timer: when it sleeps, it must look again. */
  timerChanged(hart: number): void;
}
