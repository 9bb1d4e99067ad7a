/**
 * Latency targets, after io.latency of cgroup v2 (Linux, block/blk-iolatency.c): while a flow's requests take longer than its target,
 * from admission to answer, those who may be held back for it get fewer requests in flight: half as many each window, down to one;
 * then one more each window while all targets are met. A target is missed when more than one of a hundred requests of a window are
 * late. Nobody is stopped altogether, and a flow with as strict a target is never held back.
 */
import { deviceWord, flowWord, type HypervisorMemory, MAX_DOMAINS } from '../hypervisor-memory.js';
import { type DeviceClass, flowOf, REC, UNLIMITED } from './records.js';

export const WINDOW_NS = 50e6;
/** A target is a promise for all but one in so many requests. */
const ONE_IN = 100;

/** A request of the flow is done, `ns` after its admission. Under the queue's lock. */
export function noteLatency({ i32, f64 }: HypervisorMemory, flow: number, ns: number): void {
  const word = flowWord(flow);
  const target = f64[word / 2 + REC.target];
  i32[word + REC.windowDone]++;
  if (target > 0 && ns > target) i32[word + REC.windowLate]++;
}

/** At the end of a window changes the limits of the class's flows. Under the queue's lock. */
export function adjustLimits(hv: HypervisorMemory, device: DeviceClass, now: number): void {
  const end = deviceWord(device) / 2 + REC.windowEnd;
  if (now < hv.f64[end]) return;
  hv.f64[end] = now + WINDOW_NS;
  const flows = Array.from({ length: MAX_DOMAINS }, (_, domain) => flowOf(domain, device));
  const sufferers = flows.filter((flow) => isLate(hv.i32, flowWord(flow)));
  for (const flow of flows) adjust(hv, flow, sufferers);
  for (const flow of flows) beginWindow(hv.i32, flowWord(flow));
}

const isLate = (i32: Int32Array, at: number): boolean => i32[at + REC.windowLate] * ONE_IN > i32[at + REC.windowDone];

function adjust(hv: HypervisorMemory, flow: number, sufferers: number[]): void {
  const { i32 } = hv;
  const at = flowWord(flow);
  const limit = i32[at + REC.limit];
  const peak = i32[at + REC.windowPeak];
  if (sufferers.some((other) => givesWay(hv, flow, other))) {
    if (peak > 0) i32[at + REC.limit] = Math.max(1, Math.min(limit, peak) >> 1);
  } else if (limit !== UNLIMITED) {
    i32[at + REC.limit] = peak >= limit ? limit + 1 : UNLIMITED; // one that was not reached holds nobody back
  }
}

/** Whoever is of a lower class, or of the same one with a weaker target or none. */
function givesWay({ i32, f64 }: HypervisorMemory, flow: number, sufferer: number): boolean {
  const lower = i32[flowWord(flow) + REC.priority] - i32[flowWord(sufferer) + REC.priority];
  if (lower !== 0) return lower > 0;
  const target = f64[flowWord(flow) / 2 + REC.target] || Number.POSITIVE_INFINITY;
  return target > f64[flowWord(sufferer) / 2 + REC.target];
}

function beginWindow(i32: Int32Array, at: number): void {
  i32[at + REC.windowDone] = 0;
  i32[at + REC.windowLate] = 0;
  i32[at + REC.windowPeak] = i32[at + REC.inFlight];
}
