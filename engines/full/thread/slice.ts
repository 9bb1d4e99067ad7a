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

export class SliceLength {
  /** Instructions of the next slice. */
  instructions = FIRST;
  #before = 0;

  /** A slice begins, at a tick of mtime. */
  begins(now: number): void {
    this.#before = now;
  }

  /** A slice has used up its instructions. One that the host interrupted looks long and is halved in vain: the next ones make up for it. */
  usedUp(now: number): void {
    const ticks = now - this.#before;
    if (ticks < SHORT_TICKS) this.instructions = Math.min(this.instructions * 2, MOST);
    else if (ticks > LONG_TICKS) this.instructions = Math.max(this.instructions / 2, FEWEST);
  }
}
