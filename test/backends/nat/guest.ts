/** A guest on a user network: frames by hand around the tests' own TCP peer. */
import { GUEST_IP, HOST_IP, internetChecksum, ipv4 } from '../frames.js';
import type { Packet } from '../tcp/bench.js';
import { Peer } from '../tcp/peer.js';

const be16 = (n: number): number[] => [(n >>> 8) & 255, n & 255];
const be32 = (n: number): number[] => [...be16(n >>> 16), ...be16(n)];

/** A TCP segment in a frame (RFC 9293, 3.1). */
export function tcpFrame(from: number, to: number, packet: Packet, target = HOST_IP): Uint8Array {
  const options = packet.mss === undefined ? [] : [2, 4, ...be16(packet.mss)];
  if (packet.scale !== undefined) options.push(3, 3, packet.scale, 0);
  const offset = ((20 + options.length) / 4) << 4;
  const head = [
    ...be16(from),
    ...be16(to),
    ...be32(packet.seq),
    ...be32(packet.ack),
    offset,
    packet.flags,
    ...be16(packet.window),
  ];
  const pseudo = [...GUEST_IP, ...target, 0, 6, ...be16(20 + options.length + packet.data.length)];
  const sum = internetChecksum([...pseudo, ...head, 0, 0, 0, 0, ...options, ...packet.data]);
  return ipv4(6, [...head, ...be16(sum), 0, 0, ...options, ...packet.data], target);
}

/** The segment of a frame, its checksums looked at; undefined when it is no TCP. */
export function parseTcp(frame: Uint8Array): (Packet & { from: number; to: number; source: number[] }) | undefined {
  if (frame[12] !== 8 || frame[13] !== 0 || frame[23] !== 6) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const total = view.getUint16(16);
  if (internetChecksum(frame.slice(14, 34)) !== 0) throw new Error('wrong IP checksum');
  const segment = [...frame.slice(34, 14 + total)];
  if (internetChecksum([...frame.slice(26, 34), 0, 6, ...be16(total - 20), ...segment]) !== 0)
    throw new Error('wrong TCP checksum');
  const offset = (segment[12] >> 4) * 4;
  const options = segment.slice(20, offset);
  const scaleAt = options.indexOf(3, 4);
  return {
    source: [...frame.slice(26, 30)],
    from: view.getUint16(34),
    to: view.getUint16(36),
    seq: view.getUint32(38),
    ack: view.getUint32(42),
    flags: segment[13],
    window: view.getUint16(48),
    data: segment.slice(offset),
    ...(scaleAt >= 0 ? { scale: options[scaleAt + 2] } : {}),
  };
}

/** TCP clients and servers of the guest, by the frames that come. */
export class Guest {
  readonly peers = new Map<number, Peer>();
  /** Frames that are no TCP. */
  readonly others: Uint8Array[] = [];
  /** Segments for ports that nobody uses. */
  readonly strays: Packet[] = [];

  constructor(private readonly transmit: (frame: Uint8Array) => void) {}

  /** A client on `from` that connects to `to`. */
  connect(from: number, to: number, target = HOST_IP, options: ConstructorParameters<typeof Peer>[1] = {}): Peer {
    const peer = new Peer((packet) => this.#outbox.push(tcpFrame(from, to, packet, target)), options);
    this.peers.set(from, peer);
    peer.connect();
    this.flush();
    return peer;
  }

  /** Waits on `port` for one client. */
  listen(port: number): Promise<Peer> {
    return new Promise((resolve) => {
      this.#listeners.set(port, resolve);
    });
  }

  readonly #listeners = new Map<number, (peer: Peer) => void>();
  readonly #outbox: Uint8Array[] = [];

  /** Frames go out when the card's handler is over. */
  flush(): void {
    for (const frame of this.#outbox.splice(0)) this.transmit(frame);
  }

  /** From the card. */
  receive(frame: Uint8Array): void {
    const packet = parseTcp(frame);
    if (packet === undefined) {
      this.others.push(frame.slice());
      return;
    }
    const listener = this.#listeners.get(packet.to);
    if (listener !== undefined && packet.flags === 2) {
      const server = new Peer((it) => this.#outbox.push(tcpFrame(packet.to, packet.from, it)));
      this.peers.set(packet.to, server);
      server.accept(packet);
      listener(server);
      return;
    }
    const peer = this.peers.get(packet.to);
    if (peer === undefined) this.strays.push(packet);
    else peer.receive(packet);
  }
}
