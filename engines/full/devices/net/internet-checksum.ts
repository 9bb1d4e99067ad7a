/**
 * The Internet checksum (RFC 1071) as network cards compute it, and where it stands in a frame: for checksum insertion, for
 * checks of what arrives and for segmentation. Frames here lie in private memory, so that what was checked stays so.
 */

export const PROTOCOL = { TCP: 6, UDP: 17 } as const;
const ETHERTYPE = { IPV4: 0x0800, VLAN: 0x8100, IPV6: 0x86dd } as const;
const ETHERNET_HEADER = 14;
const IPV6_HEADER = 40;

/** Offsets inside a frame. */
export interface IpLayout {
  version: 4 | 6;
  /** The IP header, and what follows it. */
  l3: number;
  l4: number;
  /** First byte behind the datagram (padding may follow). */
  end: number;
  protocol: number;
  /** Not the whole datagram is in this frame: there is no transport checksum to look at. */
  fragment: boolean;
}

const word = (bytes: Uint8Array, at: number): number => (bytes[at] << 8) | bytes[at + 1];

/**
 * The IP datagram of a frame of `length` bytes, or undefined: another protocol, or lengths that contradict each other.
 * large: it is to be segmented, so the length in its header means nothing (drivers put 0 there, or what it would be).
 */
export function findIp(frame: Uint8Array, length: number, large = false): IpLayout | undefined {
  let l3 = ETHERNET_HEADER;
  if (length >= l3 + 4 && word(frame, 12) === ETHERTYPE.VLAN) l3 += 4;
  if (length < l3 + 20) return undefined;
  const type = word(frame, l3 - 2);
  if (type === ETHERTYPE.IPV4) return findIpv4(frame, l3, length, large);
  return type === ETHERTYPE.IPV6 ? findIpv6(frame, l3, length, large) : undefined;
}

function findIpv4(frame: Uint8Array, l3: number, length: number, large: boolean): IpLayout | undefined {
  const l4 = l3 + (frame[l3] & 15) * 4;
  const end = large ? length : l3 + word(frame, l3 + 2);
  if (frame[l3] >> 4 !== 4 || l4 < l3 + 20 || l4 > end || end > length) return undefined;
  const fragment = (word(frame, l3 + 6) & 0x3fff) !== 0;
  return { version: 4, l3, l4, end, protocol: frame[l3 + 9], fragment };
}

/** Without extension headers: the cards that we model do not follow them. */
function findIpv6(frame: Uint8Array, l3: number, length: number, large: boolean): IpLayout | undefined {
  const l4 = l3 + IPV6_HEADER;
  const end = large ? length : l4 + word(frame, l3 + 4);
  if (frame[l3] >> 4 !== 6 || end > length || l4 > end) return undefined;
  return { version: 6, l3, l4, end, protocol: frame[l3 + 6], fragment: false };
}

/** From so many bytes on, a view of 32-bit words pays: it costs as much as some 60 bytes added pair by pair. */
const VIEW_BYTES = 128;

/** Sum of big-endian 16-bit words, not folded; an odd byte at the end counts as the high half of a word. */
export function addUp(bytes: Uint8Array, from: number, to: number, sum = 0): number {
  const even = ((bytes.byteOffset + from) & 1) === 0;
  return even && to - from >= VIEW_BYTES ? addUpLong(bytes, from, to, sum) : addUpPairs(bytes, from, to, sum);
}

function addUpPairs(bytes: Uint8Array, from: number, to: number, sum: number): number {
  let total = sum;
  let i = from;
  for (; i + 1 < to; i += 2) total += (bytes[i] << 8) | bytes[i + 1];
  return i < to ? total + (bytes[i] << 8) : total;
}

/** The middle as 32-bit words; from must lie at an even place in memory. */
function addUpLong(bytes: Uint8Array, from: number, to: number, sum: number): number {
  const start = from + ((bytes.byteOffset + from) & 2);
  const count = ((to - start) >> 4) << 2;
  const swapped = addUpWords(new Uint32Array(bytes.buffer, bytes.byteOffset + start, count));
  // RFC 1071, 2 (B): the sum of words in the other byte order is the sum in the other byte order. Hosts are little-endian.
  const middle = ((swapped & 0xff) << 8) | (swapped >> 8);
  const ends = addUpPairs(bytes, from, start, sum) + addUpPairs(bytes, start + 4 * count, to, 0);
  return ends + middle;
}

/** 234 ns for 1480 bytes where pairs of bytes take 817: four words a turn. Their number must be a multiple of four. */
function addUpWords(words: Uint32Array): number {
  let low = 0;
  let high = 0;
  for (let i = 0; i + 3 < words.length; i += 4) {
    const a = words[i];
    const b = words[i + 1];
    const c = words[i + 2];
    const d = words[i + 3];
    low += (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff);
    high += (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16);
  }
  return fold(low + high);
}

/** To 16 bits with end-around carry. sum: below 2 ** 47. */
export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x1_0000) + Math.floor(folded / 0x1_0000);
  return folded;
}

/** Sum of the pseudo header (RFC 9293, 3.1; RFC 8200, 8.1) without the length, which is added by whoever knows it. */
export function pseudoHeader(frame: Uint8Array, ip: Pick<IpLayout, 'version' | 'l3' | 'protocol'>): number {
  const from = ip.l3 + (ip.version === 4 ? 12 : 8);
  return addUp(frame, from, ip.l3 + (ip.version === 4 ? 20 : IPV6_HEADER), ip.protocol);
}

/** Writes a checksum whose sum is `sum`. A UDP checksum of zero would mean "none", so it goes out as its other zero. */
export function putChecksum(frame: Uint8Array, at: number, sum: number, udp = false): void {
  const checksum = ~fold(sum) & 0xffff;
  const sent = udp && checksum === 0 ? 0xffff : checksum;
  frame[at] = sent >> 8;
  frame[at + 1] = sent;
}

/**
 * Checksum of [start, end) written at `at`; what stands there counts, since drivers put the pseudo header's sum there. Nothing
 * happens when the places do not lie in the frame.
 */
export function insertChecksum(
  frame: Uint8Array,
  length: number,
  start: number,
  at: number,
  end: number,
  udp = false,
): void {
  if (start >= end || end > length || at + 2 > length) return;
  putChecksum(frame, at, addUp(frame, start, end), udp);
}

export function insertIpChecksum(frame: Uint8Array, ip: IpLayout): void {
  if (ip.version !== 4) return;
  frame[ip.l3 + 10] = 0;
  frame[ip.l3 + 11] = 0;
  putChecksum(frame, ip.l3 + 10, addUp(frame, ip.l3, ip.l4));
}

/** TCP's or UDP's checksum with its pseudo header, whatever stood in the field. */
export function insertTransportChecksum(frame: Uint8Array, ip: IpLayout): void {
  const at = checksumAt(ip);
  if (at < 0) return;
  frame[at] = 0;
  frame[at + 1] = 0;
  const sum = addUp(frame, ip.l4, ip.end, pseudoHeader(frame, ip) + (ip.end - ip.l4));
  putChecksum(frame, at, sum, ip.protocol === PROTOCOL.UDP);
}

/** Where the transport checksum stands, or -1: none that a card knows, or the header is cut off. */
function checksumAt(ip: IpLayout): number {
  if (ip.fragment) return -1;
  if (ip.protocol === PROTOCOL.TCP) return ip.end - ip.l4 >= 20 ? ip.l4 + 16 : -1;
  return ip.protocol === PROTOCOL.UDP && ip.end - ip.l4 >= 8 ? ip.l4 + 6 : -1;
}

/** What a card tells of a frame that it received. */
export const CHECKED = { IP: 1, TCP: 2, UDP: 4, IP_BAD: 8, TRANSPORT_BAD: 16, IPV4: 32 } as const;

/** CHECKED bits: TCP and UDP only where the checksum was looked at (a UDP checksum of 0 means that there is none). */
export function checkFrame(frame: Uint8Array, length: number): number {
  const ip = findIp(frame, length);
  if (ip === undefined) return 0;
  let bits: number = CHECKED.IP;
  if (ip.version === 4) {
    bits |= CHECKED.IPV4;
    if (fold(addUp(frame, ip.l3, ip.l4)) !== 0xffff) bits |= CHECKED.IP_BAD;
  }
  const at = checksumAt(ip);
  const udp = ip.protocol === PROTOCOL.UDP;
  if (at < 0 || (udp && word(frame, at) === 0)) return bits;
  bits |= udp ? CHECKED.UDP : CHECKED.TCP;
  const sum = addUp(frame, ip.l4, ip.end, pseudoHeader(frame, ip) + (ip.end - ip.l4));
  return fold(sum) === 0xffff ? bits : bits | CHECKED.TRANSPORT_BAD;
}
