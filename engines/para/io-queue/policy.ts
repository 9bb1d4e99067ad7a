/** A policy comes into force: what the user wrote (io-policy.ts) goes into the hypervisor's memory, whatever the queue is doing then. */

import { Lock } from '../../backends/lock.js';
import type { Caps, DevicePolicy, DomainPolicy, FlowPolicy, IoPolicy } from '../../io-policy.js';
import {
  deviceWord,
  flowWord,
  type HypervisorMemory,
  LOCK_QUEUE,
  QUEUE,
  QUEUE_HEADER_WORD,
} from '../hypervisor-memory.js';
import { sumClasses } from './anticipation.js';
import { orderCode, WFQ } from './order.js';
import {
  DEFAULT_DEPTH,
  DEFAULT_PRIORITY,
  DEFAULT_WEIGHT,
  DEVICES,
  Device,
  type DeviceClass,
  flowOf,
  REC,
  UNLIMITED,
} from './records.js';

export const DEFAULT_POLICY: IoPolicy = { order: 'fifo' };
/** Head start of a priority class, if the policy does not say. */
export const DEFAULT_AGEING_MS = 500;

export interface NamedDomain {
  id: number;
  name: string;
}

/** Puts the policy into force for the queue and these domains, at one moment: what waits already is ordered by it from then on. */
export function applyPolicy(hv: HypervisorMemory, policy: IoPolicy, domains: readonly NamedDomain[]): void {
  new Lock(hv.i32, LOCK_QUEUE).hold(() => {
    const { i32, f64 } = hv;
    const wasWfq = i32[QUEUE_HEADER_WORD + QUEUE.order] === WFQ;
    i32[QUEUE_HEADER_WORD + QUEUE.order] = orderCode(policy.order);
    f64[QUEUE_HEADER_WORD / 2 + QUEUE.ageing] = (policy.ageingMs ?? DEFAULT_AGEING_MS) * 1e6;
    writeDevice(hv, Device.vbd, policy.devices?.vbd ?? {});
    writeDevice(hv, Device.vif, policy.devices?.vif ?? {});
    for (const domain of domains) writeDomain(hv, policy, domain);
    for (const device of [Device.vbd, Device.vif]) sumClasses(i32, device);
    if (!wasWfq) for (const { id } of domains) restartVirtualTime(hv, id);
    i32[QUEUE_HEADER_WORD + QUEUE.targets] = domains.some(({ id }) => hasTarget(hv, id)) ? 1 : 0;
  });
}

/** Of a domain that comes while the policy is in force, before it runs. */
export function applyToDomain(hv: HypervisorMemory, policy: IoPolicy, domain: NamedDomain): void {
  new Lock(hv.i32, LOCK_QUEUE).hold(() => {
    writeDomain(hv, policy, domain);
    for (const device of [Device.vbd, Device.vif]) sumClasses(hv.i32, device);
    restartVirtualTime(hv, domain.id);
    if (hasTarget(hv, domain.id)) hv.i32[QUEUE_HEADER_WORD + QUEUE.targets] = 1;
  });
}

function writeDevice({ i32, f64 }: HypervisorMemory, device: DeviceClass, policy: DevicePolicy): void {
  const at = deviceWord(device);
  i32[at + REC.limit] = policy.depth ?? (device === Device.vbd ? DEFAULT_DEPTH : UNLIMITED);
  writeCaps(i32, f64, at, policy);
}

/** A cap that changes begins afresh; one that stays goes on. */
function writeCaps(i32: Int32Array, f64: Float64Array, at: number, caps: Caps): void {
  const { opsPerSecond = 0, bytesPerSecond = 0 } = caps;
  if (f64[at / 2 + REC.opsPerSecond] !== opsPerSecond) f64[at / 2 + REC.opsNext] = 0;
  if (f64[at / 2 + REC.bytesPerSecond] !== bytesPerSecond) f64[at / 2 + REC.bytesNext] = 0;
  f64[at / 2 + REC.opsPerSecond] = opsPerSecond;
  f64[at / 2 + REC.bytesPerSecond] = bytesPerSecond;
  i32[at + REC.capped] = opsPerSecond > 0 || bytesPerSecond > 0 ? 1 : 0;
}

function writeDomain(hv: HypervisorMemory, policy: IoPolicy, domain: NamedDomain): void {
  const own = domainPolicy(policy, domain);
  writeFlow(hv, flowOf(domain.id, Device.vbd), { ...own, ...defined(own.vbd) });
  writeFlow(hv, flowOf(domain.id, Device.vif), { ...own, ...defined(own.vif) });
}

/** What the policy says of a domain: by its name, else by its number, else to all others. */
export function domainPolicy(policy: IoPolicy, { id, name }: NamedDomain): DomainPolicy {
  const { domains = {} } = policy;
  const key = [name, String(id)].find((each) => Object.hasOwn(domains, each));
  return { ...defined(policy.default), ...(key === undefined ? {} : defined(domains[key])) };
}

const defined = <T extends object>(given: T | undefined): Partial<T> =>
  Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => value !== undefined)) as Partial<T>;

function writeFlow({ i32, f64 }: HypervisorMemory, flow: number, policy: FlowPolicy): void {
  const at = flowWord(flow);
  i32[at + REC.priority] = policy.class ?? DEFAULT_PRIORITY;
  f64[at / 2 + REC.weight] = policy.weight ?? DEFAULT_WEIGHT;
  f64[at / 2 + REC.target] = (policy.latencyTargetMs ?? 0) * 1e6;
  i32[at + REC.limit] = UNLIMITED; // what held it back was another policy's target
  f64[at / 2 + REC.due] = 0;
  writeCaps(i32, f64, at, policy);
}

/** Under another order nobody's virtual time went on. */
function restartVirtualTime({ f64 }: HypervisorMemory, domain: number): void {
  for (let device = 0; device < DEVICES; device++) {
    const now = f64[deviceWord(device) / 2 + REC.virtual];
    f64[flowWord(flowOf(domain, device as DeviceClass)) / 2 + REC.virtual] = now;
  }
}

const hasTarget = ({ f64 }: HypervisorMemory, domain: number): boolean =>
  f64[flowWord(flowOf(domain, Device.vbd)) / 2 + REC.target] > 0;
