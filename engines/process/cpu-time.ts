/** CPU time of processes: of all their threads, user and system together, in seconds. */
import { readFileSync } from 'node:fs';
import { readClock } from './libc.js';

const TICKS_PER_SECOND = 100; // USER_HZ, fixed by Linux's ABI for /proc
const CPUCLOCK_SCHED = 2; // clock ids of processes, include/linux/posix-timers.h: (~pid << 3) | kind

/** Of a process; undefined when it is gone. */
export function processCpuSeconds(pid: number): number | undefined {
  const ns = readClock((~pid << 3) | CPUCLOCK_SCHED);
  return ns === undefined ? cpuSecondsFromProc(pid) : Number(ns) / 1e9;
}

/** Of another process and of its children that have ended and were awaited; to a hundredth. Undefined when it is gone. */
export function familyCpuSeconds(pid: number): number | undefined {
  return cpuSecondsFromProc(pid, 4);
}

/** count: 2 for utime and stime, 4 for those of awaited children too: proc(5), fields 14 to 17. */
function cpuSecondsFromProc(pid: number, count = 2): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command name (field 2) may hold spaces and parentheses: fields are counted from behind its last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields.slice(11, 11 + count).reduce((sum, field) => sum + Number(field), 0) / TICKS_PER_SECOND;
  } catch {
    return undefined;
  }
}
