/** Messages between the engine and the hypervisor's process (advanced serialization). `key` is the engine's name for a domain. */
import type { IoPolicy } from '../io-policy.js';
import type { Doorbell } from '../process/guest-control.js';
import type { DiskChoice } from './core-os/disk-source.js';

/** As much as a user's guest may write ahead of what has gone out, bytes. */
export const OUTPUT_WINDOW = 65536;

export interface DomainConfig {
  name: string;
  vcpus: number;
  /** The most that it may ever have; absent: vcpus. */
  maxVcpus?: number;
  memoryBytes: number;
  /** The most that it may ever have; absent: memoryBytes. */
  maxMemoryBytes?: number;
  /** Path of the guest's module. */
  image: string;
  bootargs: string;
  pollUs: number;
  /** It is built, and runs when it is resumed. */
  paused?: boolean;
  disk?: DiskChoice;
  mac?: string;
  /** Console output that may be under way to its reader, bytes (DomainOutput); absent: any amount. */
  outputWindow?: number;
  /** CPUs of the host for the vCPUs' threads; absent: all. */
  hostCpus?: readonly number[];
}

export interface DoorbellMessage {
  which: Doorbell;
  ns: bigint;
  cpuSeconds: number;
  counters: Record<string, number>;
}

export type EndKind = 'poweroff' | 'reboot' | 'crash' | 'destroyed';

/** How a domain came to its end. */
export interface DomainEnd {
  /** For the user. */
  reason: string;
  how: EndKind;
  /** Totals since its start. */
  counters: Record<string, number>;
}

export type ToHypervisor =
  /** For all of its domains; `key` is of none. */
  | { type: 'policy'; key: number; policy: IoPolicy }
  /** detached (over the socket alone): it is nobody's, and its guest may reboot. */
  | { type: 'create'; key: number; config: DomainConfig; detached?: { reboots: boolean } }
  | { type: 'input'; key: number; text: string }
  | { type: 'counters'; key: number; id: number }
  /** So much of the output has gone out. */
  | { type: 'taken'; key: number; bytes: number }
  | { type: 'destroy'; key: number }
  /** The owner has no domain any more; answered by others. */
  | { type: 'leave'; key: number };

export type FromHypervisor =
  /** domain: its id. */
  | { type: 'created'; key: number; domain: number }
  | { type: 'refused'; key: number; message: string }
  | { type: 'facts'; key: number; facts: Record<string, string> }
  | { type: 'output'; key: number; bytes: Uint8Array }
  | ({ type: 'doorbell'; key: number } & DoorbellMessage)
  | { type: 'counters'; key: number; id: number; counters: Record<string, number> }
  /** How many domains of other processes go on; 0: none can come any more. */
  | { type: 'others'; key: number; domains: number }
  | ({ type: 'ended'; key: number } & DomainEnd);
