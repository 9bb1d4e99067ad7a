/**
 * Which of the host's CPUs the threads of a machine may run on. A new process and a new thread inherit the mask of the
 * thread that starts them, so it is enough to hold the mask while starting: nothing runs unpinned before it is pinned.
 */
import { readFileSync } from 'node:fs';
import { libc, NativeMemory } from '../backends/libc.js';

/** Room for 1024 CPUs, as glibc's cpu_set_t. */
export const MASK_BYTES = 128;

/** CPUs that the calling thread may run on, ascending; empty where the host does not say. */
export function allowedCpus(): number[] {
  try {
    const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/thread-self/status', 'utf8'))?.[1];
    return parseCpuList(list ?? '');
  } catch {
    return [];
  }
}

/** Reads the kernel's notation: `0-3,8`. */
export function parseCpuList(list: string): number[] {
  return list
    .split(',')
    .filter((range) => range !== '')
    .flatMap((range) => {
      const [first, last = first] = range.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}

/**
 * Calls `start` while the calling thread is confined to `cpus`: processes and threads that it starts stay there. Where
 * the mask cannot be set, or `cpus` is absent, it is called all the same.
 */
export function withHostCpus<T>(cpus: readonly number[] | undefined, start: () => T): T {
  if (cpus === undefined) return start();
  const before = allowedCpus();
  if (before.length === 0 || !confine(cpus)) return start();
  try {
    return start();
  } finally {
    confine(before);
  }
}

/** The calling thread stays on these CPUs; absent: where it is. False where the host refuses. */
export const confineThread = (cpus: readonly number[] | undefined): boolean => cpus === undefined || confine(cpus);

/** Writes a cpu_set_t. */
export function cpuMask(memory: NativeMemory, cpus: readonly number[]): void {
  const bytes = new Uint8Array(memory.buffer, 0, MASK_BYTES).fill(0);
  for (const cpu of cpus) bytes[cpu >> 3] |= 1 << (cpu & 7);
}

let mask: NativeMemory | undefined;

/** Sets the calling thread's mask; false where the host refuses. */
function confine(cpus: readonly number[]): boolean {
  const c = libc();
  if (c === undefined) return false;
  mask ??= new NativeMemory(c, MASK_BYTES);
  cpuMask(mask, cpus);
  return c.schedSetaffinity(0, MASK_BYTES, mask.address) === 0;
}
