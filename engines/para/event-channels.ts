/**
 * Event channels. A channel is one word of the hypervisor's memory, so that a reader without the lock never sees half a binding:
 *
 *     bits 0-2 state (EVTCHNSTAT_*)   3-7 vCPU that its events go to   8-15 remote domain   16-25 remote port, or VIRQ
 *     bits 26-29 priority XOR the default, so that a new channel has 0 there
 *
 * Bindings change under one global lock. Pending bits are kept per vCPU here, in the hypervisor's memory, and are copied into the
 * guest's vcpu_info by the vCPU's own thread (deliver), so a sender never touches another domain's memory.
 *
 * No wake-up is lost: a sender sets the pending bit, then the selector, then looks whether the vCPU sleeps; a vCPU declares that
 * it sleeps, then looks at the selector (sched.ts), and a kick that comes before the sleep ends it (IoContext.wait).
 */
import type { Kicker } from '../backends/io.js';
import { Lock } from '../backends/lock.js';
import {
  DOMID_CORE_OS,
  EVTCHN_FIFO_PRIORITY_DEFAULT,
  EVTCHN_FIFO_PRIORITY_MIN,
  EVTCHNSTAT_closed,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_ipi,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
  PARA_EEXIST,
  PARA_EINVAL,
  PARA_ENOSPC,
  PARA_EPERM,
  PARA_MAX_PORTS,
  VIRQ_CONSOLE,
  VIRQ_STORE,
  VIRQ_TIMER,
  vcpu_info,
} from './abi.js';
import type { GuestAddress, GuestMemory } from './guest-memory.js';
import {
  DOM,
  DomainState,
  type HypervisorMemory,
  LOCK_EVENTS,
  MAX_DOMAINS,
  VCPU,
  VcpuState,
} from './hypervisor-memory.js';

/** A channel's word, taken apart. */
export const channelState = (word: number): number => word & 7;
export const channelVcpu = (word: number): number => (word >>> 3) & 31;
export const channelRemoteDomain = (word: number): number => (word >>> 8) & 255;
export const channelRemotePort = (word: number): number => (word >>> 16) & 1023;
export const channelPriority = (word: number): number => ((word >>> 26) & 15) ^ EVTCHN_FIFO_PRIORITY_DEFAULT;
const PRIORITY = 15 << 26;
const VCPU_BITS = 31 << 3;
const DEFAULT_SELECTOR = vcpu_info.evtchn_pending_sel + 4 * EVTCHN_FIFO_PRIORITY_DEFAULT;
const DEFAULT_PENDING = vcpu_info.evtchn_pending + 128 * EVTCHN_FIFO_PRIORITY_DEFAULT;
const channel = (state: number, vcpu: number, domain = 0, port = 0): number =>
  state | (vcpu << 3) | (domain << 8) | (port << 16);

export class EventChannels {
  private readonly i32: Int32Array;
  private readonly lock: Lock;

  /** `self`: word of the vCPU whose thread this object belongs to; -1 on the main thread. */
  constructor(
    private readonly hv: HypervisorMemory,
    private readonly kicker: Kicker,
    private readonly self = -1,
  ) {
    this.i32 = hv.i32;
    this.lock = new Lock(hv.i32, LOCK_EVENTS);
  }

  /* ---- sending ---- */

  /** Makes the port's event pending; wakes its vCPU if that sleeps. Any thread, any domain; a stale port does no harm. */
  setPending(domain: number, port: number): void {
    const at = this.hv.channelWord(domain, port);
    let vcpu = channelVcpu(Atomics.load(this.i32, at));
    for (;;) {
      this.pend(this.hv.vcpuWord(domain, vcpu), port);
      // bindVcpu() moves what it finds pending; what was put where it had looked already goes the same way now.
      const now = channelVcpu(Atomics.load(this.i32, at));
      if (now === vcpu) return;
      vcpu = now;
    }
  }

  private pend(base: number, port: number): void {
    Atomics.or(this.i32, base + VCPU.pending + (port >>> 5), 1 << (port & 31));
    Atomics.or(this.i32, base + VCPU.pendingSelector, 1 << (port >>> 5));
    this.wakeAt(base);
  }

  /** Ends the sleep of a vCPU, now or the one that it is about to begin. */
  wake(domain: number, vcpu: number): void {
    this.wakeAt(this.hv.vcpuWord(domain, vcpu));
  }

  /** A thread does not wake itself: an event that a completion raises inside of its own wait() is seen when that returns. */
  private wakeAt(base: number): void {
    if (base === this.self) return;
    const state = Atomics.load(this.i32, base + VCPU.state);
    if (state !== VcpuState.running)
      // blocked, or parked while it is down
      this.kicker.kick(this.i32[base + VCPU.kickSlot]);
  }

  /** The channel's word, or 0 (closed) for a number that is no port. */
  read(domain: number, port: number): number {
    return isPort(port) ? Atomics.load(this.i32, this.hv.channelWord(domain, port)) : 0;
  }

  /* ---- delivery ---- */

  /** Copies what is pending and not masked into the vCPU's vcpu_info. By the vCPU's own thread. True if there was any. */
  deliver(domain: number, vcpu: number, memory: GuestMemory, info: GuestAddress): boolean {
    const base = this.hv.vcpuWord(domain, vcpu);
    if (this.i32[base + VCPU.pendingSelector] === 0) return false;
    const words = Atomics.exchange(this.i32, base + VCPU.pendingSelector, 0);
    const prioritized = this.i32[this.hv.domainWord(domain) + DOM.prioritized] !== 0;
    let selector = 0;
    let any = false;
    for (let w = 0; w < 32; w++) {
      if ((words & (1 << w)) === 0) continue;
      const mask = memory.u32(info, vcpu_info.evtchn_mask + 4 * w);
      const open = Atomics.and(this.i32, base + VCPU.pending + w, mask) & ~mask;
      if (open === 0) continue;
      if (prioritized) this.deliverByPriority(domain, memory, info, w, open);
      else {
        Atomics.or(memory.i32, (info + DEFAULT_PENDING + 4 * w) >> 2, open);
        selector |= 1 << w;
      }
      any = true;
    }
    if (selector !== 0) {
      Atomics.or(memory.i32, (info + DEFAULT_SELECTOR) >> 2, selector);
      Atomics.or(memory.i32, (info + vcpu_info.evtchn_ready) >> 2, 1 << EVTCHN_FIFO_PRIORITY_DEFAULT);
    }
    return any;
  }

  /** One word of pending bits, in a domain that has set priorities. */
  private deliverByPriority(domain: number, memory: GuestMemory, info: GuestAddress, w: number, open: number): void {
    for (let left = open; left !== 0; left &= left - 1) {
      const bit = left & -left;
      const port = 32 * w + 31 - Math.clz32(bit);
      const q = channelPriority(Atomics.load(this.i32, this.hv.channelWord(domain, port)));
      Atomics.or(memory.i32, (info + vcpu_info.evtchn_pending + 128 * q + 4 * w) >> 2, bit);
      Atomics.or(memory.i32, (info + vcpu_info.evtchn_pending_sel + 4 * q) >> 2, 1 << w);
      Atomics.or(memory.i32, (info + vcpu_info.evtchn_ready) >> 2, 1 << q);
    }
  }

  /** Clears the port's mask bit in the vcpu_info of the vCPU that it is bound to; what is pending there is looked at again. */
  unmask(domain: number, port: number, memory: GuestMemory): number {
    if (!isPort(port)) return -PARA_EINVAL;
    const base = this.hv.vcpuWord(domain, channelVcpu(this.read(domain, port)));
    const info = this.i32[base + VCPU.info];
    if (info === 0) return -PARA_EINVAL;
    const w = port >>> 5;
    Atomics.and(memory.i32, (info + vcpu_info.evtchn_mask + 4 * w) >> 2, ~(1 << (port & 31)));
    if (Atomics.load(this.i32, base + VCPU.pending + w) === 0) return 0;
    Atomics.or(this.i32, base + VCPU.pendingSelector, 1 << w);
    this.wakeAt(base);
    return 0;
  }

  setPriority(domain: number, port: number, priority: number): number {
    if (!isPort(port) || priority > EVTCHN_FIFO_PRIORITY_MIN) return -PARA_EINVAL;
    return this.lock.hold(() => {
      const at = this.hv.channelWord(domain, port);
      const word = this.i32[at];
      if (channelState(word) === EVTCHNSTAT_closed) return -PARA_EINVAL;
      Atomics.store(this.i32, at, (word & ~PRIORITY) | ((priority ^ EVTCHN_FIFO_PRIORITY_DEFAULT) << 26));
      if (priority !== EVTCHN_FIFO_PRIORITY_DEFAULT) this.i32[this.hv.domainWord(domain) + DOM.prioritized] = 1;
      return 0;
    });
  }

  /* ---- binding; each returns a port or 0, or a negative errno ---- */

  allocUnbound(domain: number, vcpu: number, remote: number): number {
    if (remote >= MAX_DOMAINS) return -PARA_EINVAL;
    return this.lock.hold(() => this.allocate(domain, channel(EVTCHNSTAT_unbound, vcpu, remote)));
  }

  bindInterdomain(domain: number, remote: number, remotePort: number): number {
    if (remote >= MAX_DOMAINS || !isPort(remotePort)) return -PARA_EINVAL;
    return this.lock.hold(() => {
      const other = this.unboundFor(remote, remotePort, domain);
      if (other < 0) return other;
      const port = this.allocate(domain, channel(EVTCHNSTAT_interdomain, 0, remote, remotePort));
      if (port > 0) this.bindEnd(remote, remotePort, domain, port);
      return port;
    });
  }

  /** The core OS takes the other end of a channel that was allocated for it; `backEnd` (0..1023) says who in the core OS. */
  bindCoreOs(domain: number, port: number, backEnd: number): number {
    if (!isPort(port)) return -PARA_EINVAL;
    return this.lock.hold(() => {
      const error = this.unboundFor(domain, port, DOMID_CORE_OS);
      if (error < 0) return error;
      this.bindEnd(domain, port, DOMID_CORE_OS, backEnd);
      return 0;
    });
  }

  bindVirq(domain: number, vcpu: number, virq: number): number {
    const at =
      virq === VIRQ_TIMER
        ? this.hv.vcpuWord(domain, vcpu) + VCPU.timerPort
        : virq === VIRQ_CONSOLE
          ? this.hv.domainWord(domain) + DOM.consolePort
          : virq === VIRQ_STORE
            ? this.hv.domainWord(domain) + DOM.storePort
            : 0;
    if (at === 0) return -PARA_EINVAL;
    return this.lock.hold(() => {
      if (this.i32[at] !== 0) return -PARA_EEXIST;
      const port = this.allocate(domain, channel(EVTCHNSTAT_virq, vcpu, 0, virq));
      if (port > 0) Atomics.store(this.i32, at, port);
      if (port > 0 && virq === VIRQ_STORE) this.setPending(domain, port); // watches may have fired before
      return port;
    });
  }

  bindIpi(domain: number, vcpu: number): number {
    return this.lock.hold(() => this.allocate(domain, channel(EVTCHNSTAT_ipi, vcpu)));
  }

  bindVcpu(domain: number, port: number, vcpu: number): number {
    if (!isPort(port)) return -PARA_EINVAL;
    return this.lock.hold(() => {
      const at = this.hv.channelWord(domain, port);
      const word = this.i32[at];
      const state = channelState(word);
      const fixed = state === EVTCHNSTAT_ipi || (state === EVTCHNSTAT_virq && channelRemotePort(word) === VIRQ_TIMER);
      if (state === EVTCHNSTAT_closed || fixed) return -PARA_EINVAL;
      Atomics.store(this.i32, at, (word & ~(31 << 3)) | (vcpu << 3));
      const bit = 1 << (port & 31);
      const from = this.hv.vcpuWord(domain, channelVcpu(word)) + VCPU.pending + (port >>> 5);
      if ((Atomics.and(this.i32, from, ~bit) & bit) !== 0) this.pend(this.hv.vcpuWord(domain, vcpu), port);
      return 0;
    });
  }

  close(domain: number, port: number): number {
    if (!isPort(port)) return -PARA_EINVAL;
    return this.lock.hold(() => this.closeLocked(domain, port));
  }

  /** Closes every channel of a domain that ends: peers see theirs become unbound. */
  closeAll(domain: number): void {
    this.lock.hold(() => {
      for (let port = 1; port < PARA_MAX_PORTS; port++) this.closeLocked(domain, port);
    });
  }

  private closeLocked(domain: number, port: number): number {
    const at = this.hv.channelWord(domain, port);
    const word = this.i32[at];
    const state = channelState(word);
    if (state === EVTCHNSTAT_closed) return -PARA_EINVAL;
    if (state === EVTCHNSTAT_virq) this.forgetVirq(domain, word, port);
    const remote = channelRemoteDomain(word);
    if (state === EVTCHNSTAT_interdomain && remote !== DOMID_CORE_OS) {
      const other = this.hv.channelWord(remote, channelRemotePort(word));
      const kept = this.i32[other] & (PRIORITY | VCPU_BITS);
      Atomics.store(this.i32, other, kept | channel(EVTCHNSTAT_unbound, 0, domain));
    }
    Atomics.store(this.i32, at, 0);
    const base = this.hv.vcpuWord(domain, channelVcpu(word));
    Atomics.and(this.i32, base + VCPU.pending + (port >>> 5), ~(1 << (port & 31)));
    return 0;
  }

  private forgetVirq(domain: number, word: number, port: number): void {
    const timer = this.hv.vcpuWord(domain, channelVcpu(word)) + VCPU.timerPort;
    const header = this.hv.domainWord(domain);
    for (const at of [timer, header + DOM.consolePort, header + DOM.storePort])
      Atomics.compareExchange(this.i32, at, port, 0);
  }

  /** 0 if `port` of `domain` waits for `binder`. */
  private unboundFor(domain: number, port: number, binder: number): number {
    const state = this.i32[this.hv.domainWord(domain) + DOM.state];
    const word = this.i32[this.hv.channelWord(domain, port)];
    if (state !== DomainState.running || channelState(word) !== EVTCHNSTAT_unbound) return -PARA_EINVAL;
    return channelRemoteDomain(word) === binder ? 0 : -PARA_EPERM;
  }

  private bindEnd(domain: number, port: number, remote: number, remotePort: number): void {
    const at = this.hv.channelWord(domain, port);
    const kept = this.i32[at] & (PRIORITY | VCPU_BITS);
    Atomics.store(this.i32, at, kept | channel(EVTCHNSTAT_interdomain, 0, remote, remotePort));
  }

  private allocate(domain: number, word: number): number {
    for (let port = 1; port < PARA_MAX_PORTS; port++) {
      const at = this.hv.channelWord(domain, port);
      if (this.i32[at] !== 0) continue;
      Atomics.store(this.i32, at, word);
      return port;
    }
    return -PARA_ENOSPC;
  }
}

const isPort = (port: number): boolean => port >= 1 && port < PARA_MAX_PORTS;
