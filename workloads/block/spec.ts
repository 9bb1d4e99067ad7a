import type { WorkloadSpec } from '../spec.js';

const MIB = 1 << 20;
const common = {
  group: 'block',
  metric: 'throughput',
  minVcpus: 1,
  cpus: 'all',
  needs: { disk: true },
  comparable: true,
  vectorizable: false,
} as const;
const sequential = { ...common, unit: 'MB/s', scale: 1e-6, memoryPerCpu: 4 * MIB + 8192 } as const;
const random = { ...common, unit: 'IOPS', scale: 1, memoryPerCpu: 32 * 4096 + 8192 } as const;

export const blockWorkloads: WorkloadSpec[] = [
  { ...sequential, name: 'block/read-1m', measures: 'sequential reads of 1 MiB, 4 in flight' },
  {
    ...sequential,
    name: 'block/write-1m',
    measures: 'sequential writes of 1 MiB, 4 in flight, and the flush at the end',
  },
  { ...random, name: 'block/randread-4k-qd1', measures: 'random reads of 4 KiB, one at a time: latency' },
  { ...random, name: 'block/randread-4k-qd32', measures: 'random reads of 4 KiB, 32 in flight' },
  {
    ...random,
    name: 'block/randwrite-4k-qd32',
    measures: 'random writes of 4 KiB, 32 in flight, and the flush at the end',
  },
];
