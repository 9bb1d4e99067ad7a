/** How the host's scheduler treats single threads of this process, from any of its threads. */
import { getPriority } from 'node:os';
import { libc, NativeMemory } from '../backends/libc.js';
import { cpuMask, MASK_BYTES } from './affinity.js';

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
