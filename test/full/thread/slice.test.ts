import { describe, expect, it } from 'vitest';
import { SliceLength } from '#engines/full/thread/slice.js';

/** Runs slices at a speed in instructions a tick (100 ns), and answers how long the last one took, in ticks. */
function settle(length: SliceLength, speed: number, slices = 40): number {
  let now = 0;
  let ticks = 0;
  for (let i = 0; i < slices; i++) {
    length.begins(now);
    ticks = length.instructions / speed;
    now += ticks;
    length.usedUp(now);
  }
  return ticks;
}

describe('length of a slice', () => {
  it.each([3, 15, 50, 200])('is 40 to 100 µs at %i instructions a tick', (speed) => {
    const ticks = settle(new SliceLength(), speed);
    expect(ticks).toBeGreaterThanOrEqual(400);
    expect(ticks).toBeLessThanOrEqual(1000);
  });

  it('goes on after waits: the guest’s own time counts, however it is cut', () => {
    const [whole, cut] = [new SliceLength(), new SliceLength()];
    settle(whole, 20);
    let now = 0;
    for (let slices = 0; slices < 40; ) {
      cut.begins(now);
      const piece = Math.min(cut.left, 700);
      now += piece / 20;
      if (piece === cut.left) {
        cut.usedUp(now);
        slices++;
      } else {
        cut.waits(now, cut.left - piece);
        now += 5000;
      }
    }
    expect(cut.instructions).toBe(whole.instructions);
    expect(cut.left).toBe(cut.instructions);
  });

  it('recovers when the host has taken the processor away', () => {
    const length = new SliceLength();
    settle(length, 20);
    settle(length, 0.0001, 20);
    expect(length.instructions).toBeGreaterThanOrEqual(1024);
    expect(settle(length, 20)).toBeGreaterThanOrEqual(400);
  });
});
