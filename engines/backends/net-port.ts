/**
 * What a virtual network card (RTL8139 model, para's netback) sees of the host's network: one port of a switch.
 *
 *      device model ──transmit()──► NetPort ──► Switch ──► other ports (VMs, the host port = 10.0.2.2)
 *      device model ◄──handler()─── NetPort ◄── Switch ◄── replies, broadcasts
 *
 * Frames are Ethernet frames without FCS, as in a tap device. A short frame is not padded.
 *
 * Threads: a port object belongs to one thread, the one that made it. A machine whose vCPU threads all run the device
 * model makes one set of objects (switch, ports) in every thread; the flow table behind the host port is shared memory
 * (see flow-table.ts), so any thread may transmit, and the handler runs in the thread which opened the flow. A handler
 * therefore must find the device's state in shared memory, under the device's lock (DESIGN rule 1).
 */

/** Largest frame that is carried: Ethernet header and an MTU of 1500, without FCS. */
export const FRAME_MAX = 1514;
/** Smallest frame that makes sense: an Ethernet header. */
export const FRAME_MIN = 14;

export interface PortCounters {
  txFrames: number;
  txBytes: number;
  /** Frames that the port would not take: too short, too long, or no room behind it. */
  txDropped: number;
  rxFrames: number;
  rxBytes: number;
  /** Frames that the handler refused (its ring was full) or that came while there was no handler. */
  rxDropped: number;
}

/**
 * Takes one frame for the card. The view is valid only during the call: copy what you keep.
 * Returns false when there was no room (the frame is dropped and counted, as a real card would).
 */
export type FrameHandler = (frame: Uint8Array) => boolean;

export interface NetPort {
  readonly name: string;
  /**
   * Sends one frame: `bytes` bytes of `buffer` from `offset` (by default all of it; pass offsets into the guest's RAM
   * to save a view per packet). The bytes are taken before the call returns. The content is untrusted and every
   * check is made here. Returns false when the frame was dropped.
   */
  transmit(buffer: Uint8Array, offset?: number, bytes?: number): boolean;
  /** Ends a burst: datagrams may be held back until then. Call it once at the end of a doorbell; cheap when empty. */
  flush(): void;
  /**
   * Sets the one receiver. It runs inside IoContext.poll() or wait(), with no device's lock held; never inside this
   * port's own transmit() (between the ports of two VMs of one thread: inside the other's transmit()).
   */
  onReceive(handler: FrameHandler): void;
  readonly counters: PortCounters;
}
