/** Counters: 64-bit floats in the hypervisor's memory, a vCPU's written by its own thread, added up by whoever reads. */
import { flowWord, type HypervisorMemory, VCPU } from './hypervisor-memory.js';
import { Device, flowOf, REC } from './io-queue/records.js';

/** Their order is their place in memory. */
export const COUNTER_NAMES = [
  'hypercall_memory_op',
  'hypercall_xen_version',
  'hypercall_console_io',
  'hypercall_grant_table_op',
  'hypercall_vcpu_op',
  'hypercall_sched_op',
  'hypercall_event_channel_op',
  'hypercall_store_op',
  'hypercall_unknown',
  'hypercall_errors',
  'events_sent',
  'events_delivered',
  'notifications_sent', // by back ends to front ends
  'notifications_suppressed', // by the rings' hold-off
  'block_requests',
  'block_bytes',
  'block_errors',
  'net_tx_frames',
  'net_rx_frames',
  'net_rx_dropped',
  'copies', // of payload, by the hypervisor
  'bounced', // block requests that were copied for alignment
  'waits', // sleeps in the host
  'io_syscalls',
  'kicks_received',
  'timers_fired',
  'net_tx_bytes',
  'net_rx_bytes',
  // From here on of the domain's flows (io-queue/records.ts), not of a vCPU.
  'queue_vbd_wait_ns', // that requests waited in the I/O queue, all together
  'queue_vif_wait_ns',
  'queue_merged', // requests that were done as part of another's device operation
] as const;
const FLOW_COUNTERS = 3;

/** The first of COUNTER_NAMES count hypercalls. */
export const HYPERCALL_COUNTERS = 9;

export type CounterName = (typeof COUNTER_NAMES)[number];

const INDEX = Object.fromEntries(COUNTER_NAMES.map((name, at) => [name, at])) as Record<CounterName, number>;
export const COUNTER_COUNT = COUNTER_NAMES.length;
const VCPU_COUNTERS = COUNTER_COUNT - FLOW_COUNTERS;

/** Place of a counter among the vCPU's, for hot paths. */
export const counterIndex = (name: CounterName): number => INDEX[name];

/** Sums over the vCPUs of a domain into `sums`, in the order of COUNTER_NAMES. */
export function sumCounters(hv: HypervisorMemory, domain: number, vcpus: number, sums: Float64Array): void {
  sums.fill(0);
  for (let vcpu = 0; vcpu < vcpus; vcpu++) {
    const base = hv.vcpuF64(domain, vcpu) + VCPU.countersF64;
    for (let at = 0; at < VCPU_COUNTERS; at++) sums[at] += hv.f64[base + at];
  }
  const [vbd, vif] = [Device.vbd, Device.vif].map((device) => flowWord(flowOf(domain, device)) / 2);
  sums[VCPU_COUNTERS] = hv.f64[vbd + REC.waited];
  sums[VCPU_COUNTERS + 1] = hv.f64[vif + REC.waited];
  sums[VCPU_COUNTERS + 2] = hv.f64[vbd + REC.merged];
}

/** By name. */
export function namedCounters(sums: ArrayLike<number>): Record<string, number> {
  return Object.fromEntries(COUNTER_NAMES.map((name, at) => [name, sums[at]]));
}
