import { OFFSET } from './layout.js';

/**
 * What other threads may do to a hart: raise and lower its interrupt lines, stop it.
 * Needs only the shared memory, so any thread can make one for any hart.
 */
export class HartLines {
  private readonly words: Int32Array;
  private readonly lines: number;
  private readonly attention: number;
  private readonly stopFlag: number;
  private readonly compiledFlag: number;

  constructor(memory: WebAssembly.Memory, stateBase: number) {
    this.words = new Int32Array(memory.buffer);
    this.lines = (stateBase + OFFSET.irqLines) >> 2;
    this.attention = (stateBase + OFFSET.attention) >> 2;
    this.compiledFlag = (stateBase + OFFSET.compiled) >> 2;
    this.stopFlag = (stateBase + OFFSET.stop) >> 2;
  }

  /** Raises lines (bits of IRQ) and wakes the hart when one of them was low. */
  raise(mask: number): void {
    if ((Atomics.or(this.words, this.lines, mask) & mask) !== mask) this.wake();
  }

  /** Lowers lines (bits of IRQ). */
  lower(mask: number): void {
    Atomics.and(this.words, this.lines, ~mask);
  }

  /** The lines as they stand. */
  get(): number {
    return Atomics.load(this.words, this.lines);
  }

  /** Makes run() return Stopped, at the latest a few hundred instructions from now. Stays in force until `resume`. */
  stop(): void {
    Atomics.store(this.words, this.stopFlag, 1);
    this.wake();
  }

  /** Takes `stop` back. */
  resume(): void {
    Atomics.store(this.words, this.stopFlag, 0);
  }

  /** Makes a running hart look at its lines. A sleeping one is woken by its IoContext's kick: nobody waits on this word. */
  private wake(): void {
    Atomics.store(this.words, this.attention, 1);
  }

  /** The compiler's answer has been posted to the hart's thread. */
  compiled(): void {
    Atomics.store(this.words, this.compiledFlag, 1);
    Atomics.store(this.words, this.attention, 1);
  }

  /** Something has happened since run() last looked: after HartExit.Wfi the hart must not sleep. */
  get attentive(): boolean {
    return Atomics.load(this.words, this.attention) !== 0;
  }
}
