/**
 * Which request starts next: flows with something waiting, their caps and limits, and the order among those that may. All of its state
 * is in the hypervisor's memory; every function here is called under the queue's lock.
 */
import { Overlaps } from '../core-os/overlaps.js';
import {
  BACKLOG_WORDS,
  deviceWord,
  flowWord,
  type HypervisorMemory,
  initialiseFlow,
  QUEUE,
  QUEUE_HEADER_WORD,
  SLOT,
  SlotState,
} from '../hypervisor-memory.js';
import { noteDemand, noteStart, refreshDemand, roomFrom, sumClasses } from './anticipation.js';
import { adjustLimits, noteLatency } from './latency-target.js';
import { advanceVirtualTime, keyOf, OPERATION_COST, PRIORITY, WFQ } from './order.js';
import { BATCH, capDue, chargeCaps, DEVICE_TOLERANCE_NS, TOLERANCE_NS } from './rate.js';
import { DEVICES, Device, type DeviceClass, deviceOfFlow, flowOf, REC } from './records.js';
import { listAppend, listTake, NO_SLOT, type Slot, slotWord } from './slots.js';

const HEADER = QUEUE_HEADER_WORD;
const SEQUENCE = HEADER / 2 + QUEUE.sequence;

export class Scheduler {
  private readonly i32: Int32Array;
  private readonly f64: Float64Array;
  /** Flows whose REC.due was set since dispatch() began, and was 0: whoever sleeps for them does not know. */
  readonly unarmed: number[] = [];
  private readonly overlaps: Overlaps;

  constructor(private readonly hv: HypervisorMemory) {
    this.i32 = hv.i32;
    this.f64 = hv.f64;
    this.overlaps = new Overlaps(hv);
  }

  /** A slot, whose fields say what it is, begins to wait. */
  push(slot: Slot, now: number): void {
    const { i32, f64 } = this;
    const word = slotWord(slot);
    const flow = flowOf(i32[word + SLOT.domain], i32[word + SLOT.device] as DeviceClass);
    f64[(word + SLOT.admitted) / 2] = now;
    f64[(word + SLOT.sequence) / 2] = f64[SEQUENCE]++;
    i32[word + SLOT.state] = SlotState.waiting;
    i32[HEADER + QUEUE.waiting]++;
    i32[flowWord(flow) + REC.waiting]++;
    i32[HEADER + QUEUE.backlog + (flow >> 5)] |= 1 << (flow & 31);
    listAppend(i32, flowWord(flow) + REC.head, slot);
    noteDemand(i32, flowWord(flow), deviceWord(deviceOfFlow(flow)));
  }

  /** Takes out the request that starts now; NO_SLOT if none may. */
  next(now: number): Slot {
    if (this.i32[HEADER + QUEUE.order] === PRIORITY) this.refresh(now);
    const flow = this.choose(now);
    return flow < 0 ? NO_SLOT : this.start(flow, now);
  }

  private refresh(now: number): void {
    refreshDemand(this.hv, Device.vbd, now);
    refreshDemand(this.hv, Device.vif, now);
  }

  /** Of the flows that have something waiting and may start it, the one with the smallest key; -1: none. */
  private choose(now: number): number {
    const { i32 } = this;
    let best = -1;
    let bestKey = Number.POSITIVE_INFINITY;
    let bestSequence = Number.POSITIVE_INFINITY;
    for (let w = 0; w < BACKLOG_WORDS; w++) {
      for (let bits = i32[HEADER + QUEUE.backlog + w]; bits !== 0; bits &= bits - 1) {
        const flow = 32 * w + 31 - Math.clz32(bits & -bits);
        if (!this.mayStart(flow, now)) continue;
        const sequence = this.f64[(slotWord(i32[flowWord(flow) + REC.head]) + SLOT.sequence) / 2];
        const key = this.key(flow, sequence);
        if (key > bestKey || (key === bestKey && sequence > bestSequence)) continue;
        best = flow;
        bestKey = key;
        bestSequence = sequence;
      }
    }
    return best;
  }

  private key(flow: number, sequence: number): number {
    const { i32, f64 } = this;
    const at = flowWord(flow);
    const admitted = f64[(slotWord(i32[at + REC.head]) + SLOT.admitted) / 2];
    const ageing = f64[HEADER / 2 + QUEUE.ageing];
    const device = deviceWord(deviceOfFlow(flow));
    return keyOf(this.hv, i32[HEADER + QUEUE.order], sequence, admitted, at, device, ageing);
  }

  /** Depth, limits and caps. Notes when caps alone forbid it, and until when. */
  private mayStart(flow: number, now: number): boolean {
    const { i32, f64 } = this;
    const at = flowWord(flow);
    const device = deviceWord(deviceOfFlow(flow));
    if (f64[at / 2 + REC.due] <= now) f64[at / 2 + REC.due] = 0; // somebody looks just now
    if (i32[device + REC.inFlight] >= i32[device + REC.limit]) return false;
    if (i32[at + REC.inFlight] >= i32[at + REC.limit]) return false;
    if (this.overlaps.conflicts(i32[at + REC.head])) return false;
    if (i32[HEADER + QUEUE.order] === PRIORITY && !this.isLet(flow, now)) return false;
    if ((i32[at + REC.capped] | i32[device + REC.capped]) === 0) return true;
    const own = capDue(f64, at / 2, TOLERANCE_NS);
    const all = capDue(f64, device / 2, DEVICE_TOLERANCE_NS);
    if (own <= now && all <= now) return true;
    this.lookAgain(flow, Math.max(own + BATCH * TOLERANCE_NS, all + BATCH * DEVICE_TOLERANCE_NS));
    return false;
  }

  /** Time alone will let the flow's next request start: a thread of its domain must dispatch() then. */
  private lookAgain(flow: number, due: number): void {
    const at = flowWord(flow) / 2 + REC.due;
    if (this.f64[at] === 0) this.unarmed.push(flow);
    this.f64[at] = due;
  }

  /** By the classes above its own. */
  private isLet(flow: number, now: number): boolean {
    const { i32, f64 } = this;
    const at = flowWord(flow);
    const waited = now - f64[(slotWord(i32[at + REC.head]) + SLOT.admitted) / 2];
    const ageing = f64[HEADER / 2 + QUEUE.ageing];
    const from = roomFrom(this.hv, deviceWord(deviceOfFlow(flow)), i32[at + REC.priority], waited, ageing);
    if (from > now && from !== Number.POSITIVE_INFINITY) this.lookAgain(flow, from);
    return from <= now;
  }

  private start(flow: number, now: number): Slot {
    const { i32, f64 } = this;
    const at = flowWord(flow);
    const device = deviceWord(deviceOfFlow(flow));
    const slot = listTake(i32, at + REC.head);
    this.noLongerWaits(flow);
    i32[device + REC.inFlight]++;
    i32[device + REC.classInFlight + i32[at + REC.priority]]++;
    i32[at + REC.inFlight]++;
    if (i32[HEADER + QUEUE.order] === PRIORITY) noteStart(this.hv, device, i32[at + REC.priority], now);
    if (i32[at + REC.inFlight] > i32[at + REC.windowPeak]) i32[at + REC.windowPeak] = i32[at + REC.inFlight];
    const word = slotWord(slot);
    i32[word + SLOT.state] = SlotState.begun;
    this.overlaps.mark(slot, 1);
    const waited = now - f64[(word + SLOT.admitted) / 2];
    f64[at / 2 + REC.waited] += waited;
    if (waited > f64[at / 2 + REC.longest]) f64[at / 2 + REC.longest] = waited;
    this.charge(flow, now, i32[word + SLOT.operations], i32[word + SLOT.bytes]);
    return slot;
  }

  private noLongerWaits(flow: number): void {
    const { i32 } = this;
    const at = flowWord(flow);
    i32[HEADER + QUEUE.waiting]--;
    i32[at + REC.waiting]--;
    if (i32[at + REC.head] === NO_SLOT) {
      i32[HEADER + QUEUE.backlog + (flow >> 5)] &= ~(1 << (flow & 31));
      this.f64[at / 2 + REC.due] = 0;
    }
  }

  /** The flow gets so much of the device. */
  charge(flow: number, now: number, operations: number, bytes: number): void {
    const { i32, f64 } = this;
    const at = flowWord(flow);
    const device = deviceWord(deviceOfFlow(flow));
    f64[at / 2 + REC.ops] += operations;
    f64[at / 2 + REC.bytes] += bytes;
    if (i32[at + REC.capped] !== 0) chargeCaps(f64, at / 2, now, operations, bytes);
    if (i32[device + REC.capped] !== 0) chargeCaps(f64, device / 2, now, operations, bytes);
    if (i32[HEADER + QUEUE.order] === WFQ) {
      advanceVirtualTime(f64, at, device, bytes + operations * OPERATION_COST[deviceOfFlow(flow)]);
    }
  }

  /** A request that was started is answered, or forgotten (now: 0). */
  finish(slot: Slot, now: number): void {
    const { i32, f64 } = this;
    const word = slotWord(slot);
    this.overlaps.mark(slot, -1);
    const device = i32[word + SLOT.device] as DeviceClass;
    const flow = flowOf(i32[word + SLOT.domain], device);
    i32[deviceWord(device) + REC.inFlight]--;
    i32[deviceWord(device) + REC.classInFlight + i32[flowWord(flow) + REC.priority]]--;
    i32[flowWord(flow) + REC.inFlight]--;
    if (now === 0 || i32[HEADER + QUEUE.targets] === 0) return;
    noteLatency(this.hv, flow, now - f64[(word + SLOT.admitted) / 2]);
    adjustLimits(this.hv, device, now);
  }

  /** Takes out all that waits of a domain. */
  removeDomain(domain: number): Slot[] {
    const removed: Slot[] = [];
    for (let device = 0; device < DEVICES; device++) {
      const flow = flowOf(domain, device as DeviceClass);
      const head = flowWord(flow) + REC.head;
      for (let slot = listTake(this.i32, head); slot !== NO_SLOT; slot = listTake(this.i32, head)) {
        this.noLongerWaits(flow);
        removed.push(slot);
      }
    }
    return removed;
  }

  /** Nothing of the domain waits or is in flight any more. */
  forgetFlows(domain: number): void {
    for (let device = 0; device < DEVICES; device++) {
      initialiseFlow(this.i32, this.f64, flowOf(domain, device as DeviceClass));
      sumClasses(this.i32, device as DeviceClass);
    }
  }
}
