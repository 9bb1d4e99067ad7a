/**
 * Where the time of each vCPU went (vcpu_op, struct vcpu_runstate_info). Measured, not counted: the host's scheduler says how long
 * the vCPU's thread ran and how long it was runnable and waited (schedstat, Documentation/scheduler/sched-stats.rst; the latter is
 * steal time), the clock says how long the vCPU was down; what is left of the time is what it slept: blocked.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import {
  RUNSTATE_blocked,
  RUNSTATE_offline,
  RUNSTATE_running,
  vcpu_runstate_info,
  XEN_RUNSTATE_UPDATE_HIGH,
} from './abi.js';
import { clockNs } from './clock.js';
import { threadCpuNs } from './cpu-clock.js';
import type { GuestAddress, GuestMemory } from './guest-memory.js';
import { type HypervisorMemory, RUNSTATE_F64, VCPU, VcpuState } from './hypervisor-memory.js';

export interface Runstate {
  state: number;
  sinceNs: number;
  /** By RUNSTATE_*. */
  timeNs: [number, number, number, number];
}

interface Spent {
  cpu: number;
  delay: number;
}

const TEXT_BYTES = 64;

/** Run delay of a thread of this process, from a file that is kept open. */
export class SchedStat {
  private readonly fd: number | undefined;
  private readonly text = Buffer.alloc(TEXT_BYTES);

  constructor(private readonly tid: number) {
    this.fd = openStat(tid);
  }

  /** undefined where the host does not tell (no CONFIG_SCHED_INFO), or the thread is gone. */
  read(): Spent | undefined {
    const cpu = threadCpuNs(this.tid);
    if (this.fd === undefined || cpu === undefined) return undefined;
    try {
      const bytes = readSync(this.fd, this.text, 0, TEXT_BYTES, 0);
      const delay = Number(this.text.toString('latin1', 0, bytes).split(' ')[1]);
      return Number.isFinite(delay) ? { cpu, delay } : undefined;
    } catch {
      return undefined;
    }
  }

  close(): void {
    if (this.fd !== undefined) closeSync(this.fd);
  }
}

function openStat(tid: number): number | undefined {
  try {
    return openSync(`/proc/self/task/${tid}/schedstat`, 'r');
  } catch {
    return undefined;
  }
}

/** A domain begins: all of its vCPUs are down. */
export function beginAccounts(hv: HypervisorMemory, domain: number, vcpus: number): void {
  const now = clockNs();
  for (let vcpu = 0; vcpu < vcpus; vcpu++) hv.f64[hv.vcpuF64(domain, vcpu) + SINCE] = now;
}

const BASE = VCPU.runstateF64;
const SINCE = BASE + RUNSTATE_F64.since;
const RETRIES = 100;

/** The accounts of one vCPU, written by its own thread and read by any. */
export class RunstateAccounts {
  private readonly word: number;
  private readonly base: number;

  constructor(
    private readonly hv: HypervisorMemory,
    domain: number,
    vcpu: number,
    private readonly stat: Pick<SchedStat, 'read'>,
  ) {
    this.word = hv.vcpuWord(domain, vcpu);
    this.base = hv.vcpuF64(domain, vcpu) + BASE;
  }

  private get(field: number): number {
    return this.hv.f64[this.base + field];
  }

  private set(field: number, value: number): void {
    this.hv.f64[this.base + field] = value;
  }

  /** The vCPU begins to run guest code. */
  up(): void {
    const now = clockNs();
    const spent = this.stat.read();
    this.change(() => {
      this.set(RUNSTATE_F64.offline, this.get(RUNSTATE_F64.offline) + now - this.get(RUNSTATE_F64.since));
      this.set(RUNSTATE_F64.upSince, now);
      this.set(RUNSTATE_F64.since, now);
      this.set(RUNSTATE_F64.cpu, spent?.cpu ?? 0);
      this.set(RUNSTATE_F64.delay, spent?.delay ?? 0);
    });
  }

  /** It runs none any more. */
  down(): void {
    const now = clockNs();
    const { running, runnable, blocked } = this.sums(now);
    this.change(() => {
      this.set(RUNSTATE_F64.running, running);
      this.set(RUNSTATE_F64.runnable, runnable);
      this.set(RUNSTATE_F64.blocked, blocked);
      this.set(RUNSTATE_F64.upSince, 0);
      this.set(RUNSTATE_F64.since, now);
    });
  }

  /** It blocks, or runs again. */
  enter(now: number): void {
    this.set(RUNSTATE_F64.since, now);
  }

  private change(action: () => void): void {
    const { i32 } = this.hv;
    Atomics.add(i32, this.word + VCPU.runstateEpoch, 1);
    action();
    Atomics.add(i32, this.word + VCPU.runstateEpoch, 1);
  }

  private sums(now: number): { running: number; runnable: number; blocked: number } {
    const sums = {
      running: this.get(RUNSTATE_F64.running),
      runnable: this.get(RUNSTATE_F64.runnable),
      blocked: this.get(RUNSTATE_F64.blocked),
    };
    const upSince = this.get(RUNSTATE_F64.upSince);
    const spent = upSince === 0 ? undefined : this.stat.read();
    if (spent === undefined) return sums;
    const running = spent.cpu - this.get(RUNSTATE_F64.cpu);
    const runnable = spent.delay - this.get(RUNSTATE_F64.delay);
    return {
      running: sums.running + running,
      runnable: sums.runnable + runnable,
      blocked: sums.blocked + Math.max(0, now - upSince - running - runnable),
    };
  }

  /** From any thread; undefined when the host does not tell. */
  read(): Runstate | undefined {
    const { i32 } = this.hv;
    if (this.stat.read() === undefined) return undefined;
    for (let attempt = 0; ; attempt++) {
      const epoch = Atomics.load(i32, this.word + VCPU.runstateEpoch);
      const result = this.readOnce();
      const settled = (epoch & 1) === 0 && Atomics.load(i32, this.word + VCPU.runstateEpoch) === epoch;
      if (settled || attempt === RETRIES) return result;
    }
  }

  private readOnce(): Runstate {
    const now = clockNs();
    const sinceNs = this.get(RUNSTATE_F64.since);
    const { running, runnable, blocked } = this.sums(now);
    const down = this.get(RUNSTATE_F64.upSince) === 0 ? Math.max(0, now - sinceNs) : 0;
    return {
      state: this.state(),
      sinceNs,
      timeNs: [running, runnable, blocked, this.get(RUNSTATE_F64.offline) + down],
    };
  }

  private state(): number {
    if (this.get(RUNSTATE_F64.upSince) === 0) return RUNSTATE_offline;
    const blocked = Atomics.load(this.hv.i32, this.word + VCPU.state) === VcpuState.blocked;
    return blocked ? RUNSTATE_blocked : RUNSTATE_running;
  }
}

/** Of any vCPU, by any thread; undefined where the host does not tell. */
export function runstateOf(hv: HypervisorMemory, domain: number, vcpu: number): Runstate | undefined {
  const stat = new SchedStat(Atomics.load(hv.i32, hv.vcpuWord(domain, vcpu) + VCPU.tid));
  try {
    return new RunstateAccounts(hv, domain, vcpu, stat).read();
  } finally {
    stat.close();
  }
}

const HALF = 4;
const TWO_32 = 2 ** 32;

/** Writes all of it, with Xen's update protocol: the flag, the fields, the entry time without the flag. */
export function writeRunstate(memory: GuestMemory, at: GuestAddress, { state, sinceNs, timeNs }: Runstate): void {
  markUpdate(memory, at);
  memory.setU32(at, vcpu_runstate_info.state, state);
  timeNs.forEach((ns, which) => {
    memory.setU64(at, vcpu_runstate_info.time + 8 * which, Math.max(0, Math.round(ns)));
  });
  finishUpdate(memory, at, sinceNs);
}

/** The state alone: the vCPU is about to sleep. */
export function writeState(memory: GuestMemory, at: GuestAddress, state: number, sinceNs: number): void {
  markUpdate(memory, at);
  memory.setU32(at, vcpu_runstate_info.state, state);
  finishUpdate(memory, at, sinceNs);
}

function markUpdate(memory: GuestMemory, at: GuestAddress): void {
  const entry = (at + vcpu_runstate_info.state_entry_time + HALF) >> 2;
  Atomics.or(memory.i32, entry, XEN_RUNSTATE_UPDATE_HIGH | 0);
}

function finishUpdate(memory: GuestMemory, at: GuestAddress, sinceNs: number): void {
  memory.setU32(at, vcpu_runstate_info.state_entry_time, sinceNs % TWO_32);
  memory.setU32(at, vcpu_runstate_info.state_entry_time + HALF, sinceNs / TWO_32);
}
