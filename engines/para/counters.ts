/** Counters of a vCPU: 64-bit floats in the hypervisor's memory, written by the vCPU's own thread, added up by whoever reads. */
import { type HypervisorMemory, VCPU } from './hypervisor-memory.js';

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
] as const;

/** The first of COUNTER_NAMES count hypercalls. */
export const HYPERCALL_COUNTERS = 9;

export type CounterName = (typeof COUNTER_NAMES)[number];

const INDEX = Object.fromEntries(COUNTER_NAMES.map((name, at) => [name, at])) as Record<CounterName, number>;
export const COUNTER_COUNT = COUNTER_NAMES.length;

/** Place of a counter among the vCPU's, for hot paths. */
export const counterIndex = (name: CounterName): number => INDEX[name];

/** Sums over the vCPUs of a domain into `sums`, in the order of COUNTER_NAMES. */
export function sumCounters(hv: HypervisorMemory, domain: number, vcpus: number, sums: Float64Array): void {
  sums.fill(0);
  for (let vcpu = 0; vcpu < vcpus; vcpu++) {
    const base = hv.vcpuF64(domain, vcpu) + VCPU.countersF64;
    for (let at = 0; at < COUNTER_COUNT; at++) sums[at] += hv.f64[base + at];
  }
}

/** By name. */
export function namedCounters(sums: ArrayLike<number>): Record<string, number> {
  return Object.fromEntries(COUNTER_NAMES.map((name, at) => [name, sums[at]]));
}
