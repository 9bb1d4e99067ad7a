/** A vCPU as its own thread sees it: what every hypercall is made with. Its state is in the hypervisor's memory, not here. */
import type { IoContext } from '../backends/io.js';
import { vcpu_info } from './abi.js';
import { clockNs } from './clock.js';
import type { CoreOsThread } from './core-os/thread.js';
import { counterIndex } from './counters.js';
import type { EventChannels } from './event-channels.js';
import type { GuestAddress, GuestMemory } from './guest-memory.js';
import { DOM, DomainState, type HypervisorMemory, VCPU } from './hypervisor-memory.js';

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
  /** Words of the domain's header and of this vCPU in hv.i32; its 64-bit fields and counters in hv.f64. */
  readonly domainWord: number;
  readonly word: number;
  readonly timerF64: number;
  readonly counters: number;

  constructor(readonly parts: VcpuParts) {
    const { domain, id, hv } = parts;
    this.domain = domain;
    this.id = id;
    this.hv = hv;
    this.memory = parts.memory;
    this.events = parts.events;
    this.io = parts.io;
    this.coreOs = parts.coreOs;
    this.domainWord = hv.domainWord(domain);
    this.word = hv.vcpuWord(domain, id);
    this.timerF64 = hv.vcpuF64(domain, id) + VCPU.timerF64;
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
    return this.memory.u32(info, vcpu_info.evtchn_upcall_pending) !== 0;
  }

  /** Nanoseconds until the singleshot timer is due; Infinity without one. */
  timerInNs(): number {
    const deadline = this.hv.f64[this.timerF64];
    return deadline === 0 ? Number.POSITIVE_INFINITY : Math.max(0, deadline - clockNs());
  }

  private fireTimer(): void {
    const deadline = this.hv.f64[this.timerF64];
    if (deadline === 0 || clockNs() < deadline) return;
    this.hv.f64[this.timerF64] = 0;
    const port = Atomics.load(this.hv.i32, this.word + VCPU.timerPort);
    if (port === 0) return;
    this.count(TIMERS_FIRED);
    this.events.setPending(this.domain, port);
  }
}
