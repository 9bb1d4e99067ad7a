/**
 * CPU time of a domain: the sum over its vCPUs' threads, guest and hypervisor together, since each thread runs both. Clocks of
 * threads can be read from any thread of the process: clock id ~tid << 3 | 6 (include/linux/posix-timers.h: CPUCLOCK_SCHED 2,
 * per thread 4).
 */
import { readClock } from '../process/libc.js';
import { type HypervisorMemory, VCPU } from './hypervisor-memory.js';

const PER_THREAD_SCHED = 6;

/** Of a thread of this process, in nanoseconds; undefined where the host does not tell. tid 0: unknown. */
export function threadCpuNs(tid: number): number | undefined {
  const ns = tid === 0 ? undefined : readClock((~tid << 3) | PER_THREAD_SCHED);
  return ns === undefined ? undefined : Number(ns);
}

/** Of one vCPU's thread since it serves it, in seconds; 0 where the host does not tell. */
export function vcpuCpuSeconds(hv: HypervisorMemory, domain: number, vcpu: number): number {
  const ns = threadCpuNs(Atomics.load(hv.i32, hv.vcpuWord(domain, vcpu) + VCPU.tid));
  return ns === undefined ? 0 : Math.max(0, ns - hv.f64[hv.vcpuF64(domain, vcpu) + VCPU.cpuBaseF64]) / 1e9;
}

export function domainCpuSeconds(hv: HypervisorMemory, domain: number, vcpus: number): number {
  let seconds = 0;
  for (let vcpu = 0; vcpu < vcpus; vcpu++) seconds += vcpuCpuSeconds(hv, domain, vcpu);
  return seconds;
}
