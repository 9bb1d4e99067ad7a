/**
 * The host's port of the switch: a user network in QEMU's manner (nat/addresses.ts). Here each frame is copied once,
 * checked, and led to what answers it:
 *
 *   ARP, echo for 10.0.2.2 and 10.0.2.3 ─► answered at once, on any thread
 *   UDP                                 ─► nat/udp-flows.ts, on any thread
 *   TCP, DHCP, pings to elsewhere       ─► nat/guest-services.ts, on the machine's home thread (nat/home.ts)
 *
 * Every frame is the guest's and may be anything: it is never believed.
 */
import { DatagramBatch } from './datagram-batch.js';
import { FLOW_TABLE_BYTES, type FlowKey, FlowTable } from './flow-table.js';
import type { IoContext } from './io.js';
import type { Libc } from './libc.js';
import {
  BROADCAST_IP,
  BROADCAST_MAC,
  DNS_MAC,
  GATEWAY_IP,
  GATEWAY_MAC,
  hostRoute,
  isServed,
  loopbackRoute,
  type Route,
} from './nat/addresses.js';
import { Answers } from './nat/answers.js';
import { answerArp, arpSender } from './nat/arp.js';
import { DHCP_SERVER_PORT } from './nat/dhcp.js';
import type { Forward } from './nat/forward.js';
import { FrameWriter } from './nat/frame-writer.js';
import { GuestServices } from './nat/guest-services.js';
import { Home, INBOX_BYTES } from './nat/home.js';
import { answerEcho, ICMP, ICMP_ECHO, UNREACHABLE, writeUnreachable } from './nat/icmp.js';
import { HostResolver } from './nat/resolver.js';
import { LOST, SENT, UdpFlows } from './nat/udp-flows.js';
import {
  ARP,
  ARP_REPLY,
  ETHERNET,
  FRAGMENTED,
  type FrameBuffer,
  IP,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  read16,
  read32,
  TYPE_ARP,
  TYPE_IPV4,
  UDP,
} from './packet.js';
import { readMac, type SwitchPort } from './switch.js';
import { Timers } from './timers.js';

const WHOLE = 0xffff;
/** Shared memory of one machine's network: the table of UDP flows, then the home's inbox. */
const INBOX_AT = FLOW_TABLE_BYTES;
export const NETWORK_MEMORY_BYTES = INBOX_AT + INBOX_BYTES;

export interface HostPortOptions {
  /** False: UDP checksums are neither checked nor made, TCP's not checked (a paravirtual card may declare its memory trustworthy). Default true. */
  udpChecksums?: boolean;
  /** The host's loopback at 10.0.2.2 and nothing else. */
  loopbackOnly?: boolean;
  /** Ports of the host that lead into the guest. */
  forwards?: readonly Forward[];
}

export class HostPort {
  readonly #counters = {
    arpReplies: 0,
    echoReplies: 0,
    /** Not for us, or of a protocol that we do not speak. */
    ignored: 0,
    /** Lengths that contradict each other, fragments, wrong checksums. */
    malformed: 0,
    unreachable: 0,
  };
  readonly #batch: DatagramBatch;
  readonly #udp: UdpFlows;
  readonly #home: Home;
  readonly #services: GuestServices;
  readonly #timers: Timers;
  readonly #answers: Answers;
  readonly #writer = new FrameWriter();
  readonly #resolver = new HostResolver();
  readonly #route: Route;
  readonly #key: FlowKey = { guestMac: 0, guestIp: 0, guestPort: 0, hostIp: 0, hostPort: 0 };
  readonly #udpChecksums: boolean;

  /** memory: NETWORK_MEMORY_BYTES, shared by the machine's threads. */
  constructor(c: Libc, io: IoContext, port: SwitchPort, memory: SharedArrayBuffer, options: HostPortOptions = {}) {
    this.#udpChecksums = options.udpChecksums ?? true;
    this.#route = options.loopbackOnly ? loopbackRoute : hostRoute(this.#resolver);
    this.#batch = new DatagramBatch(c);
    this.#timers = new Timers(c, io);
    this.#answers = new Answers(io, port);
    const [writer, timers, answers, resolver] = [this.#writer, this.#timers, this.#answers, this.#resolver];
    const flows = new FlowTable(memory);
    const forwards = options.forwards ?? [];
    this.#udp = new UdpFlows({ io, batch: this.#batch, port, flows, writer, timers, checksums: this.#udpChecksums });
    this.#services = new GuestServices({
      c,
      io,
      port,
      answers,
      writer,
      timers,
      resolver,
      route: this.#route,
      checksums: this.#udpChecksums,
      forwards,
    });
    this.#home = new Home(
      c,
      io,
      memory,
      INBOX_AT,
      (frame, bytes) => this.#services.take(frame, bytes),
      () => this.#services.start(),
    );
    // Somebody must listen before the guest has said anything.
    if (forwards.length > 0) this.#home.isHere();
    port.onFrame((buffer, offset, bytes) => this.#receive(this.#batch.load(buffer, offset, bytes), bytes));
    port.onFlush = () => this.#udp.burstEnded();
  }

  counters(): Record<string, number> {
    return {
      ...this.#counters,
      ...this.#udp.counters,
      ...this.#batch.counters,
      ...this.#home.counters,
      ...this.#services.counters(),
    };
  }

  dispose(): void {
    this.#udp.dispose();
    this.#services.dispose();
    this.#home.dispose();
    this.#timers.dispose();
    this.#batch.dispose();
  }

  #receive(frame: FrameBuffer, bytes: number): boolean {
    const type = read16(frame.bytes, ETHERNET.TYPE);
    if (type === TYPE_ARP) return this.#arp(frame, bytes);
    if (type !== TYPE_IPV4) return this.#ignore();
    const to = readMac(frame.bytes, ETHERNET.TO);
    if (to !== GATEWAY_MAC && to !== DNS_MAC && to !== BROADCAST_MAC) return this.#ignore();
    return this.#ipv4(frame, bytes);
  }

  #arp(frame: FrameBuffer, bytes: number): boolean {
    const at = frame.bytes;
    if (bytes < ARP.END) return this.#refuse();
    const sender = arpSender(at);
    if (sender === undefined) return this.#ignore();
    if (read16(at, ARP.OPERATION) === ARP_REPLY) return this.#toHome(frame, bytes);
    if (!answerArp(at, sender)) return this.#ignore();
    this.#counters.arpReplies++;
    return this.#answers.later(at, ARP.END);
  }

  /** RFC 791: a whole packet, or nothing. */
  #ipv4(frame: FrameBuffer, bytes: number): boolean {
    const at = frame.bytes;
    if (bytes < ETHERNET.BYTES + IP.BYTES) return this.#refuse();
    const headerBytes = (at[IP.VERSION] & 0xf) * 4;
    const total = read16(at, IP.LENGTH);
    const sound =
      at[IP.VERSION] >>> 4 === 4 &&
      headerBytes >= IP.BYTES &&
      total >= headerBytes &&
      total <= bytes - ETHERNET.BYTES &&
      (read16(at, IP.FRAGMENT) & FRAGMENTED) === 0 &&
      frame.sum(IP.VERSION, headerBytes, 0) === WHOLE;
    if (!sound) return this.#refuse();
    const payloadAt = ETHERNET.BYTES + headerBytes;
    switch (at[IP.PROTOCOL]) {
      case PROTOCOL_UDP:
        return this.#udpPacket(frame, payloadAt, total - headerBytes, bytes);
      case PROTOCOL_TCP:
        return this.#toHome(frame, bytes);
      case PROTOCOL_ICMP:
        return this.#icmp(frame, payloadAt, total - headerBytes, bytes);
      default:
        return this.#ignore();
    }
  }

  /** RFC 792. */
  #icmp(frame: FrameBuffer, icmpAt: number, icmpBytes: number, bytes: number): boolean {
    const at = frame.bytes;
    if (icmpBytes < ICMP.BYTES || frame.sum(icmpAt, icmpBytes, 0) !== WHOLE) return this.#refuse();
    if (at[icmpAt] !== ICMP_ECHO || at[icmpAt + ICMP.CODE] !== 0) return this.#ignore();
    const to = read32(at, IP.TO);
    if (!isServed(to))
      return this.#route(to, 0) < 0 ? this.#unreachable(frame, UNREACHABLE.HOST) : this.#toHome(frame, bytes);
    answerEcho(frame, icmpAt, icmpBytes);
    this.#counters.echoReplies++;
    return this.#answers.later(at, icmpAt + icmpBytes);
  }

  /** RFC 768: into the burst of its flow. */
  #udpPacket(frame: FrameBuffer, udpAt: number, udpBytes: number, bytes: number): boolean {
    const at = frame.bytes;
    if (udpBytes < UDP.BYTES) return this.#refuse();
    const length = read16(at, udpAt + UDP.LENGTH);
    if (length < UDP.BYTES || length > udpBytes) return this.#refuse();
    const summed = this.#udpChecksums && read16(at, udpAt + UDP.CHECKSUM) !== 0;
    if (summed && frame.udpSum(udpAt, length) !== WHOLE) return this.#refuse();
    const key = this.#key;
    key.guestMac = readMac(at, ETHERNET.FROM);
    key.guestIp = read32(at, IP.FROM);
    key.guestPort = read16(at, udpAt + UDP.FROM);
    key.hostIp = read32(at, IP.TO);
    key.hostPort = read16(at, udpAt + UDP.TO);
    if (key.hostPort === 0) return this.#refuse();
    const ours = key.hostIp === GATEWAY_IP || key.hostIp === BROADCAST_IP;
    if (key.hostPort === DHCP_SERVER_PORT && ours) return this.#toHome(frame, bytes);
    const address = this.#route(key.hostIp, key.hostPort);
    if (address < 0) return this.#nowhere(frame);
    const result = this.#udp.send(key, address, udpAt + UDP.BYTES, length - UDP.BYTES);
    if (result === SENT) return true;
    return result !== LOST && this.#unreachable(frame, UNREACHABLE.NETWORK);
  }

  /** Unicast to where nobody is. Nobody is told of broadcast and multicast (RFC 1122, 3.2.2). */
  #nowhere(frame: FrameBuffer): boolean {
    const to = read32(frame.bytes, IP.TO);
    const unicast = readMac(frame.bytes, ETHERNET.TO) !== BROADCAST_MAC && to >>> 24 < 224 && (to & 0xff) !== 0xff;
    return unicast ? this.#unreachable(frame, isServed(to) ? UNREACHABLE.PORT : UNREACHABLE.HOST) : this.#ignore();
  }

  #unreachable(frame: FrameBuffer, code: number): boolean {
    this.#counters.unreachable++;
    const length = writeUnreachable(this.#writer, frame.bytes, read16(frame.bytes, IP.LENGTH), code);
    this.#answers.later(this.#writer.frame.bytes, length);
    return false;
  }

  #toHome(frame: FrameBuffer, bytes: number): boolean {
    if (!this.#home.isHere()) return this.#home.give(this.#batch.loadedAddress, bytes);
    this.#services.take(frame, bytes);
    return true;
  }

  #ignore(): boolean {
    this.#counters.ignored++;
    return false;
  }

  #refuse(): boolean {
    this.#counters.malformed++;
    return false;
  }
}
