import type { WorkloadSpec } from '../spec.js';

const common = {
  group: 'net',
  metric: 'throughput',
  minVcpus: 1,
  cpus: 'all',
  needs: { peer: true },
  comparable: true,
  vectorizable: false,
  memoryPerCpu: 4096,
} as const;

export const netWorkloads: WorkloadSpec[] = [
  {
    ...common,
    name: 'net/udp-rr',
    measures: 'round trips to the peer on the host, one byte each way, one at a time',
    unit: 'transactions/s',
    scale: 1,
  },
  {
    ...common,
    name: 'net/udp-stream',
    measures: 'datagrams of 1472 bytes to the peer on the host; what arrived counts',
    unit: 'Mbit/s',
    scale: 8e-6,
  },
];
