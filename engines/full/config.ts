/** What one machine is made of: passed from the engine to the VM's process and on to its threads. Plain data. */

export interface VmConfig {
  /** Distinguishes the VMs of a host: gives the network card its address. */
  id: number;
  /** 1 to 32. */
  harts: number;
  /** RAM, bytes; a multiple of 4096. */
  memoryBytes: number;
  /** Path of an ELF or raw image. */
  image: string;
  bootargs: string;
  disk?: { path: string; bytes: number; direct: boolean };
  /** A network card, behind a switch whose host port reaches the host's loopback. */
  network: boolean;
  /** A thread that has nothing to do polls for so long before it sleeps, microseconds. */
  pollUs: number;
}

/** How a machine came to its end. */
export type VmEnd =
  | { kind: 'poweroff'; code: number }
  | { kind: 'reset' }
  /** A thread of the machine failed: a fault of the engine, not of the guest. */
  | { kind: 'fault'; message: string };
