/**
 * Called first thing in every Node child: the child ends when its parent does, however that ends.
 *
 * Two ways, since each has a hole: the kernel's parent-death signal works even while the child's main thread is busy,
 * but koffi may be missing; the closed IPC channel works everywhere, but needs the child's event loop.
 */
import { setParentDeathSignal } from './libc.js';

const SIGKILL = 9;

/** `parentPid`: as the parent passed it; when it has died before the signal was set, the child ends at once. */
export function dieWithParent(parentPid: number): void {
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  // A terminal's Ctrl-C goes to the whole process group: the parent decides when its children end.
  process.on('SIGINT', () => {});
  setParentDeathSignal(SIGKILL);
  if (process.ppid !== parentPid) process.kill(process.pid, 'SIGKILL');
}
