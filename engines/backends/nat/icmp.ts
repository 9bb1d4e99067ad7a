/** RFC 792: echo, and "destination unreachable". */
import { ETHERNET, type FrameBuffer, IP, PROTOCOL_ICMP, read32, write16, write32 } from '../packet.js';
import { readMac, writeMac } from '../switch.js';
import { GATEWAY_IP, macOf } from './addresses.js';
import { type FrameWriter, PAYLOAD_AT } from './frame-writer.js';

export const ICMP = { TYPE: 0, CODE: 1, CHECKSUM: 2, ID: 4, SEQUENCE: 6, BYTES: 8 } as const;
export const ICMP_ECHO = 8;
export const ICMP_ECHO_REPLY = 0;
const ICMP_UNREACHABLE = 3;
export const UNREACHABLE = { NETWORK: 0, HOST: 1, PORT: 3, PROHIBITED: 13 } as const;
/** "The internet header plus the first 64 bits of the original datagram's data." */
const QUOTED_PAYLOAD = 8;

/** Turns an echo request at `icmpAt` into its reply, in place. */
export function answerEcho(frame: FrameBuffer, icmpAt: number, bytes: number): void {
  const at = frame.bytes;
  const asked = read32(at, IP.TO);
  writeMac(at, ETHERNET.TO, readMac(at, ETHERNET.FROM));
  writeMac(at, ETHERNET.FROM, macOf(asked));
  write32(at, IP.TO, read32(at, IP.FROM));
  write32(at, IP.FROM, asked);
  at[IP.TTL] = 64;
  frame.sealIp(icmpAt - ETHERNET.BYTES);
  at[icmpAt] = ICMP_ECHO_REPLY;
  sealIcmp(frame, icmpAt, bytes);
}

/** Puts the checksum of an ICMP message in place. */
export function sealIcmp(frame: FrameBuffer, icmpAt: number, bytes: number): void {
  write16(frame.bytes, icmpAt + ICMP.CHECKSUM, 0);
  write16(frame.bytes, icmpAt + ICMP.CHECKSUM, ~frame.sum(icmpAt, bytes, 0) & 0xffff);
}

/**
 * Builds "destination unreachable" about the packet in `about` (Ethernet frame, IPv4 header checked, `total` bytes from the
 * IP header on). Answers the length of the frame in `writer`.
 */
export function writeUnreachable(writer: FrameWriter, about: Uint8Array, total: number, code: number): number {
  const headerBytes = (about[IP.VERSION] & 0xf) * 4;
  const quoted = Math.min(total, headerBytes + QUOTED_PAYLOAD);
  const to = writer.frame.bytes;
  const bytes = ICMP.BYTES + quoted;
  const mac = readMac(about, ETHERNET.FROM);
  const length = writer.headers(mac, GATEWAY_IP, read32(about, IP.FROM), PROTOCOL_ICMP, bytes);
  to.fill(0, PAYLOAD_AT, PAYLOAD_AT + ICMP.BYTES);
  to[PAYLOAD_AT] = ICMP_UNREACHABLE;
  to[PAYLOAD_AT + ICMP.CODE] = code;
  to.set(about.subarray(ETHERNET.BYTES, ETHERNET.BYTES + quoted), PAYLOAD_AT + ICMP.BYTES);
  sealIcmp(writer.frame, PAYLOAD_AT, bytes);
  return length;
}
