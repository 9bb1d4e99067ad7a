/**
 * The host's port of the switch: the gateway 10.0.2.2 with the MAC address of QEMU's user networking. It answers ARP and
 * ICMP echo, and carries UDP to 10.0.2.2:P to 127.0.0.1:P of the host and the replies back. All else is dropped and
 * counted. Every frame is the guest's and may be anything: it is copied once and then checked, never believed.
 */
import { DatagramBatch } from './datagram-batch.js';
import type { FlowKey, FlowTable } from './flow-table.js';
import type { HandleId, IoContext } from './io.js';
import type { Libc } from './libc.js';
import {
  ARP,
  ARP_REPLY,
  ARP_REQUEST,
  ETHERNET,
  FRAGMENTED,
  FrameBuffer,
  IP,
  PROTOCOL_ICMP,
  PROTOCOL_UDP,
  read16,
  read32,
  TYPE_ARP,
  TYPE_IPV4,
  UDP,
  write16,
  write32,
} from './packet.js';
import { readMac, type SwitchPort, writeMac } from './switch.js';

/** 10.0.2.2 */
export const GATEWAY_IP = 0x0a000202;
/** 52:55:0a:00:02:02 */
export const GATEWAY_MAC = 0x52550a000202;

const HEADERS_BYTES = ETHERNET.BYTES + IP.BYTES + UDP.BYTES;
/** An IP packet of 1500 bytes. */
const PAYLOAD_MAX = 1500 - IP.BYTES - UDP.BYTES;
const ICMP_ECHO = 8;
const WHOLE = 0xffff;
/** Replies to ARP and echo that may wait for the next poll(). */
const ANSWERS_MAX = 64;

/** A flow whose socket this thread has opened. */
interface OwnFlow {
  index: number;
  handle: HandleId;
}

export interface HostPortOptions {
  /** False: UDP checksums are neither checked nor made (a paravirtual card may declare its memory trustworthy). Default true. */
  udpChecksums?: boolean;
}

export class HostPort {
  readonly counters = {
    arpReplies: 0,
    echoReplies: 0,
    udpToHost: 0,
    udpToGuest: 0,
    flowsOpened: 0,
    flowsEvicted: 0,
    /** Not for the gateway, or of a protocol that it does not speak. */
    ignored: 0,
    /** Lengths that contradict each other, fragments, wrong checksums. */
    malformed: 0,
    /** No socket to be had, or a reply too long for a frame. */
    undeliverable: 0,
  };
  readonly batch: DatagramBatch;
  readonly #reply: FrameBuffer;
  readonly #own: OwnFlow[] = [];
  readonly #key: FlowKey = { guestMac: 0, guestIp: 0, guestPort: 0, hostPort: 0 };
  readonly #udpChecksums: boolean;
  /** Entry of the queued burst's flow; pinned until the burst is sent. */
  #pinned = -1;
  #packetId = 0;
  #answers = 0;

  constructor(
    c: Libc,
    private readonly io: IoContext,
    private readonly port: SwitchPort,
    private readonly flows: FlowTable,
    options: HostPortOptions = {},
  ) {
    this.batch = new DatagramBatch(c);
    this.#reply = new FrameBuffer(new ArrayBuffer(2048), 0, 2048);
    this.#udpChecksums = options.udpChecksums ?? true;
    port.onFrame((buffer, offset, bytes) => this.#receive(this.batch.load(buffer, offset, bytes), bytes));
    port.onFlush = () => this.flush();
  }

  /** Sends the datagrams that were held back. */
  flush(): void {
    if (!this.batch.isEmpty) this.batch.flush();
    if (this.#pinned >= 0) this.flows.unpin(this.#pinned);
    this.#pinned = -1;
  }

  dispose(): void {
    this.flush();
    while (this.#own.length > 0 && this.#evict(this.#own[this.#own.length - 1])) {}
    this.batch.dispose();
  }

  #receive(frame: FrameBuffer, bytes: number): boolean {
    const type = read16(frame.bytes, ETHERNET.TYPE);
    if (type === TYPE_ARP) return this.#arp(frame, bytes);
    if (type !== TYPE_IPV4 || readMac(frame.bytes, ETHERNET.TO) !== GATEWAY_MAC) return this.#ignore();
    return this.#ipv4(frame, bytes);
  }

  /** RFC 826: answers who has 10.0.2.2. */
  #arp(frame: FrameBuffer, bytes: number): boolean {
    const at = frame.bytes;
    if (bytes < ARP.END) return this.#refuse();
    const ethernetIpv4 =
      read16(at, ARP.HARDWARE) === 1 && read16(at, ARP.PROTOCOL) === TYPE_IPV4 && read16(at, ARP.LENGTHS) === 0x0604;
    const asked = read16(at, ARP.OPERATION) === ARP_REQUEST && read32(at, ARP.TARGET_IP) === GATEWAY_IP;
    if (!ethernetIpv4 || !asked) return this.#ignore();
    const [mac, ip] = [readMac(at, ARP.SENDER_MAC), read32(at, ARP.SENDER_IP)];
    writeMac(at, ETHERNET.TO, mac);
    writeMac(at, ETHERNET.FROM, GATEWAY_MAC);
    write16(at, ARP.OPERATION, ARP_REPLY);
    writeMac(at, ARP.SENDER_MAC, GATEWAY_MAC);
    write32(at, ARP.SENDER_IP, GATEWAY_IP);
    writeMac(at, ARP.TARGET_MAC, mac);
    write32(at, ARP.TARGET_IP, ip);
    this.counters.arpReplies++;
    return this.#answer(at, ARP.END);
  }

  /** RFC 791: a whole packet for us, or nothing. */
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
    if (read32(at, IP.TO) !== GATEWAY_IP) return this.#ignore();
    const payloadAt = ETHERNET.BYTES + headerBytes;
    const protocol = at[IP.PROTOCOL];
    if (protocol === PROTOCOL_UDP) return this.#udp(frame, payloadAt, total - headerBytes);
    if (protocol === PROTOCOL_ICMP) return this.#icmp(frame, payloadAt, total - headerBytes);
    return this.#ignore();
  }

  /** RFC 792: echo, answered in place. */
  #icmp(frame: FrameBuffer, icmpAt: number, bytes: number): boolean {
    const at = frame.bytes;
    if (bytes < 8 || frame.sum(icmpAt, bytes, 0) !== WHOLE) return this.#refuse();
    if (at[icmpAt] !== ICMP_ECHO || at[icmpAt + 1] !== 0) return this.#ignore();
    writeMac(at, ETHERNET.TO, readMac(at, ETHERNET.FROM));
    writeMac(at, ETHERNET.FROM, GATEWAY_MAC);
    write32(at, IP.TO, read32(at, IP.FROM));
    write32(at, IP.FROM, GATEWAY_IP);
    at[IP.TTL] = 64;
    frame.sealIp(icmpAt - ETHERNET.BYTES);
    at[icmpAt] = 0;
    write16(at, icmpAt + 2, 0);
    write16(at, icmpAt + 2, ~frame.sum(icmpAt, bytes, 0) & 0xffff);
    this.counters.echoReplies++;
    return this.#answer(at, icmpAt + bytes);
  }

  /** RFC 768: into the burst of its flow. */
  #udp(frame: FrameBuffer, udpAt: number, bytes: number): boolean {
    const at = frame.bytes;
    if (bytes < UDP.BYTES) return this.#refuse();
    const length = read16(at, udpAt + UDP.LENGTH);
    if (length < UDP.BYTES || length > bytes) return this.#refuse();
    const summed = this.#udpChecksums && read16(at, udpAt + UDP.CHECKSUM) !== 0;
    if (summed && frame.udpSum(udpAt, length) !== WHOLE) return this.#refuse();
    const key = this.#key;
    key.guestMac = readMac(at, ETHERNET.FROM);
    key.guestIp = read32(at, IP.FROM);
    key.guestPort = read16(at, udpAt + UDP.FROM);
    key.hostPort = read16(at, udpAt + UDP.TO);
    if (key.hostPort === 0) return this.#refuse();
    const index = this.#flow();
    if (index < 0) {
      this.counters.undeliverable++;
      return false;
    }
    this.batch.queue(this.flows.descriptor(index), udpAt + UDP.BYTES, length - UDP.BYTES);
    this.counters.udpToHost++;
    return true;
  }

  /** The entry of `#key`'s flow, pinned until the burst is sent; -1 when there is none to be had. */
  #flow(): number {
    const before = this.#pinned;
    let index = this.flows.pin(this.#key, before);
    if (index >= 0 && index === before) {
      this.flows.unpin(index); // It was pinned by the burst's first datagram.
      return index;
    }
    this.flush();
    if (index < 0) index = this.flows.locked(() => this.#openFlow());
    this.#pinned = index;
    return index;
  }

  #openFlow(): number {
    const known = this.flows.pin(this.#key, -1);
    if (known >= 0) return known;
    if (!this.flows.hasFree() && !this.#evictOldest()) return -1;
    let handle: HandleId;
    try {
      handle = this.io.openUdp(this.#key.hostPort);
    } catch {
      return -1; // Out of descriptors: the datagram is lost, the guest goes on.
    }
    const index = this.flows.claim(this.#key, this.io.descriptor(handle));
    this.#own.push({ index, handle });
    this.counters.flowsOpened++;
    const { guestMac, guestIp, guestPort, hostPort } = this.#key;
    this.io.receive(handle, (datagram) => this.#toGuest(guestMac, guestIp, guestPort, hostPort, datagram));
    this.io.submit();
    return index;
  }

  #evictOldest(): boolean {
    const byAge = [...this.#own].sort((a, b) => (this.flows.lastUsed(a.index) - this.flows.lastUsed(b.index)) | 0);
    return byAge.some((flow) => this.#evict(flow));
  }

  #evict(flow: OwnFlow): boolean {
    if (!this.flows.evict(flow.index)) return false;
    this.#own.splice(this.#own.indexOf(flow), 1);
    this.io.close(flow.handle);
    this.flows.release(flow.index);
    this.counters.flowsEvicted++;
    return true;
  }

  /** Wraps a reply of the host for the guest. */
  #toGuest(mac: number, ip: number, guestPort: number, hostPort: number, datagram: Uint8Array): void {
    const bytes = datagram.length;
    if (bytes > PAYLOAD_MAX) {
      this.counters.undeliverable++;
      return;
    }
    const frame = this.#reply;
    const at = frame.bytes;
    writeMac(at, ETHERNET.TO, mac);
    writeMac(at, ETHERNET.FROM, GATEWAY_MAC);
    write16(at, ETHERNET.TYPE, TYPE_IPV4);
    this.#writeIpHeader(ip, bytes + UDP.BYTES);
    const udpAt = ETHERNET.BYTES + IP.BYTES;
    write16(at, udpAt + UDP.FROM, hostPort);
    write16(at, udpAt + UDP.TO, guestPort);
    write16(at, udpAt + UDP.LENGTH, bytes + UDP.BYTES);
    write16(at, udpAt + UDP.CHECKSUM, 0);
    at.set(datagram, HEADERS_BYTES);
    if (this.#udpChecksums) {
      // A sum of zero is sent as all ones: zero means "none" (RFC 768).
      write16(at, udpAt + UDP.CHECKSUM, ~frame.udpSum(udpAt, bytes + UDP.BYTES) & 0xffff || WHOLE);
    }
    this.counters.udpToGuest++;
    this.port.transmit(at, 0, HEADERS_BYTES + bytes);
  }

  #writeIpHeader(to: number, payloadBytes: number): void {
    const at = this.#reply.bytes;
    write16(at, IP.VERSION, 0x4500);
    write16(at, IP.LENGTH, IP.BYTES + payloadBytes);
    this.#packetId = (this.#packetId + 1) & 0xffff;
    write16(at, IP.ID, this.#packetId);
    write16(at, IP.FRAGMENT, 0);
    at[IP.TTL] = 64;
    at[IP.PROTOCOL] = PROTOCOL_UDP;
    write32(at, IP.FROM, GATEWAY_IP);
    write32(at, IP.TO, to);
    this.#reply.sealIp();
  }

  /** Sends a reply later: the guest's card is inside its transmit(), and may hold its lock. */
  #answer(frame: Uint8Array, bytes: number): boolean {
    if (this.#answers >= ANSWERS_MAX) return false;
    this.#answers++;
    const reply = frame.slice(0, bytes);
    this.io.defer(() => {
      this.#answers--;
      this.port.transmit(reply);
    });
    return true;
  }

  #ignore(): boolean {
    this.counters.ignored++;
    return false;
  }

  #refuse(): boolean {
    this.counters.malformed++;
    return false;
  }
}
