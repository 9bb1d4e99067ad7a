import type { WorkloadSpec } from '../spec.js';

const common = {
  group: 'os',
  metric: 'time-per-op',
  unit: 'ns',
  scale: 1,
  minVcpus: 1,
  cpus: 'one',
  needs: {},
  comparable: false,
  vectorizable: false,
  memoryPerCpu: 4096,
} as const;

export const osWorkloads: WorkloadSpec[] = [
  {
    ...common,
    name: 'os/trap',
    measures: 'a round trip to the layer below: system call, trap from user mode, or hypercall',
  },
  {
    ...common,
    name: 'os/timer',
    measures: 'how late a CPU wakes up from a sleep of 200 microseconds',
    metric: 'reported',
  },
  { ...common, name: 'os/ipi', measures: 'two sleeping CPUs wake each other in turn: a round trip', minVcpus: 2 },
  { ...common, name: 'os/map', measures: '16 fresh pages mapped, touched and unmapped' },
  {
    ...common,
    name: 'os/lock',
    measures: 'an acquisition of a spin lock that all CPUs want at once',
    minVcpus: 2,
    cpus: 'all',
  },
  { ...common, name: 'os/spawn', measures: 'a task started on another CPU and awaited', minVcpus: 2 },
];
