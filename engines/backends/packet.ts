/** Layout of Ethernet, ARP, IPv4, ICMP and UDP headers, and the Internet checksum. Byte offsets within a frame. */

export const ETHERNET = { TO: 0, FROM: 6, TYPE: 12, BYTES: 14 } as const;
export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;

/** RFC 826 for IPv4 over Ethernet, after the Ethernet header. */
export const ARP = {
  HARDWARE: 14,
  PROTOCOL: 16,
  LENGTHS: 18,
  OPERATION: 20,
  SENDER_MAC: 22,
  SENDER_IP: 28,
  TARGET_MAC: 32,
  TARGET_IP: 38,
  END: 42,
} as const;
export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

/** RFC 791, after the Ethernet header. */
export const IP = {
  VERSION: 14,
  LENGTH: 16,
  ID: 18,
  FRAGMENT: 20,
  TTL: 22,
  PROTOCOL: 23,
  CHECKSUM: 24,
  FROM: 26,
  TO: 30,
  BYTES: 20,
} as const;
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
/** "More fragments" and the offset: a whole datagram has neither. */
export const FRAGMENTED = 0x3fff;

/** RFC 768: offsets from the UDP header's start. */
export const UDP = { FROM: 0, TO: 2, LENGTH: 4, CHECKSUM: 6, BYTES: 8 } as const;

export const read16 = (bytes: Uint8Array, at: number): number => (bytes[at] << 8) | bytes[at + 1];
export const read32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;

export function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function write32(bytes: Uint8Array, at: number, value: number): void {
  write16(bytes, at, value >>> 16);
  write16(bytes, at + 2, value & 0xffff);
}

/**
 * A frame buffer in which headers and payload can be summed by words: the frame starts at byte 2 of `memory`, so that
 * the IP header and the payload behind it are aligned to four bytes.
 */
export class FrameBuffer {
  readonly bytes: Uint8Array;
  readonly #halfwords: Uint16Array;
  readonly #words: Uint32Array;

  /** buffer: at least 2 bytes longer than the longest frame; `at`: a multiple of 4. */
  constructor(buffer: ArrayBuffer, at: number, length: number) {
    this.bytes = new Uint8Array(buffer, at + 2, length - 2);
    this.#halfwords = new Uint16Array(buffer, at, length / 2);
    this.#words = new Uint32Array(buffer, at, length / 4);
  }

  /**
   * RFC 1071's sum of `count` bytes from frame offset `from` (even) on, added to `sum` (16-bit words in network order),
   * folded to 16 bits but not inverted. Words are added as the host reads them and swapped at the end (RFC 1071, 2B).
   */
  sum(from: number, count: number, sum: number): number {
    let at = from + 2;
    const end = at + (count & ~1);
    let total = 0;
    if ((at & 2) !== 0 && at < end) {
      total += this.#halfwords[at >> 1];
      at += 2;
    }
    const words = this.#words;
    // At most 380 words of two halves each: no overflow of 32 bits.
    for (let i = at >> 2; i < end >> 2; i++) {
      const word = words[i];
      total += (word & 0xffff) + (word >>> 16);
    }
    const whole = Math.max(at, end & ~3);
    if (whole < end) total += this.#halfwords[whole >> 1];
    if ((count & 1) !== 0) total += this.bytes[from + count - 1];
    const folded = fold(total);
    return fold((((folded & 0xff) << 8) | (folded >>> 8)) + sum);
  }

  /** Puts the IPv4 header's checksum in place; the header has `bytes` bytes. */
  sealIp(bytes: number = IP.BYTES): void {
    write16(this.bytes, IP.CHECKSUM, 0);
    write16(this.bytes, IP.CHECKSUM, ~this.sum(IP.VERSION, bytes, 0) & 0xffff);
  }

  /** The same of a TCP segment (RFC 9293, 3.1). */
  tcpSum(tcpAt: number, tcpBytes: number): number {
    return this.sum(tcpAt, tcpBytes, this.sum(IP.FROM, 8, PROTOCOL_TCP + tcpBytes));
  }

  /** The UDP checksum's sum over pseudo header, header and data: 0xffff when a received datagram is whole. */
  udpSum(udpAt: number, udpBytes: number): number {
    // Pseudo header: both addresses, protocol, length.
    return this.sum(udpAt, udpBytes, this.sum(IP.FROM, 8, PROTOCOL_UDP + udpBytes));
  }
}

function fold(sum: number): number {
  let folded = (sum & 0xffff) + (sum >>> 16);
  folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}
