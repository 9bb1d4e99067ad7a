/**
 * One thread's view of a machine's network, as QEMU's user networking arranges it: the machine's card, a switch, and the
 * host at 10.0.2.2. Each vCPU thread of a machine makes one over the same shared memory.
 */
import { HostPort, type HostPortOptions, NETWORK_MEMORY_BYTES } from './host-port.js';
import type { IoContext } from './io.js';
import { libc, libcProblem } from './libc.js';
import type { NetPort } from './net-port.js';
import { Switch } from './switch.js';

/** Shared memory of one machine's network: make it once, give it to every vCPU thread. */
export const createFlowMemory = (): SharedArrayBuffer => new SharedArrayBuffer(NETWORK_MEMORY_BYTES);

export interface UserNetwork {
  /** For the machine's card. */
  readonly port: NetPort;
  /** Totals of this thread, by name. */
  counters(): Record<string, number>;
  dispose(): void;
}

/** Throws, with a sentence for the user, where the host's system calls cannot be reached. */
export function createUserNetwork(io: IoContext, flows: SharedArrayBuffer, options: HostPortOptions = {}): UserNetwork {
  const c = libc();
  if (c === undefined) throw new Error(`the network is not available: ${libcProblem()}`);
  const network = new Switch();
  const port = network.addPort('vm');
  const host = new HostPort(c, io, network.addPort('host'), flows, options);
  return {
    port,
    counters: () => ({ ...port.counters, ...host.counters() }),
    dispose: () => host.dispose(),
  };
}
