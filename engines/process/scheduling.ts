/** How the host's scheduler treats single threads of this process, from any of its threads. */
import { readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { libc, NativeMemory } from '../backends/libc.js';
import { allowedCpus, cpuMask, MASK_BYTES } from './affinity.js';

const PRIO_PROCESS = 0;
const ENOSYS = 38;

/** setpriority(2) for a thread: 0, or a negative errno. */
export const setThreadNice = (tid: number, nice: number): number =>
  libc()?.setpriority(PRIO_PROCESS, tid, nice) ?? -ENOSYS;

export const processNice = (): number => getPriority();

/** sched_setaffinity(2) for a thread: 0, or a negative errno. */
export function setThreadCpus(tid: number, cpus: readonly number[]): number {
  const c = libc();
  if (c === undefined) return -ENOSYS;
  const mask = new NativeMemory(c, MASK_BYTES);
  try {
    cpuMask(mask, cpus);
    return c.schedSetaffinity(tid, MASK_BYTES, mask.address);
  } finally {
    mask.free();
  }
}

/** A thread of this process has the process's nice value and CPUs again. False where the host refuses one. */
export function resetScheduling(tid: number): boolean {
  if (libc() === undefined) return true; // then nobody has changed them either
  const nice = processNice();
  try {
    if (getPriority(tid) !== nice && setThreadNice(tid, nice) < 0) return false;
  } catch {
    return false;
  }
  const cpus = allowedCpus();
  return cpus.length === 0 || setThreadCpus(tid, cpus) === 0;
}

/** Whether a thread of this process neither runs nor waits for a processor; true where the host does not tell. */
export function threadSleeps(tid: number): boolean {
  try {
    const stat = readFileSync(`/proc/self/task/${tid}/stat`, 'latin1');
    return stat[stat.lastIndexOf(')') + 2] !== 'R'; // proc(5): pid (comm) state
  } catch {
    return true;
  }
}
