/**
 * One sample through tinybench: a Bench of one task and one iteration, whose duration is what passed between the
 * doorbells (`overriddenDuration`). tinybench would run all samples of a task in a row; a Bench for each sample lets the
 * harness interleave the engines in an order of its own.
 */
import { Bench } from 'tinybench';
import type { SampleResult } from '../engines/engine.js';
import type { Clock } from './clock.js';
import { windowNs } from './figures.js';

export interface TimedSample {
  results: SampleResult[];
  /** From the first start doorbell to the last stop doorbell, as tinybench recorded it. */
  windowNs: number;
}

/** Runs `take` once and times it by its doorbells. Rejects with whatever `take` rejects with. */
export async function timedSample(
  name: string,
  clock: Clock,
  take: () => Promise<SampleResult[]>,
): Promise<TimedSample> {
  let results: SampleResult[] = [];
  let failure: unknown;
  const bench = new Bench({ iterations: 1, time: 0, warmup: false, now: () => Number(clock.nowNs()) / 1e6 });
  const iteration = async () => {
    try {
      results = await take();
    } catch (error) {
      failure = error ?? new Error('the sample was rejected without a reason');
      throw failure;
    }
    return { overriddenDuration: windowNs(results) / 1e6 };
  };
  const [task] = await bench.add(name, iteration, { async: true }).run();
  if (failure !== undefined) throw failure;
  if (task.result.state !== 'completed') throw new Error(`tinybench left the sample ${task.result.state}`);
  return { results, windowNs: task.result.latency.mean * 1e6 };
}
