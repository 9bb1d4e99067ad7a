/** What a workload is, as data. The work itself is the C file beside each group's spec. */
import type { IoPolicy } from '../engines/io-policy.js';

export type WorkloadGroup = 'cpu' | 'memory' | 'os' | 'block' | 'net' | 'mixed' | 'linux' | 'policy';

/**
 * How a sample becomes a figure:
 * - `throughput`: ops / seconds between the doorbells; higher is better
 * - `time-per-op`: nanoseconds between the doorbells / ops; lower is better
 * - `reported`: nanoseconds that the guest timed itself (SampleResult.reportedNs); lower is better
 * - `policy`: what PolicyWork.figure says; neither is better in itself, a promise is kept or not
 */
export type MetricKind = 'throughput' | 'time-per-op' | 'reported' | 'policy';

/** Several machines under one I/O policy, and what is looked at. */
export interface PolicyWork {
  /** In force while the workload is measured: machine N is `domain-N`. */
  policy: IoPolicy;
  /** What each machine runs, from machine 0 on: names of the guest's registry. */
  roles: readonly string[];
  /**
   * - `share`: of what all machines did in a second, machine 0's part, percent
   * - `of-cap`: of `cap` operations a second, machine 0's, percent
   * - `p99-ratio`: 99th percentile of machine 0's requests beside the others, over what it is in a sample without them just before
   * - `longest`: machine 0's longest request, ms
   */
  figure: 'share' | 'of-cap' | 'p99-ratio' | 'longest';
  cap?: number;
  /** Between which values the figure is to be. */
  promise: { low?: number; high: number };
}

export interface WorkloadSpec {
  /** `group/name`, as in the guest's registry. */
  name: `${WorkloadGroup}/${string}`;
  group: WorkloadGroup;
  /** One sentence: what it measures. */
  measures: string;
  metric: MetricKind;
  /** `units/s`, `MB/s`, `IOPS`, `transactions/s`, `ns`, … */
  unit: string;
  /** Multiplies ops into the unit (1e-6 for bytes to MB). */
  scale: number;
  /** Least number of vCPUs (os/ipi, os/spawn want 2). */
  minVcpus: number;
  /** `all`: throughput grows with vCPUs. `one`: CPU 0 drives alone, whatever the number of vCPUs. */
  cpus: 'all' | 'one';
  needs: { disk?: boolean; peer?: boolean };
  /** Percent of bare metal makes sense. False for os/*: each engine its own figure. */
  comparable: boolean;
  /** Also measured on bare metal built without vectorization. */
  vectorizable: boolean;
  /** It is the start of the guest system: a machine of its own for each sample, nothing on bare metal. */
  boots?: boolean;
  /** Of the group `policy` alone. */
  policy?: PolicyWork;
  /** Guest memory that the workload needs for each participating CPU, bytes. */
  memoryPerCpu: number;
}
