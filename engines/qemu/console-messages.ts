/** What the console's thread is given, shares, and tells. */
import type { Doorbell, DoorbellStamp } from '../process/guest-control.js';

export interface ConsoleThreadData {
  /** The stamping socket. */
  socket: number;
  /** Written to when the thread shall look at `shared`. */
  eventfd: number;
  shared: SharedArrayBuffer;
}

/** Words of `shared`. */
export const SHARED = { stop: 0, pid: 1 } as const;
export const SHARED_BYTES = 64;

export type FromConsole =
  | { type: 'output'; bytes: Uint8Array }
  | { type: 'doorbell'; which: Doorbell; stamp: DoorbellStamp; byKernel: boolean }
  | { type: 'lost'; datagrams: number };
