/** What a start/stop pair of doorbells costs by itself, for each engine: samples of 0 ms, in which the guest runs no unit. */
import type { MachineSet } from './machines.js';
import type { EngineInfo } from './results.js';
import { estimate } from './statistics.js';

const PAIRS = 15;

export class DoorbellMeter {
  private readonly measured = new Map<string, EngineInfo['doorbellNs']>();

  constructor(private readonly seed: number) {}

  /** Measures the engine once a run, on the first VM of a set that has a workload ready. */
  async measure(engine: string, set: MachineSet): Promise<void> {
    if (this.measured.has(engine)) return;
    const spans: number[] = [];
    for (let i = 0; i < PAIRS; i++) {
      const [pair] = await set.sample(0, this.seed, 1);
      spans.push(Number(pair.stopNs - pair.startNs));
    }
    // Both stamps are of one reading where the two bytes came at once: nothing was measured then.
    const found = spans.some((ns) => ns > 0) ? estimate(spans, this.seed) : null;
    this.measured.set(engine, found === null ? null : { ...found, pairs: PAIRS });
  }

  result(engine: string): EngineInfo['doorbellNs'] {
    return this.measured.get(engine) ?? null;
  }
}
