/**
 * The contract that every engine meets: the harness knows engines only through this file.
 * An engine is a folder beside this file and one line in registry.ts.
 *
 * Life of a machine, as the harness drives it:
 *
 *   boot() ──► prepare(workload) ──► start() ──► result() ─┐
 *                   ▲                   ▲                  │ next sample of the cell
 *                   │ next workload     └──────────────────┤
 *                   └──────────────────────────────────────┴──► stop()
 *
 * A barrier may hold many machines between prepare()/result() and start().
 */

import type { IoPolicy } from './io-policy.js';
import type { Run } from './run.js';

/** The three ways to run a workload that the project compares. */
export type EngineKind = 'bare metal' | 'full virtualization' | 'paravirtualization';

/** Whether an engine can run on this host; `reason` is one sentence a user can act on. */
export type Probe = { ok: true; notes?: string[] } | { ok: false; reason: string };

/** How a thread waits: it blocks at once (0), or polls for up to this many microseconds first (KVM's halt_poll_ns). */
export interface WaitingPolicy {
  pollUs: number;
}

/** The disk of one machine: a file of the host, the same kind for every engine. */
export interface DiskConfig {
  path: string;
  bytes: number;
  /** true: O_DIRECT is wanted. The machine reports what it got in `Machine.facts`. */
  direct: boolean;
}

/** The peer process (a native UDP server on the host's loopback) that network workloads talk to. */
export interface PeerConfig {
  port: number;
}

/**
 * A guest OS that is not the project's own, with an agent in it that speaks the same control protocol, and the same agent
 * for bare metal.
 */
export interface GuestSystem {
  /** `debian`. */
  name: string;
  /** Files of the host: M-mode firmware, kernel, initial RAM disk. */
  bios: string;
  kernel: string;
  initrd: string;
  /** One that holds little, whose /init says the banner at once and then sleeps: to measure the start. */
  bootInitrd?: string;
  /** Kernel command line. */
  append: string;
  /** The agent as a process of the host; the engine adds WORK, DISK and CPUS to its environment. */
  native: { program: string; args: string[]; env: Record<string, string> };
  /** What a reader of the results must know of it. */
  facts: Record<string, string>;
}

/** The kernel command line of a machine with or without a disk: the agent waits for one that is promised. */
export function guestAppend({ append }: GuestSystem, hasDisk: boolean): string {
  return hasDisk ? `${append} virtax.disk` : append;
}

export interface MachineConfig {
  /** Distinguishes the VMs of a cell: 0, 1, 2, … */
  id: number;
  /** 1 to 32. */
  vcpus: number;
  memoryBytes: number;
  disk?: DiskConfig;
  peer?: PeerConfig;
  /** Absent: the project's own guest. Only engines with `runsSystems` get one. */
  guest?: GuestSystem;
  waiting: WaitingPolicy;
  /** CPUs of the host that the machine's vCPUs may run on; every one that the process may use when absent. */
  hostCpus?: readonly number[];
  /** Milliseconds until the guest must have printed its banner. */
  bootDeadlineMs: number;
}

/** Parameters of prepare(), passed on to the guest's `prepare` command. */
export interface PrepareArgs {
  seed: number;
  /** CPUs that take part; all of the machine's when absent. */
  cpus?: number;
  deadlineMs: number;
}

export interface StartArgs {
  /** Time for which whole units are run, in milliseconds; 0 runs no unit (an empty doorbell pair). */
  durationMs: number;
  /** Generation of the data that this sample writes, and start of its random streams. */
  seed: number;
  /** From start() to the result, at most. */
  deadlineMs: number;
}

/** One sample of one machine. */
export interface SampleResult {
  /** Doorbells as stamped by the host, nanoseconds of the host's CLOCK_MONOTONIC. */
  startNs: bigint;
  stopNs: bigint;
  /** The same interval by the guest's own clock, nanoseconds. */
  guestNs: number;
  units: number;
  /** Operations (or bytes, or items: the workload's unit) that were done between the doorbells. */
  ops: number;
  /** Mean of what the guest timed itself (os/timer), nanoseconds; absent for others. */
  reportedNs?: number;
  /** 16 hexadecimal digits. */
  checksum: string;
  /** Wrong data seen by the guest's own verification. */
  errors: number;
  /** CPU time that the machine's processes or threads used between the doorbells, seconds: guest and engine together. */
  cpuSeconds: number;
  /** Further `key=value` pairs of the guest's result line (numbers only), and the engine's counters over the sample. */
  counters: Record<string, number>;
}

/** The workload cannot run on this engine; the cell is skipped with this reason. */
export class WorkloadUnsupported extends Error {
  override readonly name = 'WorkloadUnsupported';
}

/** The guest failed: crashed, hung past its deadline, or answered nonsense. `consoleTail` holds its last lines. */
export class MachineFailure extends Error {
  override readonly name = 'MachineFailure';
  constructor(
    message: string,
    readonly consoleTail: string[] = [],
  ) {
    super(message);
  }
}

/** A booted machine. Every promise rejects with MachineFailure when the machine dies; a dead machine is not used again. */
export interface Machine {
  /** What a reader of the results must know: `{ block: "io_uring, O_DIRECT", image: "sha256…" }`. */
  readonly facts: Record<string, string>;
  /** Makes a workload ready; rejects with WorkloadUnsupported where the engine cannot run it. */
  prepare(workload: string, args: PrepareArgs): Promise<void>;
  /** Lets the prepared workload run one sample. Returns at once. */
  start(args: StartArgs): void;
  /** The sample that start() began. */
  result(): Promise<SampleResult>;
  /** Totals since boot: exits, hypercalls, interrupts, block and network requests, wake-ups, copies, … */
  counters(): Promise<Record<string, number>>;
  /** Ends the machine and all of its processes and threads. Never rejects; may be called twice. */
  stop(): Promise<void>;
}

export interface Engine {
  /** As on the command line: `bare`, `full`, `para`. */
  readonly name: string;
  readonly kind: EngineKind;
  /** One line for `virtax list engines`. */
  readonly summary: string;
  /** It boots guest systems that are not the project's own. */
  readonly runsSystems?: boolean;
  probe(): Promise<Probe>;
  boot(config: MachineConfig): Promise<Machine>;
  /**
   * Puts an I/O policy into force for all machines of the engine, those too that are booted later; before any command that a machine is
   * given after it. Machine N is `domain-N` in it. Absent: the engine has no queue of requests to put in order.
   */
  applyPolicy?(policy: IoPolicy): void;
  /** Absent: the engine runs no operating systems of the user's. */
  readonly run?: Run;
  /** Ends whatever the engine keeps between machines (a hypervisor process). Never rejects. */
  close(): Promise<void>;
}
