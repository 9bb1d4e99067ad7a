/**
 * In which order requests start. An order is a key: of all flows that have something waiting and may start it now, the one whose first
 * request has the smallest key is next; equal keys go by age. Within a flow requests keep their order always. Keys are computed when
 * they are compared, so a change of policy changes the order of what waits already, and nothing has to be moved.
 */
import { ORDERS, type OrderName } from '../../io-policy.js';
import type { HypervisorMemory } from '../hypervisor-memory.js';
import { REC } from './records.js';

/** As the hypervisor's memory holds it. */
export const orderCode = (name: OrderName): number => ORDERS.indexOf(name);
export const PRIORITY = orderCode('priority');
export const WFQ = orderCode('wfq');
const DEADLINE = orderCode('deadline');

/** What a flow that has no latency target is held to by the order deadline, ns. */
export const DEFAULT_DEADLINE_NS = 100e6;

/**
 * What an operation costs beside its bytes, as bytes, for shares by weight: of a disk the time that it takes however small it is, of a
 * frame preamble, checksum and gap (IEEE 802.3: 8 + 4 + 12).
 */
export const OPERATION_COST = [8192, 24] as const;

/**
 * The key of a flow's first request, which was admitted at `admitted` ns as the `sequence`-th. `flow`, `device`: words of the records.
 * - fifo: the number in order of admission
 * - priority: each class is a head start of `ageing` ns before the next, so within that it is strict, and whoever waits longer than all
 *   head starts together is first: nobody starves
 * - wfq: start-time fair queueing (Goyal, Vin, Cheng 1996; with many in flight at once SFQ(D), Jin et al. 2004): the virtual time at
 *   which the flow's last request was done at its weight's share. Over any time in which two flows have requests waiting, what they
 *   got, divided by their weights, differs by at most one request of each
 * - deadline: admission + target
 */
export function keyOf(
  { i32, f64 }: HypervisorMemory,
  order: number,
  sequence: number,
  admitted: number,
  flow: number,
  device: number,
  ageing: number,
): number {
  if (order === PRIORITY) return admitted + i32[flow + REC.priority] * ageing;
  if (order === WFQ) return startTag(f64, flow, device);
  if (order === DEADLINE) return admitted + (f64[flow / 2 + REC.target] || DEFAULT_DEADLINE_NS);
  return sequence;
}

const startTag = (f64: Float64Array, flow: number, device: number): number =>
  Math.max(f64[flow / 2 + REC.virtual], f64[device / 2 + REC.virtual]);

/** A request of the flow starts: the device's virtual time is its start tag, the flow's its finish tag. */
export function advanceVirtualTime(f64: Float64Array, flow: number, device: number, cost: number): void {
  const start = startTag(f64, flow, device);
  f64[device / 2 + REC.virtual] = start;
  f64[flow / 2 + REC.virtual] = start + cost / f64[flow / 2 + REC.weight];
}
