/**
 * An Ethernet switch: learns which port a MAC address is behind (IEEE 802.1D, 7.8), sends known addresses there and
 * everything else everywhere. Belongs to one thread, like its ports (see net-port.ts).
 */
import { FRAME_MAX, FRAME_MIN, type FrameHandler, type NetPort, type PortCounters } from './net-port.js';

/** Addresses kept. A guest that invents source addresses makes the table start anew, nothing more. */
const ADDRESSES_MAX = 1024;
/** The group bit: the least significant bit of the first byte (IEEE 802, 8.2). */
const GROUP = 2 ** 40;

/** Takes a frame inside a larger buffer; like FrameHandler otherwise. */
export type FrameSink = (buffer: Uint8Array, offset: number, bytes: number) => boolean;

export class Switch {
  readonly #ports: SwitchPort[] = [];
  readonly #addresses = new Map<number, SwitchPort>();

  /** A port for a virtual network card. */
  addPort(name: string): SwitchPort {
    const port = new SwitchPort(name, this);
    this.#ports.push(port);
    return port;
  }

  /** Carries a frame that came in at `from`. False when it went nowhere. For SwitchPort. */
  forward(from: SwitchPort, buffer: Uint8Array, offset: number, bytes: number): boolean {
    // Another thread of the guest may change the bytes at any time: each address is read once, into a number.
    const to = readMac(buffer, offset);
    this.#learn(readMac(buffer, offset + 6), from);
    const known = this.#addresses.get(to);
    if (known !== undefined) return known !== from && known.deliver(buffer, offset, bytes);
    let taken = false;
    for (const port of this.#ports) {
      if (port !== from && port.deliver(buffer, offset, bytes)) taken = true;
    }
    return taken;
  }

  flush(from: SwitchPort): void {
    for (const port of this.#ports) if (port !== from) port.onFlush?.();
  }

  #learn(source: number, port: SwitchPort): void {
    if (this.#addresses.get(source) === port || isGroup(source)) return;
    if (this.#addresses.size >= ADDRESSES_MAX) this.#addresses.clear();
    this.#addresses.set(source, port);
  }
}

export class SwitchPort implements NetPort {
  readonly counters: PortCounters = { txFrames: 0, txBytes: 0, txDropped: 0, rxFrames: 0, rxBytes: 0, rxDropped: 0 };
  /** What is behind the port sends what it has held back. */
  onFlush: (() => void) | undefined;
  #sink: FrameSink | undefined;
  #lastBuffer: Uint8Array | undefined;
  #lastOffset = 0;
  #lastView: Uint8Array = new Uint8Array(0);

  constructor(
    readonly name: string,
    private readonly network: Switch,
  ) {}

  transmit(buffer: Uint8Array, offset = 0, bytes = buffer.length - offset): boolean {
    const fits = bytes >= FRAME_MIN && bytes <= FRAME_MAX && offset >= 0 && offset + bytes <= buffer.length;
    if (!fits || !this.network.forward(this, buffer, offset, bytes)) {
      this.counters.txDropped++;
      return false;
    }
    this.counters.txFrames++;
    this.counters.txBytes += bytes;
    return true;
  }

  flush(): void {
    this.network.flush(this);
  }

  onReceive(handler: FrameHandler): void {
    this.#sink = (buffer, offset, bytes) => handler(this.#view(buffer, offset, bytes));
  }

  /** As onReceive(), for receivers that can do without a view. */
  onFrame(sink: FrameSink): void {
    this.#sink = sink;
  }

  /** A frame for what is behind this port. For Switch. */
  deliver(buffer: Uint8Array, offset: number, bytes: number): boolean {
    if (this.#sink === undefined || !this.#sink(buffer, offset, bytes)) {
      this.counters.rxDropped++;
      return false;
    }
    this.counters.rxFrames++;
    this.counters.rxBytes += bytes;
    return true;
  }

  /** Frames of a stream come in one buffer with one length: then no view is made for each. */
  #view(buffer: Uint8Array, offset: number, bytes: number): Uint8Array {
    if (this.#lastBuffer === buffer && this.#lastOffset === offset && this.#lastView.length === bytes) {
      return this.#lastView;
    }
    this.#lastBuffer = buffer;
    this.#lastOffset = offset;
    this.#lastView = buffer.subarray(offset, offset + bytes);
    return this.#lastView;
  }
}

/** Six bytes as a number below 2 ** 48. */
export function readMac(bytes: Uint8Array, at: number): number {
  const high = (bytes[at] << 8) | bytes[at + 1];
  const low = ((bytes[at + 2] << 24) | (bytes[at + 3] << 16) | (bytes[at + 4] << 8) | bytes[at + 5]) >>> 0;
  return high * 4294967296 + low;
}

export function writeMac(bytes: Uint8Array, at: number, mac: number): void {
  const high = Math.floor(mac / 4294967296);
  bytes[at] = high >>> 8;
  bytes[at + 1] = high;
  bytes[at + 2] = mac >>> 24;
  bytes[at + 3] = mac >>> 16;
  bytes[at + 4] = mac >>> 8;
  bytes[at + 5] = mac;
}

/** Broadcast and multicast addresses. */
export const isGroup = (mac: number): boolean => Math.floor(mac / GROUP) % 2 === 1;
