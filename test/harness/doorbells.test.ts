import { describe, expect, it } from 'vitest';
import type { SampleResult } from '#engines/engine.js';
import { DoorbellMeter } from '#harness/doorbells.js';
import type { MachineSet } from '#harness/machines.js';

/** A set whose empty pairs take these nanoseconds, by turns. */
const pairs = (...ns: number[]): MachineSet => {
  let at = 0;
  const sample = async () => [{ startNs: 100n, stopNs: 100n + BigInt(ns[at++ % ns.length] as number) } as SampleResult];
  return { sample } as unknown as MachineSet;
};

describe('an empty pair of doorbells', () => {
  it('is the median of fifteen pairs, once an engine', async () => {
    const meter = new DoorbellMeter(1);
    await meter.measure('full', pairs(1000, 2000, 3000));
    await meter.measure('full', pairs(9));
    expect(meter.result('full')).toMatchObject({ median: 2000, pairs: 15 });
    expect(meter.result('para')).toBeNull();
  });

  it('is absent where both bytes came at once: 0 ns are no measurement', async () => {
    const meter = new DoorbellMeter(1);
    await meter.measure('bare', pairs(0));
    expect(meter.result('bare')).toBeNull();
  });
});
