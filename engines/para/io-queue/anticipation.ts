/**
 * Strict priority on a device that does many requests at once. A domain that answers each completion by a next request has, for a
 * moment, nothing waiting: whoever gives its place away then gives half of the device to the lower classes (as Linux's anticipatory
 * scheduler knew of disks). So, under the order priority, lower classes leave room for what the higher ones had at once lately. Where
 * that leaves none, a request of theirs starts each millisecond, and whoever has waited as long as the head starts between the classes goes
 * on in any case.
 *
 * All of it under the queue's lock.
 */
import { deviceWord, flowWord, type HypervisorMemory, MAX_DOMAINS } from '../hypervisor-memory.js';
import { CLASSES, type DeviceClass, flowOf, REC } from './records.js';

/** What was asked for is expected again for one to two of these, ns. */
export const DEMAND_NS = 10e6;

/** A request of the flow begins to wait. `device`: word of the device's record. */
export function noteDemand(i32: Int32Array, flow: number, device: number): void {
  const now = i32[flow + REC.waiting] + i32[flow + REC.inFlight];
  if (now > i32[flow + REC.peak]) i32[flow + REC.peak] = now;
  if (now <= i32[flow + REC.demand]) return;
  i32[device + REC.classDemand + i32[flow + REC.priority]] += now - i32[flow + REC.demand];
  i32[flow + REC.demand] = now;
}

/** Forgets what was asked for longer ago. */
export function refreshDemand(hv: HypervisorMemory, device: DeviceClass, now: number): void {
  const end = deviceWord(device) / 2 + REC.demandEnd;
  if (now < hv.f64[end]) return;
  hv.f64[end] = now + DEMAND_NS;
  const { i32 } = hv;
  for (let domain = 0; domain < MAX_DOMAINS; domain++) {
    const flow = flowWord(flowOf(domain, device));
    const peak = i32[flow + REC.peak];
    i32[flow + REC.peak] = i32[flow + REC.waiting] + i32[flow + REC.inFlight];
    i32[flow + REC.demand] = Math.max(peak, i32[flow + REC.peak]);
  }
  sumClasses(i32, device);
}

/** Of all flows: also when their classes have changed. */
export function sumClasses(i32: Int32Array, device: DeviceClass): void {
  const at = deviceWord(device);
  i32.fill(0, at + REC.classDemand, at + REC.classDemand + 2 * CLASSES);
  for (let domain = 0; domain < MAX_DOMAINS; domain++) {
    const flow = flowWord(flowOf(domain, device));
    const priority = i32[flow + REC.priority];
    i32[at + REC.classDemand + priority] += i32[flow + REC.demand];
    i32[at + REC.classInFlight + priority] += i32[flow + REC.inFlight];
  }
}

/** A request that the higher classes leave no room for may start so long after the last one like it, ns. */
export const TRICKLE_NS = 1e6;

/**
 * From when on a request of this class, which has waited so long, may take a place: 0 at once, Infinity when one like it is done.
 * `device`: word of the device's record; `ageing`: a class's head start, ns.
 */
export function roomFrom(
  hv: HypervisorMemory,
  device: number,
  priority: number,
  waited: number,
  ageing: number,
): number {
  const { i32 } = hv;
  const demand = higherDemand(i32, device, priority);
  if (demand === 0 || waited >= (priority - firstClass(i32, device)) * ageing) return 0;
  let lower = 0;
  for (let c = priority; c < CLASSES; c++) lower += i32[device + REC.classInFlight + c];
  if (lower < i32[device + REC.limit] - demand) return 0;
  return lower > 0 ? Number.POSITIVE_INFINITY : hv.f64[device / 2 + REC.trickle];
}

/** A request of this class starts. */
export function noteStart({ i32, f64 }: HypervisorMemory, device: number, priority: number, now: number): void {
  if (higherDemand(i32, device, priority) >= i32[device + REC.limit]) f64[device / 2 + REC.trickle] = now + TRICKLE_NS;
}

function higherDemand(i32: Int32Array, device: number, priority: number): number {
  let demand = 0;
  for (let c = 0; c < priority; c++) demand += i32[device + REC.classDemand + c];
  return demand;
}

/** The highest class that is expected to want something. */
function firstClass(i32: Int32Array, device: number): number {
  let first = 0;
  while (first < CLASSES && i32[device + REC.classDemand + first] === 0) first++;
  return first;
}
