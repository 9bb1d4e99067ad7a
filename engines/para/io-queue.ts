/**
 * The I/O queue: every disk and network request of every domain passes through it, and the policy puts them in order. It lies in the
 * hypervisor's memory under one lock, so whichever thread has something to do with it does it.
 *
 *     ring ──admit()──► waiting (by flow) ──dispatch(): policy──► ready list of its vCPU ──takeReady()──► core OS driver
 *                                                                             finish() ◄── completion ◄──┘
 *
 * The policy decides *when* a request starts: at most `depth` are with the devices of a class at once. The thread of the vCPU that the
 * request is from does the I/O (DESIGN rule 7): straight into its memory, and its completion comes back to the same thread.
 *
 * Locks: the queue's lock is the innermost. Nothing else is acquired while it is held, and nobody is woken.
 */

import { Lock } from '../backends/lock.js';
import type { IoPolicy } from '../io-policy.js';
import { DOMID_CORE_OS } from './abi.js';
import { clockNs } from './clock.js';
import { askCoreOs, mayLend, rouse } from './core-os/rouse.js';
import type { EventChannels } from './event-channels.js';
import {
  flowWord,
  type HypervisorMemory,
  LOCK_QUEUE,
  QUEUE,
  QUEUE_HEADER_WORD,
  QUEUE_SLOTS,
  SLOT,
  SlotState,
  VCPU,
} from './hypervisor-memory.js';
import { takeFollowing } from './io-queue/merge.js';
import { applyPolicy, type NamedDomain } from './io-queue/policy.js';
import { DEVICES, Device, type DeviceClass, domainOfFlow, flowOf, REC } from './io-queue/records.js';
import { Scheduler } from './io-queue/scheduler.js';
import { listAppend, listTake, NO_SLOT, type Slot, slotWord } from './io-queue/slots.js';

export { NO_SLOT, type Slot, slotWord };

const HEADER = QUEUE_HEADER_WORD;
/** Bits of VCPU.attention: what another thread wants the vCPU's thread to look at. */
export const ATTENTION_BLOCK = 1;
export const ATTENTION_READY = 4;
export const ATTENTION_BURST = 8;
export const ATTENTION_RESTART = 16;

export class IoQueue {
  private readonly i32: Int32Array;
  private readonly lock: Lock;
  private readonly scheduler: Scheduler;
  /** vCPUs to be woken once the lock is released: domain << 5 | vcpu. */
  private readonly toWake: number[] = [];
  /** The same, for a released block request. */
  private readonly toRouse: number[] = [];

  constructor(
    private readonly hv: HypervisorMemory,
    private readonly events: EventChannels,
    private readonly now: () => number = clockNs,
  ) {
    this.i32 = hv.i32;
    this.lock = new Lock(hv.i32, LOCK_QUEUE);
    this.scheduler = new Scheduler(hv);
  }

  /** A slot for the caller to fill; NO_SLOT when all are in use. */
  allocate(): Slot {
    this.lock.acquire();
    const slot = this.i32[HEADER + QUEUE.free];
    if (slot !== NO_SLOT) this.i32[HEADER + QUEUE.free] = this.i32[slotWord(slot) + SLOT.next];
    this.lock.release();
    if (slot !== NO_SLOT) {
      this.i32[slotWord(slot) + SLOT.together] = NO_SLOT;
      this.i32[slotWord(slot) + SLOT.table] = -1;
      this.hv.f64[(slotWord(slot) + SLOT.extent) / 2] = 0;
    }
    return slot;
  }

  /** A filled slot (SLOT.domain, vcpu, bytes at least) begins to wait: so many operations on a device of this class. */
  admit(slot: Slot, device: DeviceClass, operations = 1): void {
    const { i32 } = this;
    const word = slotWord(slot);
    i32[word + SLOT.device] = device;
    i32[word + SLOT.operations] = operations;
    const now = this.now();
    this.lock.acquire();
    this.scheduler.push(slot, now);
    this.lock.release();
  }

  /** Gives waiting requests to their vCPUs' threads as far as the policy lets; wakes those of other vCPUs than the caller's. */
  dispatch(callerDomain: number, callerVcpu: number): void {
    if (Atomics.load(this.i32, HEADER + QUEUE.waiting) === 0) return;
    const now = this.now();
    this.lock.acquire();
    for (let slot = this.scheduler.next(now); slot !== NO_SLOT; slot = this.scheduler.next(now)) {
      this.makeReady(slot, callerDomain, callerVcpu);
    }
    this.armSleepers(callerDomain, callerVcpu);
    this.lock.release();
    this.wakeAll(callerDomain);
  }

  /** Who sleeps for a flow that from now on waits for a time alone must set its alarm (dueInNs()). */
  private armSleepers(callerDomain: number, callerVcpu: number): void {
    const { unarmed } = this.scheduler;
    if (unarmed.length === 0) return;
    for (const flow of unarmed) {
      const slot = this.i32[flowWord(flow) + REC.head];
      if (slot === NO_SLOT) continue;
      const domain = domainOfFlow(flow);
      const vcpu = this.i32[slotWord(slot) + SLOT.vcpu];
      const owner = (domain << 5) | vcpu;
      if ((domain !== callerDomain || vcpu !== callerVcpu) && !this.toWake.includes(owner)) this.toWake.push(owner);
    }
    unarmed.length = 0;
  }

  private makeReady(slot: Slot, callerDomain: number, callerVcpu: number): void {
    const { i32 } = this;
    const word = slotWord(slot);
    const domain = i32[word + SLOT.domain];
    const vcpu = i32[word + SLOT.vcpu];
    const owner = this.hv.vcpuWord(domain, vcpu);
    i32[word + SLOT.driver] = -1;
    if (i32[word + SLOT.device] === Device.vif) {
      listAppend(i32, owner + VCPU.burstHead, slot);
      if (domain !== callerDomain || vcpu !== callerVcpu) this.later(this.toWake, owner, ATTENTION_BURST, domain, vcpu);
      return;
    }
    listAppend(i32, owner + VCPU.readyHead, slot);
    if (domain === callerDomain && vcpu === callerVcpu && mayLend(this.hv)) return;
    this.later(this.toRouse, owner, ATTENTION_READY, domain, vcpu);
  }

  private later(list: number[], word: number, attention: number, domain: number, vcpu: number): void {
    Atomics.or(this.i32, word + VCPU.attention, attention);
    const owner = (domain << 5) | vcpu;
    if (!list.includes(owner)) list.push(owner);
  }

  /** What a thread of the core OS releases it looks at itself. */
  private wakeAll(callerDomain = -1): void {
    const { hv, events, toWake, toRouse } = this;
    for (const owner of toWake) events.wake(owner >> 5, owner & 31);
    toWake.length = 0;
    for (const owner of toRouse) {
      if (callerDomain === DOMID_CORE_OS) askCoreOs(hv, events, owner >> 5, owner & 31);
      else rouse(hv, events, owner >> 5, owner & 31);
    }
    toRouse.length = 0;
  }

  /** The next request of the vCPU's queue that the driver (its thread's kick slot) must start now. */
  takeReady(domain: number, vcpu: number, driver: number): Slot {
    return this.take(this.hv.vcpuWord(domain, vcpu) + VCPU.readyHead, driver);
  }

  /** The next burst of frames that the vCPU's thread may send now. */
  takeBurst(domain: number, vcpu: number, driver = -1): Slot {
    return this.take(this.hv.vcpuWord(domain, vcpu) + VCPU.burstHead, driver);
  }

  private take(head: number, driver: number): Slot {
    if (this.i32[head] === NO_SLOT) return NO_SLOT; // what others put in comes with attention
    this.lock.acquire();
    const first = listTake(this.i32, head);
    if (first !== NO_SLOT && this.i32[slotWord(first) + SLOT.device] === Device.vbd)
      takeFollowing(this.hv, head, first);
    for (let slot = first; slot !== NO_SLOT; slot = this.i32[slotWord(slot) + SLOT.together]) {
      this.i32[slotWord(slot) + SLOT.driver] = driver;
    }
    this.lock.release();
    return first;
  }

  /**
   * The driver is no more, and nothing that it began is under way any more: what it has not answered is to be started again, each
   * request by itself. Nothing that overlaps it has begun meanwhile (overlaps.ts). Returns how many there were.
   */
  recover(driver: number): number {
    const { i32 } = this;
    this.lock.acquire();
    const slots: Slot[] = [];
    for (let slot = 0; slot < QUEUE_SLOTS; slot++) {
      const word = slotWord(slot);
      if (i32[word + SLOT.state] === SlotState.begun && i32[word + SLOT.driver] === driver) slots.push(slot);
    }
    for (const slot of slots) {
      i32[slotWord(slot) + SLOT.together] = NO_SLOT;
      this.makeReady(slot, -1, -1);
    }
    this.lock.release();
    this.wakeAll();
    return slots.length;
  }

  /** A started request is done: its slot is free and the next may start. */
  finish(slot: Slot, callerDomain: number, callerVcpu: number): void {
    const now = this.i32[HEADER + QUEUE.targets] === 0 ? 0 : this.now();
    this.lock.acquire();
    this.scheduler.finish(slot, now);
    this.free(slot);
    this.lock.release();
    this.dispatch(callerDomain, callerVcpu);
  }

  /** A burst moved other than was admitted: the difference counts too. */
  correct(domain: number, device: DeviceClass, operations: number, bytes: number): void {
    const now = this.now();
    this.lock.hold(() => this.scheduler.charge(flowOf(domain, device), now, operations, bytes));
  }

  /** How long a thread of the domain may sleep before it must dispatch() what waits for caps alone; Infinity: for ever. */
  dueInNs(domain: number): number {
    let due = Number.POSITIVE_INFINITY;
    for (let device = 0; device < DEVICES; device++) {
      const word = flowWord(flowOf(domain, device as DeviceClass));
      if (this.i32[word + REC.waiting] === 0) continue;
      const one = this.hv.f64[word / 2 + REC.due];
      if (one !== 0 && one < due) due = one;
    }
    return due === Number.POSITIVE_INFINITY ? due : Math.max(0, due - this.now());
  }

  /** Puts a policy into force. What waits is ordered by it from now on; nothing is lost, and what has begun goes on. */
  apply(policy: IoPolicy, domains: readonly NamedDomain[]): void {
    applyPolicy(this.hv, policy, domains);
    this.dispatch(-1, -1);
    // Whoever sleeps until a cap lets its next request start looks again: it may be sooner now.
    for (const { id } of domains) {
      for (let device = 0; device < DEVICES; device++) this.wakeFirst(flowOf(id, device as DeviceClass));
    }
    this.wakeAll();
  }

  private wakeFirst(flow: number): void {
    this.lock.acquire();
    const slot = this.i32[flowWord(flow) + REC.head];
    if (slot !== NO_SLOT) this.toWake.push((domainOfFlow(flow) << 5) | this.i32[slotWord(slot) + SLOT.vcpu]);
    this.lock.release();
  }

  /** A domain has ended and none of its threads runs: its requests are forgotten. Returns how many there were. */
  removeDomain(domain: number): number {
    this.lock.acquire();
    const waiting = this.scheduler.removeDomain(domain);
    for (const slot of waiting) this.free(slot);
    let begun = 0;
    for (let slot = 0; slot < QUEUE_SLOTS; slot++) {
      const word = slotWord(slot);
      if (this.i32[word + SLOT.domain] !== domain || this.i32[word + SLOT.state] !== SlotState.begun) continue;
      this.scheduler.finish(slot, 0);
      this.free(slot);
      begun++;
    }
    this.scheduler.forgetFlows(domain);
    this.lock.release();
    this.dispatch(-1, -1);
    return waiting.length + begun;
  }

  private free(slot: Slot): void {
    this.i32[slotWord(slot) + SLOT.next] = this.i32[HEADER + QUEUE.free];
    this.i32[slotWord(slot) + SLOT.domain] = 0;
    this.i32[slotWord(slot) + SLOT.state] = SlotState.free;
    this.i32[HEADER + QUEUE.free] = slot;
  }
}
