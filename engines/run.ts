/**
 * Running an operating system of the user's on an engine, with its console on the terminal (`virtax run`): a second, wider
 * way to a machine than Engine.boot(), for engines that can do it.
 */

import type { Forward } from './backends/nat/forward.js';

/** virtio: over PCI. virtio-mmio: in the first windows of `virt`, where small guests look for their disk. */
export type DiskInterface = 'scsi' | 'virtio' | 'virtio-mmio';
/** user: NAT to the host's network, as QEMU's `-netdev user`. switch: the host's loopback alone, at 10.0.2.2. */
export type NicMode = 'user' | 'switch';
export type NicModel = 'rtl8139' | 'rtl8169' | 'e1000' | 'virtio';

export interface RunNic {
  mode: NicMode;
  /** The engine's own choice when absent. */
  model?: NicModel;
  /** Ports of the host that lead into the guest; with mode `user` alone. */
  forwards?: Forward[];
}

export const TRACES = ['exits', 'irq', 'mmio'] as const;
export type TraceKind = (typeof TRACES)[number];

export interface RunDisk {
  path: string;
  /** The engine's own choice when absent. */
  interface?: DiskInterface;
  readonly: boolean;
  /** `cdrom` is for `scsi` alone. */
  media: 'disk' | 'cdrom';
}

export interface RunRequest {
  /** What a list of domains calls it; absent: the kernel's file name. For engines with such a list. */
  name?: string;
  bios?: string;
  kernel?: string;
  initrd?: string;
  append: string;
  memoryBytes: number;
  vcpus: number;
  /** The most that the guest may be given while it runs; the engine refuses what it cannot. Absent: what it has. */
  maxMemoryBytes?: number;
  maxVcpus?: number;
  disks: RunDisk[];
  nic?: RunNic;
  /** Path of an I/O policy (io-policy.ts); engines without such a queue refuse it. */
  policy?: string;
  /** The hypervisor that is to have it: its process id, or `auto`, the only one that runs. For engines that share one. */
  hypervisor?: string;
  /** The machine goes on without this process. */
  detach?: boolean;
  /** The guest's reset ends the machine. */
  noReboot: boolean;
  trace: TraceKind[];
}

/** How a run came to its end. */
export interface RunEnd {
  /** The guest's own, 0 for a plain power-off; 1 when the engine failed. */
  status: number;
  /** What went wrong, for the user. */
  problem?: string;
}

export interface RunningMachine {
  /** Bytes typed at the console. */
  input(bytes: Uint8Array): void;
  /** Totals of all, once stop() has ended it. */
  counters(): Record<string, number>;
  /** Ends the machine from outside. */
  stop(): Promise<void>;
  readonly ended: Promise<RunEnd>;
  /** As a list of domains names it. */
  readonly id?: string;
  /** Ends the machine, and waits for others that its end would end too: `say` is told of them. */
  outlast?(say: (sentence: string) => void): Promise<void>;
}

/** The machine cannot be had as asked for: a message for the user. */
export class RunRefused extends Error {
  override readonly name = 'RunRefused';
}

/** What the guest writes to its console; `written` is called when it has gone out: a guest may not run far ahead of that. */
export type ConsoleOutput = (bytes: Uint8Array, written: () => void) => void;

/** Starts a machine. Rejects with RunRefused. */
export type Run = (request: RunRequest, output: ConsoleOutput) => Promise<RunningMachine>;
