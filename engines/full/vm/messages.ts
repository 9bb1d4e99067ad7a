/** What the engine and a VM's process say to each other over IPC (structured clones). */
import type { VmConfig, VmEnd } from '../config.js';

export type ToVm =
  | { type: 'boot'; config: VmConfig }
  | { type: 'input'; text: string }
  /** So many bytes of output have gone where they were to go. */
  | { type: 'taken'; bytes: number }
  /** The harts end, giving back what they hold. Answered by `stopped`. */
  | { type: 'stop' }
  /** Answered by a message `counters` with the same number. */
  | { type: 'counters'; id: number };

export type FromVm =
  /** The harts run. */
  | { type: 'running'; facts: Record<string, string> }
  /** The machine could not be built: a message for the user. */
  | { type: 'refused'; message: string }
  | { type: 'output'; bytes: Uint8Array }
  | { type: 'doorbell'; which: 'start' | 'stop'; ns: bigint; cpuSeconds: number; counters: Record<string, number> }
  | { type: 'counters'; id: number; counters: Record<string, number> }
  | { type: 'stopped'; counters: Record<string, number> }
  | { type: 'ended'; how: VmEnd };
