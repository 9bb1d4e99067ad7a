import type { WorkloadSpec } from '../spec.js';

export const mixedWorkloads: WorkloadSpec[] = [
  {
    name: 'mixed/average',
    group: 'mixed',
    measures: 'the average workload: 4 random reads, a write, a request to the peer and a hash of 20 KiB at once',
    metric: 'throughput',
    unit: 'units/s',
    scale: 1,
    minVcpus: 1,
    cpus: 'all',
    needs: { disk: true, peer: true },
    comparable: true,
    vectorizable: false,
    memoryPerCpu: 60 * 1024,
  },
];
