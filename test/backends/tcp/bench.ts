/** A TCP endpoint on a bench: time by hand, segments as header fields, written for the tests from RFC 9293's text. */
import { type Outgoing, TcpEndpoint } from '#engines/backends/tcp/endpoint.js';
import { Segment } from '#engines/backends/tcp/segment.js';
import { StreamBuffer } from '#engines/backends/tcp/stream-buffer.js';

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

/** A segment as a plain value. */
export interface Packet {
  flags: number;
  seq: number;
  ack: number;
  window: number;
  data: number[];
  mss?: number;
  scale?: number;
}

export const text = (bytes: string | number[]): number[] =>
  typeof bytes === 'string' ? [...Buffer.from(bytes)] : bytes;

export class Bench {
  readonly sent: Packet[] = [];
  readonly endpoint: TcpEndpoint;
  readonly sendRing: StreamBuffer;
  readonly receiveRing: StreamBuffer;
  now = 1e9;
  /** The wire takes so many more segments. */
  wireRoom = Number.POSITIVE_INFINITY;

  constructor(options: { iss?: number; send?: number; receive?: number; mss?: number } = {}) {
    const { iss = 1000, send = 4096, receive = 4096, mss = 1460 } = options;
    this.sendRing = new StreamBuffer(new Uint8Array(send));
    this.receiveRing = new StreamBuffer(new Uint8Array(receive));
    const wire = { send: (out: Outgoing) => this.#take(out) };
    this.endpoint = new TcpEndpoint(wire, this.sendRing, this.receiveRing, { mss, iss });
  }

  #take(out: Outgoing): boolean {
    if (this.wireRoom <= 0) return false;
    this.wireRoom--;
    const data = new Uint8Array(out.dataBytes);
    out.data?.read(out.seq, data, 0, out.dataBytes);
    const { flags, seq, ack, window } = out;
    const options = flags & SYN ? { mss: out.mss, ...(out.scale >= 0 ? { scale: out.scale } : {}) } : {};
    this.sent.push({ flags, seq: seq >>> 0, ack: ack >>> 0, window, data: [...data], ...options });
    return true;
  }

  /** What has been sent since the last time. */
  taken(): Packet[] {
    return this.sent.splice(0);
  }

  static segment(packet: Partial<Packet> & { seq: number }): Segment {
    const segment = new Segment();
    const data = Uint8Array.from(packet.data ?? []);
    Object.assign(segment, {
      flags: ACK,
      ack: 0,
      window: 65535,
      mss: 536,
      scale: -1,
      ...packet,
      bytes: data,
      dataAt: 0,
    });
    segment.dataBytes = data.length;
    return segment;
  }

  /** A segment comes in, and what is due goes out. */
  receive(packet: Partial<Packet> & { seq: number }): Packet[] {
    this.endpoint.receive(Bench.segment(packet), this.now);
    return this.output();
  }

  output(): Packet[] {
    this.endpoint.output(this.now);
    return this.taken();
  }

  /** Passes time, to the deadline at the latest. */
  wait(ns: number): Packet[] {
    this.now += ns;
    if (this.endpoint.deadline <= this.now) this.endpoint.expire(this.now);
    return this.taken();
  }

  /** The owner gives bytes. */
  write(data: number[]): Packet[] {
    this.sendRing.write(this.endpoint.sender.tail, Uint8Array.from(data), 0, data.length);
    this.endpoint.wrote(data.length);
    return this.output();
  }

  /** The owner takes all bytes that are there. */
  read(): number[] {
    const { receiver } = this.endpoint;
    const data = new Uint8Array(receiver.readable);
    this.receiveRing.read(receiver.read, data, 0, data.length);
    this.endpoint.consumed(data.length);
    return [...data];
  }

  finish(): Packet[] {
    this.endpoint.finish();
    return this.output();
  }

  /** Through a passive open: the peer's SYN has sequence number 5000. */
  static established(
    options: ConstructorParameters<typeof Bench>[0] & { window?: number; peerMss?: number } = {},
  ): Bench {
    const bench = new Bench(options);
    bench.endpoint.accept(Bench.segment({ flags: SYN, seq: 5000, mss: options.peerMss ?? 1460 }));
    bench.output();
    const iss = options.iss ?? 1000;
    bench.receive({ seq: 5001, ack: (iss + 1) >>> 0, window: options.window ?? 65535 });
    bench.taken();
    return bench;
  }
}
