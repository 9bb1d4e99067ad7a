/** The figures of the workloads of group policy: what each machine got under it. */
import type { SampleResult } from '../engines/engine.js';
import type { PolicyWork } from '../workloads/spec.js';
import { NoFigure, operationsPerSecond } from './figures.js';

/** A sample of all machines, and where the figure compares with that, one of machine 0 alone. */
export interface PolicySample {
  beside: readonly SampleResult[];
  alone?: SampleResult;
}

/** Whether the figure needs a sample of machine 0 alone, just before. */
export const needsAlone = ({ figure }: PolicyWork): boolean => figure === 'p99-ratio';

/** @throws NoFigure */
export function policyFigure(work: PolicyWork, { beside, alone }: PolicySample): number {
  const value = rawFigure(work, beside, alone);
  if (!Number.isFinite(value) || value <= 0) throw new NoFigure(`the sample gives ${value}`);
  return value;
}

function rawFigure(work: PolicyWork, beside: readonly SampleResult[], alone: SampleResult | undefined): number {
  const rates = beside.map((result) => operationsPerSecond(result));
  switch (work.figure) {
    case 'share':
      return (100 * rates[0]) / rates.reduce((sum, rate) => sum + rate, 0);
    case 'of-cap':
      return (100 * rates[0]) / (work.cap ?? Number.NaN);
    case 'p99-ratio':
      return p99(beside[0]) / p99(alone);
    case 'longest':
      return guestNs(beside[0], 'maxns') / 1e6;
  }
}

const p99 = (result: SampleResult | undefined): number => guestNs(result, 'p99ns');

function guestNs(result: SampleResult | undefined, name: string): number {
  const ns = result?.counters[name];
  if (ns === undefined) throw new NoFigure(`the guest did not report ${name}`);
  return ns;
}

/** What stands behind the figure, for the record. */
export function policyDetails({ beside, alone }: PolicySample): Record<string, number> {
  const details: Record<string, number> = {};
  const note = (key: string, result: SampleResult | undefined): void => {
    for (const name of ['p50ns', 'p99ns', 'maxns']) {
      const value = result?.counters[name];
      if (value !== undefined) details[`${key}_${name}`] = value;
    }
  };
  note('beside', beside[0]);
  note('alone', alone);
  return details;
}
