/**
 * What an I/O policy promises, as workloads: each is two machines under one policy, machine 0 the one that is looked at. What they run are
 * workloads of the guest's registry: those of other groups, and timed/…, which time every request (timed.c).
 */
import type { PolicyWork, WorkloadSpec } from '../spec.js';

const common = {
  group: 'policy',
  metric: 'policy',
  scale: 1,
  minVcpus: 1,
  cpus: 'one',
  comparable: false,
  vectorizable: false,
  memoryPerCpu: 32 * 4096 + 65536,
} as const;

type Promise = Pick<WorkloadSpec, 'measures' | 'unit'> & { work: PolicyWork };
const disk = (name: string, { work, ...rest }: Promise): WorkloadSpec => ({
  ...common,
  ...rest,
  name: `policy/${name}`,
  needs: { disk: true },
  policy: work,
});
const net = (name: string, promise: Promise): WorkloadSpec => ({ ...disk(name, promise), needs: { peer: true } });

const FLOOD = 'block/randread-4k-qd32';
const STREAM = 'net/udp-stream';
/** Of a datagram of net/udp-stream, its payload and its frame. */
const PAYLOAD = 1472;
const FRAME = 1514;
const MBYTE = 1e6;

export const policyWorkloads: WorkloadSpec[] = [
  disk('disk-shares', {
    measures:
      'share of the first of two domains with weights 4 to 1 of a saturated disk, both reading 4 KiB at depth 32',
    unit: '%',
    work: {
      policy: {
        order: 'wfq',
        devices: { vbd: { depth: 8 } },
        domains: { 'domain-0': { weight: 400 }, 'domain-1': { weight: 100 } },
      },
      roles: [FLOOD, FLOOD],
      figure: 'share',
      promise: { low: 77, high: 83 },
    },
  }),
  net('net-shares', {
    measures:
      'share of the first of two domains with weights 4 to 1 of a saturated link of 40 MB/s, both sending datagrams',
    unit: '%',
    work: {
      policy: {
        order: 'wfq',
        devices: { vif: { bytesPerSecond: 40 * MBYTE } },
        domains: { 'domain-0': { weight: 400 }, 'domain-1': { weight: 100 } },
      },
      roles: [STREAM, STREAM],
      figure: 'share',
      promise: { low: 77, high: 83 },
    },
  }),
  disk('disk-p99', {
    measures:
      '99th percentile of random reads of 4 KiB of a domain of the first class beside a flooding one, over what it is alone; depth 8',
    unit: '×',
    work: {
      policy: {
        order: 'priority',
        devices: { vbd: { depth: 8 } },
        domains: { 'domain-0': { class: 0 }, 'domain-1': { class: 7 } },
      },
      roles: ['timed/randread-4k-qd8', FLOOD],
      figure: 'p99-ratio',
      promise: { high: 1.5 },
    },
  }),
  disk('disk-starvation', {
    measures:
      'longest read of a domain of the last class beside a flooding one of the first; 7 head starts of 5 ms and the disk itself',
    unit: 'ms',
    work: {
      policy: {
        order: 'priority',
        ageingMs: 5,
        devices: { vbd: { depth: 8 } },
        domains: { 'domain-0': { class: 7 }, 'domain-1': { class: 0 } },
      },
      roles: ['timed/randread-4k-qd1', FLOOD],
      figure: 'longest',
      promise: { high: 50 },
    },
  }),
  disk('disk-cap', {
    measures: 'what a domain with a cap of 4,000 operations a second gets of it, beside one without',
    unit: '%',
    work: {
      policy: { order: 'fifo', domains: { 'domain-0': { opsPerSecond: 4000 } } },
      roles: [FLOOD, FLOOD],
      figure: 'of-cap',
      cap: 4000,
      promise: { low: 95, high: 105 },
    },
  }),
  net('net-cap', {
    measures: 'what a domain with a cap of 20 MB/s for its frames gets of it, beside another like it',
    unit: '%',
    work: {
      policy: { order: 'fifo', default: { vif: { bytesPerSecond: 20 * MBYTE } } },
      roles: [STREAM, STREAM],
      figure: 'of-cap',
      cap: (20 * MBYTE * PAYLOAD) / FRAME,
      promise: { low: 95, high: 105 },
    },
  }),
];
