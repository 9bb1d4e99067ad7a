/** A vCPU as its own thread sees it: what every hypercall is made with. Its state is in the hypervisor's memory, not here. */
import type { IoContext } from '../backends/io.js';
import { PARA_RUNSTATE_NS, RUNSTATE_blocked, RUNSTATE_offline, RUNSTATE_running, vcpu_info } from './abi.js';
import { clockNs } from './clock.js';
import type { CoreOsThread } from './core-os/thread.js';
import { counterIndex } from './counters.js';
import type { EventChannels } from './event-channels.js';
import type { GuestAddress, GuestMemory } from './guest-memory.js';
import { DOM, DomainState, type HypervisorMemory, VCPU } from './hypervisor-memory.js';
import { type Runstate, type RunstateAccounts, runstateOf, writeRunstate, writeState } from './runstate.js';

/** Thrown through the guest's frames when its domain ends or the vCPU goes down: the guest runs no further. */
export class VcpuStop extends Error {
  override readonly name = 'VcpuStop';
}

/** Thrown likewise when the guest broke the contract; the message says how, and becomes the reason of the domain's crash. */
export class GuestCrash extends Error {
  override readonly name = 'GuestCrash';
}

export interface VcpuParts {
  domain: number;
  id: number;
  hv: HypervisorMemory;
  memory: GuestMemory;
  events: EventChannels;
  io: IoContext;
  coreOs: CoreOsThread;
  accounts: RunstateAccounts;
  /** Tells the main thread that something is to be fetched: console output. */
  notifyMain: () => void;
  /** Another domain's memory, for GNTTABOP_copy; undefined when there is no such domain. */
  memoryOf: (domain: number) => GuestMemory | undefined;
}

const TIMERS_FIRED = counterIndex('timers_fired');
const BOUNCED = counterIndex('bounced');
const WAITS = counterIndex('waits');
const IO_SYSCALLS = counterIndex('io_syscalls');
const KICKS_RECEIVED = counterIndex('kicks_received');
const EVENTS_DELIVERED = counterIndex('events_delivered');

export class Vcpu {
  readonly domain: number;
  readonly id: number;
  readonly hv: HypervisorMemory;
  readonly memory: GuestMemory;
  readonly events: EventChannels;
  readonly io: IoContext;
  readonly coreOs: CoreOsThread;
  readonly accounts: RunstateAccounts;
  /** Words of the domain's header and of this vCPU in hv.i32; its 64-bit fields and counters in hv.f64. */
  readonly domainWord: number;
  readonly word: number;
  private readonly f64Base: number;
  private readonly timerF64: number;
  readonly counters: number;
  /** When the times in the registered area were read last. */
  private published = 0;

  constructor(readonly parts: VcpuParts) {
    const { domain, id, hv } = parts;
    this.domain = domain;
    this.id = id;
    this.hv = hv;
    this.memory = parts.memory;
    this.events = parts.events;
    this.io = parts.io;
    this.coreOs = parts.coreOs;
    this.accounts = parts.accounts;
    this.domainWord = hv.domainWord(domain);
    this.word = hv.vcpuWord(domain, id);
    this.f64Base = hv.vcpuF64(domain, id);
    this.timerF64 = this.f64Base + VCPU.timerF64;
    this.counters = hv.vcpuF64(domain, id) + VCPU.countersF64;
  }

  count(counter: number, by = 1): void {
    this.hv.f64[this.counters + counter] += by;
  }

  get vcpus(): number {
    return this.hv.i32[this.domainWord + DOM.vcpus];
  }

  /** Address of its vcpu_info, 0 if it has not registered one. */
  get info(): GuestAddress {
    return this.hv.i32[this.word + VCPU.info] as GuestAddress;
  }

  /** What the IoContext counts for itself, into this vCPU's counters. */
  publishIoCounters(): void {
    const { bounced, waits, syscalls, kicksReceived } = this.io.counters;
    const { f64 } = this.hv;
    f64[this.counters + BOUNCED] = bounced;
    f64[this.counters + WAITS] = waits;
    f64[this.counters + IO_SYSCALLS] = syscalls;
    f64[this.counters + KICKS_RECEIVED] = kicksReceived;
  }

  /* ---- run state (runstate.ts) ---- */

  /** Address of its registered vcpu_runstate_info, 0 if there is none. */
  private get area(): GuestAddress {
    return this.hv.i32[this.word + VCPU.runstateArea] as GuestAddress;
  }

  /** The vCPU is about to sleep. */
  blocks(): void {
    const now = clockNs();
    this.accounts.enter(now);
    if (this.area !== 0) writeState(this.memory, this.area, RUNSTATE_blocked, now);
  }

  /** It runs again. */
  unblocks(): void {
    this.accounts.enter(clockNs());
    this.publishRunstate();
  }

  /** After it gave its processor away. The times cost system calls, so they are not read each time. */
  publishRunstate(): void {
    if (this.area === 0) return;
    const now = clockNs();
    const times = now - this.published >= PARA_RUNSTATE_NS ? this.accounts.read() : undefined;
    if (times === undefined) writeState(this.memory, this.area, RUNSTATE_running, now);
    else {
      this.published = now;
      writeRunstate(this.memory, this.area, times);
    }
  }

  /** Of any vCPU of the domain; undefined where the host does not tell. */
  runstateOf(id: number): Runstate | undefined {
    if (id === this.id) return this.accounts.read();
    return runstateOf(this.hv, this.domain, id);
  }

  goesDown(): void {
    this.accounts.down();
    if (this.area !== 0) writeState(this.memory, this.area, RUNSTATE_offline, clockNs());
  }

  stopIfDying(): void {
    if (Atomics.load(this.hv.i32, this.domainWord + DOM.state) !== DomainState.running) throw new VcpuStop();
  }

  /**
   * What the execution contract promises for each sched_op: completions are reaped, back ends that were called for run, a due
   * timer fires, events are delivered. True if the guest has something to look at.
   */
  takeEvents(): boolean {
    this.coreOs.service();
    this.fireTimer();
    const info = this.info;
    if (info === 0) return false;
    if (this.events.deliver(this.domain, this.id, this.memory, info)) {
      this.count(EVENTS_DELIVERED);
      return true;
    }
    return this.memory.u32(info, vcpu_info.evtchn_ready) !== 0;
  }

  /** Nanoseconds until the next of both timers is due; Infinity without one. */
  timerInNs(): number {
    const due = this.hv.f64[this.timerF64];
    return due === 0 ? Number.POSITIVE_INFINITY : Math.max(0, due - clockNs());
  }

  /** 0: none. What is due is kept beside the two, since each sched_op looks at it. */
  setSingleshot(deadlineNs: number): void {
    this.setTimers(deadlineNs, this.hv.f64[this.periodic]);
  }

  /** The first time one period from now. 0: stops it. */
  setPeriodic(periodNs: number): void {
    this.hv.f64[this.f64Base + VCPU.periodF64] = periodNs;
    this.setTimers(this.hv.f64[this.singleshot], periodNs === 0 ? 0 : clockNs() + periodNs);
  }

  private get singleshot(): number {
    return this.f64Base + VCPU.singleshotF64;
  }

  private get periodic(): number {
    return this.f64Base + VCPU.periodicF64;
  }

  private setTimers(singleshot: number, periodic: number): void {
    const { f64 } = this.hv;
    f64[this.singleshot] = singleshot;
    f64[this.periodic] = periodic;
    f64[this.timerF64] = singleshot === 0 || (periodic !== 0 && periodic < singleshot) ? periodic : singleshot;
  }

  private fireTimer(): void {
    const due = this.hv.f64[this.timerF64];
    if (due !== 0) this.fireDue(clockNs());
  }

  private fireDue(now: number): void {
    const { f64 } = this.hv;
    if (now < f64[this.timerF64]) return;
    const single = f64[this.singleshot];
    const next = f64[this.periodic];
    const period = f64[this.f64Base + VCPU.periodF64];
    // Periods that have gone by are one event; the rhythm stays.
    const later = next === 0 || now < next ? next : next + (Math.floor((now - next) / period) + 1) * period;
    this.setTimers(single <= now ? 0 : single, later);
    const port = Atomics.load(this.hv.i32, this.word + VCPU.timerPort);
    if (port === 0) return;
    this.count(TIMERS_FIRED);
    this.events.setPending(this.domain, port);
  }
}
