/** What a vCPU's thread is started with (workerData), and what it tells the main thread. */
import type { DiskConfig } from '../engine.js';
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
  disk?: DiskConfig;
  /** The domain's table of UDP flows (backends/flow-table.ts), where it has a network card. */
  flows?: SharedArrayBuffer;
}

export type FromVcpu =
  | { type: 'console' }
  /** Once, before the guest runs: what of the host this thread got. */
  | { type: 'facts'; facts: Record<string, string> }
  /** Wants a MemoryAnswer, and waits for it. */
  | { type: 'memory'; domain: number }
  | { type: 'crash'; reason: string };
