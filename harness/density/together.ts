/** Machines that work together: one workload on all of them at once. */
import type { Machine, SampleResult } from '../../engines/engine.js';

const DEADLINE_MS = 300_000;

/** Prepares all; milliseconds from `began` to the first doorbell of the last machine's first sample. */
export async function firstWorkloadMs(machines: readonly Machine[], workload: string, began: bigint): Promise<number> {
  await Promise.all(machines.map((each) => each.prepare(workload, { seed: 1, deadlineMs: DEADLINE_MS })));
  const samples = await sampleTogether(machines, 0);
  const last = samples.reduce((latest, { startNs }) => (startNs > latest ? startNs : latest), began);
  return Number(last - began) / 1e6;
}

export function sampleTogether(machines: readonly Machine[], durationMs: number): Promise<SampleResult[]> {
  for (const each of machines) each.start({ durationMs, seed: 1, deadlineMs: durationMs + DEADLINE_MS });
  return Promise.all(machines.map((each) => each.result()));
}

/** Units of all a second, from the first start to the last stop. */
export function unitsPerSecond(samples: readonly SampleResult[]): number {
  const units = samples.reduce((sum, sample) => sum + sample.units, 0);
  const starts = samples.map(({ startNs }) => Number(startNs / 1000n));
  const stops = samples.map(({ stopNs }) => Number(stopNs / 1000n));
  return units / ((Math.max(...stops) - Math.min(...starts)) / 1e6);
}
