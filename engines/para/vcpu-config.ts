/** What a thread is given to serve a vCPU, and what it tells the main thread. */
import type { DiskSource } from './core-os/disk-source.js';
import type { MemoryAnswer } from './foreign-memory.js';
import type { HostIoShared } from './host-io.js';

export interface VcpuThreadConfig {
  hypervisor: SharedArrayBuffer;
  io: HostIoShared;
  /** Slot of its IoContext in the kick area. */
  slot: number;
  pollUs: number;
  domain: number;
  vcpu: number;
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  frames: number;
  disk?: DiskSource;
  /** The domain's table of UDP flows (backends/flow-table.ts), where it has a network card. */
  flows?: SharedArrayBuffer;
  /** CPUs of the host for this thread; absent: all. */
  hostCpus?: readonly number[];
}

export type FromVcpu =
  | { type: 'console' }
  /** Once, before the guest runs: what of the host this thread got. */
  | { type: 'facts'; facts: Record<string, string> }
  /** Wants a MemoryAnswer, and waits for it. */
  | { type: 'memory'; domain: number }
  | { type: 'crash'; reason: string }
  /** It could not even be begun. */
  | { type: 'failed'; reason: string };

export type FromThread =
  | FromVcpu
  /** Once. */
  | { type: 'loaded'; tid: number }
  /** The vCPU is over, and the thread has given back what it had for it. */
  | { type: 'served' };

export type ToThread =
  | { type: 'serve'; config: VcpuThreadConfig }
  | ({ type: 'memory' } & MemoryAnswer)
  /** Only to one that is idle. */
  | { type: 'end' };
