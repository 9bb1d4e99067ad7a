/** The I/O of a thread that does none: the main thread has the devices only to reset them and to read their counters. */
import type { IoContext } from '../../backends/io.js';

function refuse(): never {
  throw new Error('a device was used for I/O on the main thread');
}

export const NO_IO: IoContext = {
  method: 'worker threads',
  slot: -1,
  addMemory: refuse,
  removeMemory: refuse,
  openBlock: refuse,
  blockInfo: refuse,
  read: refuse,
  write: refuse,
  readv: refuse,
  writev: refuse,
  flush: refuse,
  zero: refuse,
  openUdp: refuse,
  descriptor: refuse,
  send: refuse,
  receive: refuse,
  adopt: refuse,
  close: refuse,
  watch: refuse,
  unwatch: refuse,
  defer: refuse,
  submit: refuse,
  poll: refuse,
  polls: 0,
  wait: refuse,
  waiting: false,
  counters: { submitted: 0, completed: 0, syscalls: 0, waits: 0, kicksReceived: 0, sleptNs: 0, bounced: 0 },
  dispose: refuse,
};
