/**
 * What the home thread does for the guest (home.ts): DHCP now, and all that keeps state. Frames come here checked as far as
 * the IPv4 header; what is behind it is checked here.
 */
import { ETHERNET, type FrameBuffer, IP, PROTOCOL_UDP, read16, UDP, write16 } from '../packet.js';
import { GATEWAY_IP } from './addresses.js';
import type { Answers } from './answers.js';
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpServer } from './dhcp.js';
import { type FrameWriter, PAYLOAD_AT } from './frame-writer.js';
import type { HostResolver } from './resolver.js';

export interface ServiceTools {
  answers: Answers;
  writer: FrameWriter;
  resolver: HostResolver;
}

export class GuestServices {
  readonly counters = { dhcpReplies: 0 };
  readonly #dhcp: DhcpServer;

  constructor(private readonly tools: ServiceTools) {
    this.#dhcp = new DhcpServer(() => tools.resolver.config.domain);
  }

  take(frame: FrameBuffer, _bytes: number): void {
    const at = frame.bytes;
    const headerBytes = (at[IP.VERSION] & 0xf) * 4;
    const payloadAt = ETHERNET.BYTES + headerBytes;
    if (at[IP.PROTOCOL] === PROTOCOL_UDP) this.#answerDhcp(at, payloadAt);
  }

  dispose(): void {}

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
    if (answers.later(out, length)) this.counters.dhcpReplies++;
  }
}
