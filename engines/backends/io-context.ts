/** Chooses how a thread does its I/O: io_uring, or worker threads where the kernel or a container refuses it. */
import type { IoContext, IoMethod, WaitingPolicy } from './io.js';
import { UringContext } from './io-uring.js';
import * as ioWorkers from './io-workers.js';
import { KickArea } from './kick.js';
import { libc, libcProblem } from './libc.js';
import { Ring, UringUnavailable } from './ring.js';

/** Forces the choice: `io_uring` or `workers`. For tests and for finding out what a method costs. */
export const FORCE_VARIABLE = 'VIRTAX_IO';

/**
 * The I/O context of the calling thread. `area` comes from createKickArea(); no other context may own `slot`.
 * Throws when VIRTAX_IO asks for a method that this host does not have.
 */
export function createIoContext(area: SharedArrayBuffer, slot: number, options: { waiting: WaitingPolicy }): IoContext {
  const kicks = new KickArea(area).owner(slot);
  const forced = forcedMethod();
  const c = libc();
  if (forced === 'worker threads') return new ioWorkers.WorkersContext(c, area, slot, kicks, options.waiting);
  try {
    if (c === undefined) throw new UringUnavailable(libcProblem() ?? 'no system calls');
    return new UringContext(c, slot, kicks, options.waiting);
  } catch (error) {
    if (!(error instanceof UringUnavailable)) throw error;
    if (forced !== undefined) throw new Error(`io_uring is not available: ${error.message}`);
    return new ioWorkers.WorkersContext(c, area, slot, kicks, options.waiting);
  }
}

/** Why block I/O will not go over io_uring on this host, for probe()'s notes; undefined when it will. */
export function uringProblem(): string | undefined {
  const c = libc();
  if (c === undefined) return libcProblem();
  try {
    new Ring(c, 4, 8).close();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function forcedMethod(): IoMethod | undefined {
  const value = process.env[FORCE_VARIABLE];
  if (value === undefined || value === '') return undefined;
  if (value === 'io_uring') return 'io_uring';
  if (value === 'workers') return 'worker threads';
  throw new Error(`${FORCE_VARIABLE}=${value}: expected io_uring or workers`);
}
