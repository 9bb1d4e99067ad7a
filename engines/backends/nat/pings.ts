/**
 * Echo requests to elsewhere, through the host's unprivileged ICMP sockets (Linux: net.ipv4.ping_group_range). The host puts
 * an identifier of its own in place of the guest's, so each identifier of the guest has a socket. On the home thread.
 */
import type { HandleId, IoContext } from '../io.js';
import { type Libc, NativeMemory } from '../libc.js';
import { ETHERNET, type FrameBuffer, IP, PROTOCOL_ICMP, read16, read32, write16 } from '../packet.js';
import { readMac, type SwitchPort } from '../switch.js';
import {
  AF_INET,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCKADDR_IN_BYTES,
  socketAddress,
} from '../udp.js';
import type { Answers } from './answers.js';
import { type FrameWriter, PAYLOAD_AT } from './frame-writer.js';
import { ICMP, ICMP_ECHO_REPLY, sealIcmp, UNREACHABLE, writeUnreachable } from './icmp.js';

/** Of one machine; the oldest is given up for a new one. */
const PINGS_MAX = 16;
const EACCES = 13;
const MESSAGE_MAX = 1480;
const MESSAGE_AT = 512;

export interface PingTools {
  c: Libc;
  io: IoContext;
  port: SwitchPort;
  answers: Answers;
  writer: FrameWriter;
}

interface Ping {
  handle: HandleId;
  fd: number;
}

export class Pings {
  readonly counters = { pingsToHost: 0, pingsToGuest: 0 };
  /** By guest, identifier and destination; the oldest first. */
  readonly #open = new Map<string, Ping>();
  readonly #memory: NativeMemory;
  readonly #bytes: Uint8Array;

  constructor(private readonly tools: PingTools) {
    this.#memory = new NativeMemory(tools.c, 4096);
    this.#bytes = new Uint8Array(this.#memory.buffer, MESSAGE_AT, MESSAGE_MAX);
  }

  /** An echo request, checked: `bytes` bytes at `icmpAt`. */
  take(frame: FrameBuffer, icmpAt: number, bytes: number): void {
    const at = frame.bytes;
    const [guest, to, id] = [read32(at, IP.FROM), read32(at, IP.TO), read16(at, icmpAt + ICMP.ID)];
    const key = `${guest} ${id} ${to}`;
    const ping = this.#open.get(key) ?? this.#start(key, readMac(at, ETHERNET.FROM), guest, to, id);
    if (typeof ping === 'number') {
      this.#refuse(at, ping === EACCES ? UNREACHABLE.PROHIBITED : UNREACHABLE.NETWORK);
      return;
    }
    if (bytes > MESSAGE_MAX) return;
    this.#bytes.set(at.subarray(icmpAt, icmpAt + bytes));
    this.tools.c.send(ping.fd, this.#memory.address + MESSAGE_AT, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    this.counters.pingsToHost++;
  }

  dispose(): void {
    for (const ping of this.#open.values()) this.tools.io.close(ping.handle);
    this.#open.clear();
    this.#memory.free();
  }

  /** A socket for the identifier, or the errno that forbids it. */
  #start(key: string, mac: number, guest: number, to: number, id: number): Ping | number {
    const { c, io } = this.tools;
    const fd = c.socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, PROTOCOL_ICMP);
    if (fd < 0) return -fd;
    const result = c.connect(fd, socketAddress(this.#memory, to, 0), SOCKADDR_IN_BYTES);
    if (result < 0) {
      c.close(fd);
      return -result;
    }
    for (const [oldest, { handle }] of this.#open) {
      if (this.#open.size < PINGS_MAX) break;
      this.#open.delete(oldest);
      io.close(handle);
    }
    const ping = { handle: io.adopt(fd), fd };
    this.#open.set(key, ping);
    io.receive(ping.handle, (message) => this.#toGuest(mac, guest, to, id, message));
    return ping;
  }

  #toGuest(mac: number, guest: number, from: number, id: number, message: Uint8Array): void {
    if (message.length < ICMP.BYTES || message.length > MESSAGE_MAX || message[0] !== ICMP_ECHO_REPLY) return;
    const { writer, port } = this.tools;
    const length = writer.headers(mac, from, guest, PROTOCOL_ICMP, message.length);
    writer.frame.bytes.set(message, PAYLOAD_AT);
    write16(writer.frame.bytes, PAYLOAD_AT + ICMP.ID, id);
    sealIcmp(writer.frame, PAYLOAD_AT, message.length);
    port.transmit(writer.frame.bytes, 0, length);
    this.counters.pingsToGuest++;
  }

  #refuse(at: Uint8Array, code: number): void {
    const { writer, answers } = this.tools;
    answers.later(writer.frame.bytes, writeUnreachable(writer, at, read16(at, IP.LENGTH), code));
  }
}
