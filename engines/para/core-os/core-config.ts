/** What a thread of the core OS is started with (workerData), and the messages between it and the main thread. */
import type { HostIoShared } from '../host-io.js';
import type { ClientDomain } from './clients.js';

export interface CoreThreadConfig {
  hypervisor: SharedArrayBuffer;
  io: HostIoShared;
  /** 0, 1, …: its number as a vCPU of domain 0, and its kick slot. */
  thread: number;
}

export type ToCoreThread =
  | ({ type: 'serve' } & ClientDomain)
  /** The domain's vCPUs have ended. */
  | { type: 'forget'; domain: number };

export type FromCoreThread =
  /** It holds nothing of the domain any more. */
  | { type: 'forgotten'; domain: number }
  /** A domain broke the protocol of its ring. */
  | { type: 'crash'; domain: number; reason: string };

/** VCPU.stop of a core OS thread: what the main thread wants, and what the thread has done. */
export const StopRequest = {
  none: 0,
  /** Leave all that is in flight, and do nothing any more. */
  now: 1,
  /** The thread does nothing any more, and waits to be terminated. */
  stopped: 2,
} as const;
