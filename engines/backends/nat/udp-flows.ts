/**
 * UDP between the guest and the host's network (RFC 768): a connected socket for each flow, opened by the thread that
 * first sends on it and used by all (flow-table.ts). A flow that is idle for some minutes is closed (RFC 4787, REQ-5).
 */
import { nowNs } from '../clock.js';
import type { DatagramBatch } from '../datagram-batch.js';
import type { FlowKey, FlowTable } from '../flow-table.js';
import { HostError } from '../host-error.js';
import type { HandleId, IoContext } from '../io.js';
import { PROTOCOL_UDP, UDP, write16 } from '../packet.js';
import type { SwitchPort } from '../switch.js';
import { Timer, type Timers } from '../timers.js';
import { type FrameWriter, MTU, PAYLOAD_AT } from './frame-writer.js';

const DATA_AT = PAYLOAD_AT + UDP.BYTES;
const PAYLOAD_MAX = MTU - 20 - UDP.BYTES;
const WHOLE = 0xffff;
/** Looked at so often; closed after so many looks without a datagram. */
const SWEEP_NS = 60e9;
const IDLE_SWEEPS = 5;

/** What came of a datagram: an errno where the host has no way to its destination. */
export const LOST = -1;
export const SENT = 0;

/** A flow whose socket this thread has opened. */
interface OwnFlow {
  index: number;
  handle: HandleId;
  seen: number;
  idle: number;
}

export interface UdpTools {
  io: IoContext;
  batch: DatagramBatch;
  port: SwitchPort;
  flows: FlowTable;
  writer: FrameWriter;
  timers: Timers;
  /** False: checksums are not made. */
  checksums: boolean;
}

export class UdpFlows {
  readonly counters = {
    udpToHost: 0,
    udpToGuest: 0,
    flowsOpened: 0,
    flowsEvicted: 0,
    flowsTimedOut: 0,
    undeliverable: 0,
  };
  readonly #own: OwnFlow[] = [];
  readonly #sweep = new Timer(() => this.#sweepIdle());
  /** Entry of the queued burst's flow; pinned until the burst is sent. */
  #pinned = -1;
  #problem = 0;
  /** Bursts are held back until the thread next looks at its I/O. */
  #holds = false;
  /** IoContext.polls when a burst was last sent at once. */
  #sentAt = -1;

  constructor(private readonly tools: UdpTools) {}

  /**
   * Queues `bytes` bytes from `offset` of the frame that the batch has loaded. `key` is read at once. address: where
   * key.hostIp leads. SENT, LOST, or the errno with which the host refuses the destination.
   */
  send(key: FlowKey, address: number, offset: number, bytes: number): number {
    const index = this.#flow(key, address);
    if (index < 0) {
      this.counters.undeliverable++;
      return this.#problem || LOST;
    }
    this.tools.batch.queue(this.tools.flows.descriptor(index), offset, bytes);
    this.counters.udpToHost++;
    return SENT;
  }

  /**
   * A burst of the guest's has ended. One by itself is sent at once. If others follow before the thread next looks at its I/O (when
   * the guest waits, or after 100 µs), they are sent together there, and so on until there are none: a guest that rings a doorbell
   * for each datagram of a stream is spared a system call for each.
   */
  burstEnded(): void {
    const { batch, io } = this.tools;
    if (this.#holds || batch.isEmpty) return;
    if (io.polls === this.#sentAt) {
      this.#holds = true;
      io.defer(this.#sendHeld);
      return;
    }
    this.#sentAt = io.polls;
    this.flush();
  }

  readonly #sendHeld = (): void => {
    this.#holds = !this.tools.batch.isEmpty;
    this.flush();
    if (this.#holds) this.tools.io.defer(this.#sendHeld);
  };

  /** Sends the datagrams that were held back. */
  flush(): void {
    const { batch, flows } = this.tools;
    if (!batch.isEmpty) batch.flush();
    if (this.#pinned >= 0) flows.unpin(this.#pinned);
    this.#pinned = -1;
  }

  dispose(): void {
    this.flush();
    while (this.#own.length > 0 && this.#evict(this.#own[this.#own.length - 1])) {}
    this.tools.timers.set(this.#sweep, Number.POSITIVE_INFINITY);
  }

  /** The entry of the flow, pinned until the burst is sent; -1 when there is none to be had. */
  #flow(key: FlowKey, address: number): number {
    const { flows } = this.tools;
    const before = this.#pinned;
    let index = flows.pin(key, before);
    if (index >= 0 && index === before) {
      flows.unpin(index); // It was pinned by the burst's first datagram.
      return index;
    }
    this.flush();
    if (index < 0) index = flows.locked(() => this.#open(key, address));
    this.#pinned = index;
    return index;
  }

  #open(key: FlowKey, address: number): number {
    const { flows, io } = this.tools;
    this.#problem = 0;
    const known = flows.pin(key, -1);
    if (known >= 0) return known;
    if (!flows.hasFree() && !this.#evictOldest()) return -1;
    let handle: HandleId;
    try {
      handle = io.openUdp(key.hostPort, address);
    } catch (error) {
      // No way there, or out of descriptors: the datagram is lost, the guest goes on.
      if (error instanceof HostError) this.#problem = error.errno;
      return -1;
    }
    const index = flows.claim(key, io.descriptor(handle));
    this.#own.push({ index, handle, seen: flows.lastUsed(index), idle: 0 });
    this.counters.flowsOpened++;
    const flow = { ...key };
    io.receive(handle, (datagram) => {
      flows.touch(index);
      this.toGuest(flow, datagram);
    });
    io.submit();
    if (this.#own.length === 1) this.#sweepLater();
    return index;
  }

  #evictOldest(): boolean {
    const { flows } = this.tools;
    const byAge = [...this.#own].sort((a, b) => (flows.lastUsed(a.index) - flows.lastUsed(b.index)) | 0);
    const evicted = byAge.some((flow) => this.#evict(flow));
    if (evicted) this.counters.flowsEvicted++;
    return evicted;
  }

  #evict(flow: OwnFlow): boolean {
    const { flows, io } = this.tools;
    if (!flows.evict(flow.index)) return false;
    this.#own.splice(this.#own.indexOf(flow), 1);
    io.close(flow.handle);
    flows.release(flow.index);
    return true;
  }

  #sweepLater(): void {
    this.tools.timers.set(this.#sweep, nowNs() + SWEEP_NS);
  }

  #sweepIdle(): void {
    const { flows } = this.tools;
    for (const flow of [...this.#own]) {
      const used = flows.lastUsed(flow.index);
      flow.idle = used === flow.seen ? flow.idle + 1 : 0;
      flow.seen = used;
      if (flow.idle < IDLE_SWEEPS) continue;
      if (flows.locked(() => this.#evict(flow))) this.counters.flowsTimedOut++;
    }
    if (this.#own.length > 0) this.#sweepLater();
  }

  /** Wraps a datagram for the guest: from key.hostIp:hostPort to key.guestIp:guestPort. */
  toGuest(key: FlowKey, datagram: Uint8Array): void {
    const bytes = datagram.length;
    if (bytes > PAYLOAD_MAX) {
      this.counters.undeliverable++;
      return;
    }
    const { writer, port } = this.tools;
    const at = writer.frame.bytes;
    const length = writer.headers(key.guestMac, key.hostIp, key.guestIp, PROTOCOL_UDP, UDP.BYTES + bytes);
    write16(at, PAYLOAD_AT + UDP.FROM, key.hostPort);
    write16(at, PAYLOAD_AT + UDP.TO, key.guestPort);
    write16(at, PAYLOAD_AT + UDP.LENGTH, bytes + UDP.BYTES);
    write16(at, PAYLOAD_AT + UDP.CHECKSUM, 0);
    at.set(datagram, DATA_AT);
    if (this.tools.checksums) {
      // A sum of zero is sent as all ones: zero means "none" (RFC 768).
      const sum = writer.frame.udpSum(PAYLOAD_AT, bytes + UDP.BYTES);
      write16(at, PAYLOAD_AT + UDP.CHECKSUM, ~sum & 0xffff || WHOLE);
    }
    this.counters.udpToGuest++;
    port.transmit(at, 0, length);
  }
}
