/** What a workload is, as data. The work itself is the C file beside each group's spec. */

export type WorkloadGroup = 'cpu' | 'memory' | 'os' | 'block' | 'net' | 'mixed' | 'linux';

/**
 * How a sample becomes a figure:
 * - `throughput`: ops / seconds between the doorbells; higher is better
 * - `time-per-op`: nanoseconds between the doorbells / ops; lower is better
 * - `reported`: nanoseconds that the guest timed itself (SampleResult.reportedNs); lower is better
 */
export type MetricKind = 'throughput' | 'time-per-op' | 'reported';

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
  /** Guest memory that the workload needs for each participating CPU, bytes. */
  memoryPerCpu: number;
}
