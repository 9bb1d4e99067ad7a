import type { WorkloadSpec } from '../spec.js';

const MIB = 1 << 20;
const common = {
  group: 'memory',
  minVcpus: 1,
  cpus: 'all',
  needs: {},
  comparable: true,
  memoryPerCpu: 8 * MIB,
} as const;
const bandwidth = { ...common, metric: 'throughput', unit: 'MB/s', scale: 1e-6, vectorizable: true } as const;

export const memoryWorkloads: WorkloadSpec[] = [
  {
    ...bandwidth,
    name: 'memory/triad',
    measures: 'bandwidth: a = b + s * c over 7.5 MiB of doubles, 24 bytes an element',
  },
  {
    ...bandwidth,
    name: 'memory/copy',
    measures: 'bandwidth: 64-bit words copied within 8 MiB, bytes read and written',
  },
  {
    ...common,
    name: 'memory/chase',
    measures: 'latency: loads that each depend on the one before, at random within 8 MiB',
    metric: 'time-per-op',
    unit: 'ns',
    scale: 1,
    vectorizable: false,
  },
];
