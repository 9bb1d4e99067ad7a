/**
 * A domain's weight and its CPUs, by the host's own scheduler: nice values and affinity of its vCPUs' threads. Linux gives a nice step a
 * factor of 1.25 (kernel/sched/core.c: sched_prio_to_weight), 1024 at nice 0; Xen's default weight, 256, is the process's own nice here.
 */
import { allowedCpus } from '../process/affinity.js';
import { processNice, setThreadCpus, setThreadNice } from '../process/scheduling.js';

export const DEFAULT_WEIGHT = 256;
const STEP = 1.25;
const NICE_MIN = -20;
const NICE_MAX = 19;

/** The nice value that comes next to a weight. */
export function niceOf(weight: number, base: number): number {
  const steps = Math.round(Math.log(DEFAULT_WEIGHT / weight) / Math.log(STEP));
  return Math.max(NICE_MIN, Math.min(NICE_MAX, base + steps));
}

export class CpuShare {
  private nice: number | undefined;
  private cpus: readonly number[] | undefined;

  constructor(
    /** Kernel's ids of the threads of its vCPUs, as many as there are. */
    private readonly tids: () => number[],
  ) {}

  /** Of each vCPU against those of others. Throws a sentence when the host refuses; nothing has changed then. */
  setWeight(weight: number): void {
    const nice = niceOf(weight, processNice());
    const refused = this.tids().some((tid) => setThreadNice(tid, nice) < 0);
    if (refused) {
      for (const tid of this.tids()) setThreadNice(tid, this.nice ?? processNice());
      const mend = 'lower the weights of the others instead, or give the process CAP_SYS_NICE';
      throw new Error(`the host lets this user have no nice value of ${nice} for the weight ${weight}: ${mend}`);
    }
    this.nice = nice;
  }

  /** CPUs of the host that its vCPUs may run on. Throws a sentence when there are others among them. */
  pin(cpus: readonly number[]): void {
    const allowed = allowedCpus();
    const wrong = cpus.find((cpu) => !allowed.includes(cpu));
    if (wrong !== undefined) throw new Error(`CPU ${wrong} is not for this process; it has ${allowed.join(', ')}`);
    if (this.tids().some((tid) => setThreadCpus(tid, cpus) < 0)) throw new Error('the host refused to pin the vCPUs');
    this.cpus = cpus;
  }

  /** Of a vCPU that has just got its thread. */
  applyTo(tid: number): void {
    if (this.nice !== undefined) setThreadNice(tid, this.nice);
    if (this.cpus !== undefined) setThreadCpus(tid, this.cpus);
  }
}
