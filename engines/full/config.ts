/** What one machine is made of: passed from the engine to the VM's process and on to its threads. Plain data. */

import type { DiskInterface, NicMode, NicModel, RunDisk, RunNic, TraceKind } from '../run.js';

export type { DiskInterface, NicMode, NicModel, TraceKind };
/** virtio's two transports: functions on the PCI bus, or the eight windows of `virt`. */
export type VirtioTransport = 'pci' | 'mmio';
/** Devices that only a guest with virtio drivers can use, beside disks and the network card. */
export type VirtioExtra = 'rng' | 'balloon' | 'console';

export interface VmDisk extends RunDisk {
  interface: DiskInterface;
  /** As the guest sees it; the file may be larger. */
  bytes: number;
  /** O_DIRECT is wanted. */
  direct: boolean;
}

export interface VmNic extends RunNic {
  model: NicModel;
}

export interface VmConfig {
  /** Distinguishes the VMs of a host: gives the network card its address. */
  id: number;
  /** 1 to 32. */
  harts: number;
  /** RAM, bytes; a multiple of 4096. */
  memoryBytes: number;
  /** Path of the M-mode firmware, an ELF or raw image. Absent: the kernel is entered in M-mode (QEMU's `-bios none`). */
  bios?: string;
  /** Path of an ELF or raw image. */
  kernel?: string;
  /** Path of the initial RAM disk that /chosen names. */
  initrd?: string;
  /** Kernel command line. */
  append: string;
  /** SCSI disks are targets 0, 1, … of one controller, in this order; each virtio disk is a device of its own. */
  disks: VmDisk[];
  nic?: VmNic;
  /** Absent: `pci`. */
  virtioTransport?: VirtioTransport;
  virtioExtras?: VirtioExtra[];
  /** Two byte values that the guest sends to the UART are doorbells (machine/doorbells.ts). Absent: bytes like others. */
  doorbells?: boolean;
  /** The guest's reset ends the machine instead of starting it anew. */
  noReboot?: boolean;
  /** What is written to the standard error: see trace.ts. */
  trace?: TraceKind[];
  /** A thread that has nothing to do polls for so long before it sleeps, microseconds. */
  pollUs: number;
}

/** How a machine came to its end. */
export type VmEnd =
  | { kind: 'poweroff'; code: number }
  | { kind: 'reset' }
  /** A thread of the machine failed: a fault of the engine, not of the guest. */
  | { kind: 'fault'; message: string };
