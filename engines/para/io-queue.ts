/**
 * The I/O queue: every disk request of every domain passes through it, and the policy puts them in order. It lies in the
 * hypervisor's memory under one lock, so whichever thread has something to do with it does it.
 *
 *     ring ──admit()──► waiting (policy's order) ──dispatch()──► ready list of its vCPU ──takeReady()──► core OS driver
 *                                                                             finish() ◄── completion ◄──┘
 *
 * The policy decides *when* a request starts: at most `limit` are with the devices at once. The thread of the vCPU that the
 * request is from does the I/O (DESIGN rule 7): straight into its memory, and its completion comes back to the same thread.
 */
import { Lock } from '../backends/lock.js';
import type { EventChannels } from './event-channels.js';
import {
  type HypervisorMemory,
  LOCK_QUEUE,
  QUEUE,
  QUEUE_HEADER_WORD,
  QUEUE_SLOT_WORDS,
  QUEUE_SLOTS,
  QUEUE_SLOTS_WORD,
  SLOT,
  SlotState,
  VCPU,
} from './hypervisor-memory.js';

/** Index of a slot; -1: none. */
export type Slot = number;
export const NO_SLOT: Slot = -1;

/** The order in which waiting requests start. Called under the queue's lock; its state is in the hypervisor's memory. */
export interface OrderPolicy {
  readonly name: string;
  push(slot: Slot): void;
  /** Takes out the request that is to start next; NO_SLOT if none waits. */
  next(): Slot;
  /** Takes out all requests of a domain. */
  removeDomain(domain: number): Slot[];
}

export const slotWord = (slot: Slot): number => QUEUE_SLOTS_WORD + slot * QUEUE_SLOT_WORDS;

/** First come, first served. */
export class FifoPolicy implements OrderPolicy {
  readonly name = 'fifo';
  constructor(private readonly i32: Int32Array) {}

  push(slot: Slot): void {
    listAppend(this.i32, QUEUE_HEADER_WORD + QUEUE.head, slot);
  }

  next(): Slot {
    return listTake(this.i32, QUEUE_HEADER_WORD + QUEUE.head);
  }

  removeDomain(domain: number): Slot[] {
    const removed: Slot[] = [];
    const kept: Slot[] = [];
    for (let slot = this.next(); slot !== NO_SLOT; slot = this.next()) {
      (this.i32[slotWord(slot) + SLOT.domain] === domain ? removed : kept).push(slot);
    }
    for (const slot of kept) this.push(slot);
    return removed;
  }
}

export class IoQueue {
  private readonly i32: Int32Array;
  private readonly lock: Lock;

  constructor(
    private readonly hv: HypervisorMemory,
    private readonly events: EventChannels,
    private readonly policy: OrderPolicy = new FifoPolicy(hv.i32),
  ) {
    this.i32 = hv.i32;
    this.lock = new Lock(hv.i32, LOCK_QUEUE);
  }

  /** A slot for the caller to fill; NO_SLOT when all are in use. */
  allocate(): Slot {
    this.lock.acquire();
    const slot = this.i32[QUEUE_HEADER_WORD + QUEUE.free];
    if (slot !== NO_SLOT) this.i32[QUEUE_HEADER_WORD + QUEUE.free] = this.i32[slotWord(slot) + SLOT.next];
    this.lock.release();
    return slot;
  }

  /** A filled slot begins to wait. */
  admit(slot: Slot): void {
    this.lock.acquire();
    this.i32[QUEUE_HEADER_WORD + QUEUE.waiting]++;
    this.i32[slotWord(slot) + SLOT.state] = SlotState.waiting;
    this.policy.push(slot);
    this.lock.release();
  }

  /** Gives waiting requests to their vCPUs' threads as far as the limit lets; wakes those of other vCPUs than the caller's. */
  dispatch(callerDomain: number, callerVcpu: number): void {
    const header = QUEUE_HEADER_WORD;
    if (Atomics.load(this.i32, header + QUEUE.waiting) === 0) return;
    this.lock.acquire();
    while (this.i32[header + QUEUE.inFlight] < this.i32[header + QUEUE.limit]) {
      const slot = this.policy.next();
      if (slot === NO_SLOT) break;
      this.i32[header + QUEUE.waiting]--;
      this.i32[header + QUEUE.inFlight]++;
      this.makeReady(slot, callerDomain, callerVcpu);
    }
    this.lock.release();
  }

  private makeReady(slot: Slot, callerDomain: number, callerVcpu: number): void {
    const domain = this.i32[slotWord(slot) + SLOT.domain];
    const vcpu = this.i32[slotWord(slot) + SLOT.vcpu];
    const owner = this.hv.vcpuWord(domain, vcpu);
    this.i32[slotWord(slot) + SLOT.state] = SlotState.begun;
    listAppend(this.i32, owner + VCPU.readyHead, slot);
    if (domain === callerDomain && vcpu === callerVcpu) return;
    Atomics.or(this.i32, owner + VCPU.attention, ATTENTION_READY);
    this.events.wake(domain, vcpu);
  }

  /** The next request that the vCPU's thread must start now. */
  takeReady(domain: number, vcpu: number): Slot {
    const head = this.hv.vcpuWord(domain, vcpu) + VCPU.readyHead;
    if (this.i32[head] === NO_SLOT) return NO_SLOT; // only this thread takes out; what others put in comes with attention
    this.lock.acquire();
    const slot = listTake(this.i32, head);
    this.lock.release();
    return slot;
  }

  /** A started request is done: its slot is free and the next may start. */
  finish(slot: Slot, callerDomain: number, callerVcpu: number): void {
    this.lock.acquire();
    this.i32[QUEUE_HEADER_WORD + QUEUE.inFlight]--;
    this.free(slot);
    this.lock.release();
    this.dispatch(callerDomain, callerVcpu);
  }

  /** A domain has ended and none of its threads runs: its requests are forgotten. Returns how many there were. */
  removeDomain(domain: number): number {
    this.lock.acquire();
    const waiting = this.policy.removeDomain(domain);
    this.i32[QUEUE_HEADER_WORD + QUEUE.waiting] -= waiting.length;
    for (const slot of waiting) this.free(slot);
    let begun = 0;
    for (let slot = 0; slot < QUEUE_SLOTS; slot++) {
      const word = slotWord(slot);
      if (this.i32[word + SLOT.domain] !== domain || this.i32[word + SLOT.state] !== SlotState.begun) continue;
      this.free(slot);
      begun++;
    }
    this.i32[QUEUE_HEADER_WORD + QUEUE.inFlight] -= begun;
    this.lock.release();
    this.dispatch(-1, -1);
    return waiting.length + begun;
  }

  private free(slot: Slot): void {
    this.i32[slotWord(slot) + SLOT.next] = this.i32[QUEUE_HEADER_WORD + QUEUE.free];
    this.i32[slotWord(slot) + SLOT.domain] = 0;
    this.i32[slotWord(slot) + SLOT.state] = SlotState.free;
    this.i32[QUEUE_HEADER_WORD + QUEUE.free] = slot;
  }
}

/** Bits of VCPU.attention: what another thread wants the vCPU's thread to look at. */
export const ATTENTION_READY = 4;

/** Lists of slots: a head word and, right behind it, a tail word. */
function listAppend(i32: Int32Array, head: number, slot: Slot): void {
  i32[slotWord(slot) + SLOT.next] = NO_SLOT;
  if (i32[head] === NO_SLOT) i32[head] = slot;
  else i32[slotWord(i32[head + 1]) + SLOT.next] = slot;
  i32[head + 1] = slot;
}

function listTake(i32: Int32Array, head: number): Slot {
  const slot = i32[head];
  if (slot !== NO_SLOT) i32[head] = i32[slotWord(slot) + SLOT.next];
  return slot;
}
