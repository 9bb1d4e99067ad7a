/**
 * A domain's weight, cap and CPUs, by the host's own scheduler. Weight and CPUs are nice values and affinity of its vCPUs' threads: Linux
 * gives a nice step a factor of 1.25 (kernel/sched/core.c: sched_prio_to_weight), 1024 at nice 0; Xen's default weight, 256, is the
 * process's own nice here. A cap needs a control group of the domain's own. What the host refuses is an error: the weight is as
 * before then, and there is no cap.
 */
import { allowedCpus } from '../process/affinity.js';
import { createThreadGroup, type ThreadGroup } from '../process/cgroup.js';
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
  private group: ThreadGroup | undefined;
  private readonly members = new Set<number>();
  /** Of each vCPU against those of others. */
  weight = DEFAULT_WEIGHT;
  /** Percent of one processor for all vCPUs together; undefined: none. */
  cap: number | undefined;
  /** CPUs of the host that it was pinned to; undefined: all. */
  cpus: readonly number[] | undefined;

  constructor(
    /** Kernel's ids of the threads of its vCPUs, as many as there are. */
    private readonly tids: () => number[],
    private readonly newGroup: () => ThreadGroup = () => createThreadGroup('domain'),
  ) {}

  /** Throws a sentence when the host refuses. */
  setWeight(weight: number): void {
    const nice = niceOf(weight, processNice());
    const refused = this.tids().some((tid) => setThreadNice(tid, nice) < 0);
    if (refused) {
      for (const tid of this.tids()) setThreadNice(tid, this.nice ?? processNice());
      const mend = 'lower the weights of the others instead, or give the process CAP_SYS_NICE';
      throw new Error(`the host lets this user have no nice value of ${nice} for the weight ${weight}: ${mend}`);
    }
    this.nice = nice;
    this.weight = weight;
    this.weighGroup();
  }

  /** CPUs of the host that its vCPUs may run on. Throws a sentence when there are others among them. */
  pin(cpus: readonly number[]): void {
    const allowed = allowedCpus();
    const wrong = cpus.find((cpu) => !allowed.includes(cpu));
    if (wrong !== undefined) throw new Error(`CPU ${wrong} is not for this process; it has ${allowed.join(', ')}`);
    if (this.tids().some((tid) => setThreadCpus(tid, cpus) < 0)) throw new Error('the host refused to pin the vCPUs');
    this.cpus = cpus;
  }

  /** Percent of one processor, for all vCPUs together; 0: none. Throws a sentence when the host cannot enforce it. */
  setCap(percent: number): void {
    if (percent === 0 && this.group === undefined) return;
    try {
      this.group ??= this.newGroup();
      this.group.setCap(percent);
      for (const tid of this.tids()) this.join(tid);
    } catch (error) {
      this.dissolve();
      throw new Error(`the host enforces no cap: ${error instanceof Error ? error.message : error}`);
    }
    this.cap = percent === 0 ? undefined : percent;
  }

  private join(tid: number): void {
    if (this.members.has(tid)) return;
    this.group?.add(tid);
    this.members.add(tid);
    this.weighGroup();
  }

  /** Its threads' nice values count inside of the group alone; outside it is as heavy as all of them together. */
  private weighGroup(): void {
    this.group?.setWeight((this.members.size * this.weight) / DEFAULT_WEIGHT);
  }

  /** Of a vCPU that has just got its thread. Throws a sentence when that cannot be put under the domain's cap. */
  applyTo(tid: number): void {
    if (this.nice !== undefined) setThreadNice(tid, this.nice);
    if (this.cpus !== undefined) setThreadCpus(tid, this.cpus);
    if (this.group !== undefined && tid !== 0) this.join(tid);
  }

  /** The thread serves another domain soon; false: the host does not let it out of the group. */
  leave(tid: number): boolean {
    if (!this.members.delete(tid)) return true;
    try {
      this.group?.remove(tid);
      return true;
    } catch {
      return false;
    }
  }

  /** The domain has ended: no thread is its own any more. */
  dissolve(): void {
    for (const tid of [...this.members]) this.leave(tid);
    try {
      this.group?.delete();
    } catch {
      // a thread that the host did not let out is just ending: the next process removes it
    }
    this.group = undefined;
    this.cap = undefined;
  }
}
