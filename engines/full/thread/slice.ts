/**
 * How many instructions a hart runs between two looks at its timer and its I/O. A look costs about 0.3 µs, and what it
 * finds may be late by a slice: so slices are held between 40 and 100 µs, whatever the processor executes at.
 */

/** Ticks of mtime (100 ns). */
const SHORT_TICKS = 400;
const LONG_TICKS = 1000;
const FEWEST = 1024;
const MOST = 1 << 20;
const FIRST = 8192;
/**
 * What is executed between waits counts so much less: the thread looks at everything before it waits anyway. Slices of such a guest
 * end for the translator alone, which learns at their ends what is executed.
 */
const WAITING_SHARE = 8;

export class SliceLength {
  /** Instructions of a slice. */
  instructions = FIRST;
  /** Those that the present slice still has: a guest that waits, however often, goes on with it afterwards. */
  left = FIRST;
  #before = 0;
  /** Ticks of the present slice before the guest last waited. */
  #spent = 0;

  /** A slice begins, or goes on after a wait, at a tick of mtime. */
  begins(now: number): void {
    this.#before = now;
  }

  /** The guest waits, with so many instructions of the slice left. */
  waits(now: number, left: number): void {
    this.#spent += (now - this.#before) / WAITING_SHARE;
    this.#before = now;
    this.left = Math.max(1, this.left - Math.ceil((this.left - left) / WAITING_SHARE));
  }

  /** A slice has used up its instructions. One that the host interrupted looks long and is halved in vain: the next ones make up for it. */
  usedUp(now: number): void {
    const ticks = this.#spent + now - this.#before;
    if (ticks < SHORT_TICKS) this.instructions = Math.min(this.instructions * 2, MOST);
    else if (ticks > LONG_TICKS) this.instructions = Math.max(this.instructions / 2, FEWEST);
    this.left = this.instructions;
    this.#spent = 0;
  }
}
