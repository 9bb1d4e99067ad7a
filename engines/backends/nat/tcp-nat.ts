/** The TCP connections of a machine, on its home thread: finds a segment's connection, opens new ones, bounds their number. */

import { HostError } from '../host-error.js';
import { ETHERNET, type FrameBuffer, IP, read16, read32 } from '../packet.js';
import { randomBytes } from '../random.js';
import { readMac } from '../switch.js';
import { FLAG, Segment, TCP } from '../tcp/segment.js';
import { ERRNO } from '../tcp-socket.js';
import { Timer } from '../timers.js';
import { isServed, type Route } from './addresses.js';
import { UNREACHABLE, writeUnreachable } from './icmp.js';
import { TcpConnection, type TcpEvents, type TcpTools } from './tcp-connection.js';
import { type TcpEnds, writeReset } from './tcp-wire.js';

/** Of one machine; those that wait for their end, then those that were used least recently, are given up. */
export const CONNECTIONS_MAX = 256;
const TIME_WAIT_MAX = 64;
const WHOLE = 0xffff;
/** Pauses between tries to send while the card has no room. */
const RETRY_MIN_NS = 0.5e6;
const RETRY_MAX_NS = 50e6;
/** Of the frame that an ICMP error quotes: Ethernet header, the longest IP header, 8 bytes. */
const QUOTE_BYTES = ETHERNET.BYTES + 60 + 8;

export interface TcpNatTools extends Omit<TcpTools, 'initialSequence'> {
  route: Route;
  /** False: checksums of the guest's segments are not looked at. */
  checksums: boolean;
}

export class TcpNat {
  readonly counters = {
    tcpOpened: 0,
    tcpForwarded: 0,
    tcpRefused: 0,
    tcpEvicted: 0,
    tcpMalformed: 0,
    tcpResets: 0,
    tcpRetransmitted: 0,
  };
  readonly #tools: TcpTools;
  /** By both ports; those that differ in addresses hang together. */
  readonly #byPorts = new Map<number, TcpConnection>();
  readonly #all = new Set<TcpConnection>();
  readonly #due = new Set<TcpConnection>();
  /** The card had no room for what they have to send. */
  readonly #blocked = new Set<TcpConnection>();
  readonly #events: TcpEvents = {
    due: (connection) => this.#soon(connection),
    served: (connection) => this.#served(connection),
    refused: (connection, quote, errno) => this.#refused(connection, quote, errno),
    ended: (connection) => this.#remove(connection),
  };
  readonly #segment = new Segment();
  readonly #retry = new Timer(() => this.#serve());
  #retryNs = RETRY_MIN_NS;
  #deferred = false;
  #clock = 0;
  #random = Buffer.alloc(0);
  #randomAt = 0;

  constructor(private readonly tools: TcpNatTools) {
    this.#tools = { ...tools, initialSequence: () => this.#initialSequence() };
  }

  /** A packet whose IPv4 header is right: `total` bytes at `tcpAt`. */
  take(frame: FrameBuffer, tcpAt: number, total: number): void {
    const segment = this.#segment;
    const at = frame.bytes;
    const sound = segment.parse(at, tcpAt, total) && (!this.tools.checksums || frame.tcpSum(tcpAt, total) === WHOLE);
    if (!sound) {
      this.counters.tcpMalformed++;
      return;
    }
    const [guestPort, hostPort] = [read16(at, tcpAt + TCP.FROM), read16(at, tcpAt + TCP.TO)];
    const connection = this.#find(guestPort, hostPort, read32(at, IP.FROM), read32(at, IP.TO));
    const opens = (segment.flags & (FLAG.SYN | FLAG.ACK | FLAG.RST)) === FLAG.SYN;
    if (connection !== undefined && !(opens && connection.mayBeReplacedBy(segment))) {
      connection.lastUsed = this.#clock++;
      connection.receive(segment);
      this.#soon(connection);
      return;
    }
    if (connection !== undefined) connection.abort(true);
    const guestMac = readMac(at, ETHERNET.FROM);
    const ends = { guestMac, guestIp: read32(at, IP.FROM), guestPort, hostIp: read32(at, IP.TO), hostPort };
    if (opens) this.#open(ends, segment, frame);
    else this.#reset(ends, segment);
  }

  /** A connection of the host's for the guest: `fd` is taken over. */
  forward(fd: number, ends: TcpEnds): TcpConnection | undefined {
    const connection = this.#add(fd, ends);
    if (connection === undefined) return undefined;
    this.counters.tcpForwarded++;
    connection.forward();
    this.#soon(connection);
    return connection;
  }

  /** The port is free on the host's side of the network towards this guest port. */
  isFree(guestPort: number, hostPort: number, guestIp: number, hostIp: number): boolean {
    return this.#find(guestPort, hostPort, guestIp, hostIp) === undefined;
  }

  /** A guest was found (ARP): connections that wait for its address go on. */
  found(ip: number, mac: number): void {
    for (const connection of this.#all) {
      const { ends } = connection;
      if (ends.guestMac !== 0 || ends.guestIp !== ip) continue;
      ends.guestMac = mac;
      this.#soon(connection);
    }
  }

  dispose(): void {
    this.tools.timers.set(this.#retry, Number.POSITIVE_INFINITY);
    for (const connection of [...this.#all]) connection.abort(true);
  }

  #find(guestPort: number, hostPort: number, guestIp: number, hostIp: number): TcpConnection | undefined {
    let it = this.#byPorts.get(guestPort * 65536 + hostPort);
    while (it !== undefined && (it.ends.hostIp !== hostIp || it.ends.guestIp !== guestIp)) it = it.next;
    return it;
  }

  #open(ends: TcpEnds, syn: Segment, frame: FrameBuffer): void {
    const address = this.tools.route(ends.hostIp, ends.hostPort);
    if (address < 0) {
      if (isServed(ends.hostIp)) this.#reset(ends, syn);
      else this.#unreachable(frame.bytes);
      return;
    }
    let fd: number;
    try {
      fd = this.tools.sockets.open();
    } catch {
      return; // out of descriptors: the guest asks again
    }
    const connection = this.#add(fd, ends);
    if (connection === undefined) return;
    this.counters.tcpOpened++;
    connection.open(syn, frame.bytes.slice(0, QUOTE_BYTES), address, ends.hostPort);
  }

  #add(fd: number, ends: TcpEnds): TcpConnection | undefined {
    this.#makeRoom();
    let connection: TcpConnection;
    try {
      connection = new TcpConnection(this.#tools, this.#events, ends, fd);
    } catch (error) {
      if (error instanceof HostError || error instanceof RangeError) return undefined;
      throw error;
    }
    const key = ends.guestPort * 65536 + ends.hostPort;
    connection.next = this.#byPorts.get(key);
    connection.lastUsed = this.#clock++;
    this.#byPorts.set(key, connection);
    this.#all.add(connection);
    return connection;
  }

  #remove(connection: TcpConnection): void {
    this.#all.delete(connection);
    this.#due.delete(connection);
    this.#blocked.delete(connection);
    this.counters.tcpRetransmitted += connection.endpoint.sender.counters.retransmitted;
    const key = connection.ends.guestPort * 65536 + connection.ends.hostPort;
    const first = this.#byPorts.get(key);
    if (first === connection) {
      if (connection.next === undefined) this.#byPorts.delete(key);
      else this.#byPorts.set(key, connection.next);
      return;
    }
    for (let it = first; it !== undefined; it = it.next) if (it.next === connection) it.next = connection.next;
  }

  /** The host refuses, or has no way there (RFC 9293, 3.9.2.2: ICMP tells of the latter). */
  #refused(connection: TcpConnection, quote: Uint8Array, errno: number): void {
    this.counters.tcpRefused++;
    if (errno !== ERRNO.ECONNREFUSED) {
      this.#unreachable(quote);
      return;
    }
    const segment = new Segment();
    const headerBytes = (quote[IP.VERSION] & 0xf) * 4;
    segment.flags = FLAG.SYN;
    segment.seq = read32(quote, ETHERNET.BYTES + headerBytes + TCP.SEQ);
    this.#reset(connection.ends, segment);
  }

  #reset(ends: TcpEnds, segment: Segment): void {
    if (segment.flags & FLAG.RST) return;
    const { writer, answers } = this.tools;
    if (answers.later(writer.frame.bytes, writeReset(writer, ends, segment))) this.counters.tcpResets++;
  }

  #unreachable(about: Uint8Array): void {
    const { writer, answers } = this.tools;
    const length = writeUnreachable(writer, about, read16(about, IP.LENGTH), UNREACHABLE.HOST);
    answers.later(writer.frame.bytes, length);
  }

  /** For one more connection. */
  #makeRoom(): void {
    const waiting = [...this.#all].filter((it) => it.endpoint.state === 'TIME_WAIT');
    if (waiting.length < TIME_WAIT_MAX && this.#all.size < CONNECTIONS_MAX) return;
    const from = waiting.length > 0 ? waiting : [...this.#all];
    this.counters.tcpEvicted++;
    from.reduce((oldest, it) => (it.lastUsed < oldest.lastUsed ? it : oldest)).abort(true);
  }

  /** Serves a connection when the guest's burst is over. */
  #soon(connection: TcpConnection): void {
    if (this.#all.has(connection)) this.#due.add(connection);
    if (this.#deferred) return;
    this.#deferred = true;
    this.tools.io.defer(() => {
      this.#deferred = false;
      this.#serve();
    });
  }

  #serve(): void {
    const due = new Set([...this.#due, ...this.#blocked]);
    this.#due.clear();
    const sent = this.tools.port.counters.txFrames;
    // Longer with each try that sends nothing.
    const next = Math.min(RETRY_MAX_NS, this.#retryNs * 2);
    for (const connection of due) connection.service();
    this.#retryNs = this.tools.port.counters.txFrames === sent ? next : RETRY_MIN_NS;
  }

  /** Those for which the card had no room: again soon, and whenever the guest sends something. */
  #served(connection: TcpConnection): void {
    if (connection.endpoint.blocked) {
      this.#blocked.add(connection);
      if (this.#retry.deadline === Number.POSITIVE_INFINITY) {
        this.tools.timers.set(this.#retry, this.tools.now() + this.#retryNs);
      }
    } else {
      this.#blocked.delete(connection);
    }
  }

  #initialSequence(): number {
    if (this.#randomAt >= this.#random.length) {
      this.#random = Buffer.from(randomBytes(256).buffer);
      this.#randomAt = 0;
    }
    this.#randomAt += 4;
    return this.#random.readUInt32LE(this.#randomAt - 4);
  }
}
