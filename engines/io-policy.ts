/**
 * An I/O policy, as a user writes it: the order in which requests start, what the devices of a class may do as a whole, and what each
 * domain gets. Plain data; io-policy-file.ts checks what comes from outside. `para` has the queue that does it.
 */

export const ORDERS = ['fifo', 'priority', 'wfq', 'deadline'] as const;
export type OrderName = (typeof ORDERS)[number];

/** Caps, per second. */
export interface Caps {
  opsPerSecond?: number | undefined;
  bytesPerSecond?: number | undefined;
}

/** Of a class of devices as a whole; `depth`: requests that are with them at once. */
export interface DevicePolicy extends Caps {
  depth?: number | undefined;
}

/** Of what a domain asks of one class of devices. */
export interface FlowPolicy extends Caps {
  /** 0 (first) to 7. */
  class?: number | undefined;
  weight?: number | undefined;
  latencyTargetMs?: number | undefined;
}

/** Of a domain: for both classes, and for one of them, which goes before. */
export interface DomainPolicy extends FlowPolicy {
  vbd?: FlowPolicy | undefined;
  vif?: FlowPolicy | undefined;
}

export interface IoPolicy {
  order: OrderName;
  ageingMs?: number | undefined;
  devices?: { vbd?: DevicePolicy | undefined; vif?: DevicePolicy | undefined } | undefined;
  /** By name, or by number. */
  domains?: Record<string, DomainPolicy> | undefined;
  /** Of the domains that are not named. */
  default?: DomainPolicy | undefined;
}
