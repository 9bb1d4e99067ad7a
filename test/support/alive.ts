import { readFileSync } from 'node:fs';

/** Whether a process runs. A container may have no init that reaps orphans: a zombie has ended. */
export function alive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat[stat.lastIndexOf(')') + 2] !== 'Z';
  } catch {
    return false;
  }
}
