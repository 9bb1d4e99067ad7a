/**
 * What the I/O queue keeps of each flow and of each device class, in the hypervisor's memory. A flow is all that one domain asks of
 * one device class: the unit of every policy. Both are records of the same form, so that one piece of code knows caps and counts:
 *
 *     record 0 … 127   flow of domain r >> 1, class r & 1 (Device)
 *     record 128, 129  the class as a whole: its depth, its caps, its virtual time
 *
 * All of it is read and written under the queue's lock, but for `capped`, `waiting` and `due`, which are looked at as hints, and the
 * counters, which lists of domains read as they are.
 */

/** Device classes, in Xen's words: block devices and network interfaces. */
export const Device = { vbd: 0, vif: 1 } as const;
export type DeviceClass = (typeof Device)[keyof typeof Device];
export const DEVICES = 2;

export const RECORD_WORDS = 64;

/** Words of a record. */
export const REC = {
  /** First and last of the slots that wait, linked by SLOT.next; -1: none. Of flows alone. */
  head: 0,
  tail: 1,
  /** How many wait, and how many have begun and are not finished. Of vif: slots, which are bursts of frames. */
  waiting: 2,
  inFlight: 3,
  /** The most that may be in flight: of a device its depth, of a flow what others' latency targets leave it (latency-target.ts). */
  limit: 4,
  /** 0 (first) to 7. */
  priority: 5,
  /** 1: it has a cap. */
  capped: 6,
  /** Since windowEnd was set: requests that finished, how many later than the target, and the most that were in flight at once. */
  windowDone: 7,
  windowLate: 8,
  windowPeak: 9,
  /** The most that waited or were in flight at once in this window of anticipation.ts, and in this or the one before. */
  peak: 10,
  demand: 11,
  // Of a device, by priority class, 8 words each: sums of its flows' demand and inFlight.
  classDemand: 48,
  classInFlight: 56,
  // Indices into the record's 64-bit view.
  weight: 8,
  /** Caps, per second; 0: none. */
  opsPerSecond: 9,
  bytesPerSecond: 10,
  /** Theoretical arrival time of the next operation and byte (rate.ts), ns. */
  opsNext: 11,
  bytesNext: 12,
  /** Of a flow: virtual finish time of what it started last. Of a device: the virtual time. */
  virtual: 13,
  /** Latency target, ns; 0: none. */
  target: 14,
  /** When to look again whether caps let its next request start, ns; 0: it does not wait for a cap. */
  due: 15,
  /** Totals of what was started: operations (frames), bytes, ns that they waited in the queue, the longest wait of one. */
  ops: 16,
  bytes: 17,
  waited: 18,
  longest: 19,
  /** Requests that were done as part of another's device operation. */
  merged: 20,
  /** When the latency of the last window is looked at, ns. Of a device. */
  windowEnd: 21,
  /** When the demand's window ends, ns. Of a device. */
  demandEnd: 22,
  /** When a lower class may start a request again though higher ones want all places, ns. Of a device. */
  trickle: 23,
} as const;

/** No limit of requests in flight. */
export const UNLIMITED = 0x7fffffff;
export const CLASSES = 8;
export const DEFAULT_WEIGHT = 100;
export const DEFAULT_PRIORITY = 4;
/** Requests that are with the devices of a class at once, if the policy says nothing. */
export const DEFAULT_DEPTH = 1024;

export const flowOf = (domain: number, device: DeviceClass): number => domain * DEVICES + device;
export const domainOfFlow = (flow: number): number => flow >> 1;
export const deviceOfFlow = (flow: number): DeviceClass => (flow & 1) as DeviceClass;
