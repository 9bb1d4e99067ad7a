/**
 * Strict priority on a device that does many requests at once. A domain that answers each completion by a next request has, for a
 * moment, nothing waiting: whoever gives its place away then gives half of the device to the lower classes (as Linux's anticipatory
 * scheduler knew of disks). So, under the order priority, lower classes leave room for what the higher ones had at once lately; one
 * request of theirs may always be in flight, and whoever has waited as long as the head starts between the classes goes on in any case.
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

/** Whether a request of this class, which has waited so long, may take a place. `ageing`: ns, a class's head start. */
export function hasRoom(i32: Int32Array, device: number, priority: number, waited: number, ageing: number): boolean {
  let demand = 0;
  let first = -1;
  for (let c = 0; c < priority; c++) {
    const one = i32[device + REC.classDemand + c];
    if (one > 0 && first < 0) first = c;
    demand += one;
  }
  if (demand === 0 || waited >= (priority - first) * ageing) return true;
  let lower = 0;
  for (let c = priority; c < CLASSES; c++) lower += i32[device + REC.classInFlight + c];
  return lower < Math.max(1, i32[device + REC.limit] - demand);
}
