/**
 * What the home thread does for the guest (home.ts): all that keeps state. Frames come here checked as far as the IPv4
 * header; what is behind it is checked here. Nothing is sent from within take().
 */
import { nowNs } from '../clock.js';
import type { IoContext } from '../io.js';
import type { Libc } from '../libc.js';
import {
  ETHERNET,
  type FrameBuffer,
  IP,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  read16,
  TYPE_ARP,
  UDP,
  write16,
} from '../packet.js';
import type { SwitchPort } from '../switch.js';
import { TcpSockets } from '../tcp-socket.js';
import type { Timers } from '../timers.js';
import { GATEWAY_IP, type Route } from './addresses.js';
import type { Answers } from './answers.js';
import { arpSender } from './arp.js';
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpServer } from './dhcp.js';
import type { Forward } from './forward.js';
import { type FrameWriter, PAYLOAD_AT } from './frame-writer.js';
import { HostForwards } from './host-forwards.js';
import { Pings } from './pings.js';
import type { HostResolver } from './resolver.js';
import { StreamMemories } from './stream-memory.js';
import { TcpNat } from './tcp-nat.js';

export interface ServiceTools {
  c: Libc;
  io: IoContext;
  port: SwitchPort;
  answers: Answers;
  writer: FrameWriter;
  timers: Timers;
  resolver: HostResolver;
  route: Route;
  /** False: checksums of TCP segments are not looked at. */
  checksums: boolean;
  forwards: readonly Forward[];
}

export class GuestServices {
  readonly #counters = { dhcpReplies: 0 };
  readonly #dhcp: DhcpServer;
  readonly #sockets: TcpSockets;
  readonly #memories: StreamMemories;
  readonly #tcp: TcpNat;
  readonly #forwards: HostForwards;
  readonly #pings: Pings;

  constructor(private readonly tools: ServiceTools) {
    this.#dhcp = new DhcpServer(() => tools.resolver.config.domain);
    this.#sockets = new TcpSockets(tools.c);
    this.#memories = new StreamMemories(tools.c);
    this.#tcp = new TcpNat({ ...tools, sockets: this.#sockets, memories: this.#memories, now: nowNs });
    this.#forwards = new HostForwards({ ...tools, sockets: this.#sockets, tcp: this.#tcp, now: nowNs });
    this.#pings = new Pings(tools);
  }

  /** This thread is the home now. Throws an Error for the user when a port of the host cannot be had. */
  start(): void {
    this.#forwards.open(this.tools.forwards);
  }

  counters(): Record<string, number> {
    return { ...this.#counters, ...this.#tcp.counters, ...this.#pings.counters };
  }

  take(frame: FrameBuffer, _bytes: number): void {
    const at = frame.bytes;
    if (read16(at, ETHERNET.TYPE) === TYPE_ARP) {
      this.#found(at);
      return;
    }
    const headerBytes = (at[IP.VERSION] & 0xf) * 4;
    const payloadAt = ETHERNET.BYTES + headerBytes;
    const protocol = at[IP.PROTOCOL];
    if (protocol === PROTOCOL_TCP) this.#tcp.take(frame, payloadAt, read16(at, IP.LENGTH) - headerBytes);
    else if (protocol === PROTOCOL_ICMP) this.#pings.take(frame, payloadAt, read16(at, IP.LENGTH) - headerBytes);
    else if (protocol === PROTOCOL_UDP) this.#answerDhcp(at, payloadAt);
  }

  dispose(): void {
    this.#forwards.dispose();
    this.#pings.dispose();
    this.#tcp.dispose();
    this.#sockets.dispose();
    this.#memories.dispose();
  }

  #found(at: Uint8Array): void {
    const sender = arpSender(at);
    if (sender !== undefined) this.#forwards.found(sender.ip, sender.mac);
  }

  #answerDhcp(at: Uint8Array, udpAt: number): void {
    const end = udpAt + read16(at, udpAt + UDP.LENGTH);
    const reply = this.#dhcp.answer(at.subarray(udpAt + UDP.BYTES, end));
    if (reply === undefined) return;
    const { writer, answers } = this.tools;
    const out = writer.frame.bytes;
    const bytes = UDP.BYTES + reply.message.length;
    const length = writer.headers(reply.toMac, GATEWAY_IP, reply.toIp, PROTOCOL_UDP, bytes);
    write16(out, PAYLOAD_AT + UDP.FROM, DHCP_SERVER_PORT);
    write16(out, PAYLOAD_AT + UDP.TO, DHCP_CLIENT_PORT);
    write16(out, PAYLOAD_AT + UDP.LENGTH, bytes);
    write16(out, PAYLOAD_AT + UDP.CHECKSUM, 0);
    out.set(reply.message, PAYLOAD_AT + UDP.BYTES);
    write16(out, PAYLOAD_AT + UDP.CHECKSUM, ~writer.frame.udpSum(PAYLOAD_AT, bytes) & 0xffff || 0xffff);
    if (answers.later(out, length)) this.#counters.dhcpReplies++;
  }
}
