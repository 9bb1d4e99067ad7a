/** From a sample to the figure that the reports show, by the workload's kind of metric. */
import type { SampleResult } from '../engines/engine.js';
import type { MetricKind, WorkloadSpec } from '../workloads/spec.js';

/** A sample that is no measurement (no operation done, no time passed): the cell fails with this message. */
export class NoFigure extends Error {
  override readonly name = 'NoFigure';
}

/** Operations a second of one machine, in the workload's unit. */
export function operationsPerSecond(result: SampleResult, scale = 1): number {
  return (result.ops * scale) / (windowNs([result]) / 1e9);
}

export function higherIsBetter(metric: MetricKind): boolean {
  return metric === 'throughput';
}

/** Time from the first start doorbell to the last stop doorbell: the window in which all VMs of the sample worked. */
export function windowNs(results: readonly SampleResult[]): number {
  const origin = results[0].startNs;
  const start = Math.min(...results.map((result) => Number(result.startNs - origin)));
  const stop = Math.max(...results.map((result) => Number(result.stopNs - origin)));
  return stop - start;
}

/**
 * The figure of one sample, of all its VMs together.
 * - throughput: what they did together over the common window
 * - time-per-op: of one VM its own; of several the mean over all their operations
 * - reported: mean of what the guests timed themselves, weighted by operations
 * @throws NoFigure
 */
export function figure(spec: WorkloadSpec, results: readonly SampleResult[], window = windowNs(results)): number {
  const ops = results.reduce((sum, result) => sum + result.ops, 0);
  if (!(window > 0)) throw new NoFigure('the doorbells show no time between start and stop');
  if (!(ops > 0)) throw new NoFigure('not one operation was completed in the sample');
  const value = combine(spec, results, ops, window);
  if (!Number.isFinite(value) || value <= 0) throw new NoFigure(`the sample gives ${value} ${spec.unit}`);
  return value;
}

function combine(spec: WorkloadSpec, results: readonly SampleResult[], ops: number, window: number): number {
  switch (spec.metric) {
    case 'throughput':
      return (ops * spec.scale) / (window / 1e9);
    case 'time-per-op':
      return results.reduce((sum, r) => sum + Number(r.stopNs - r.startNs), 0) / (ops * spec.scale);
    case 'policy':
      throw new NoFigure('the figure of a policy is not of one sample'); // policy-figure.ts
    case 'reported':
      return results.reduce((sum, r) => sum + reported(r) * r.ops, 0) / ops;
  }
}

function reported(result: SampleResult): number {
  if (result.reportedNs === undefined) throw new NoFigure('the guest did not report the time that it measured');
  return result.reportedNs;
}

/** Guest's clock against the host's over the sample, percent; positive: the guest's runs fast. The worst of the VMs. */
export function clockDriftPct(results: readonly SampleResult[]): number {
  const drifts = results.map((result) => {
    const host = Number(result.stopNs - result.startNs);
    return host > 0 ? (100 * (result.guestNs - host)) / host : 0;
  });
  return drifts.reduce((worst, drift) => (Math.abs(drift) > Math.abs(worst) ? drift : worst), 0);
}
