/** Packets for tests of network cards, and an Internet checksum that is written another way than the engine's. */

export const MAC = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
export const OTHER = [0x02, 0, 0, 0, 0, 9];
export const BROADCAST = new Array<number>(6).fill(0xff);

/** RFC 1071, by 16-bit one's complement additions, one at a time. */
export function onesComplementSum(bytes: number[]): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += bytes[i] * 256 + (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

export const word = (b: number[], at: number): number => b[at] * 256 + b[at + 1];
const be16 = (v: number): number[] => [(v >> 8) & 255, v & 255];
const be32 = (v: number): number[] => [...be16(v >>> 16), ...be16(v)];

/** An Ethernet frame of any bytes. */
export const frame = (to: number[], bytes: number, fill = 0x5a): number[] => [
  ...to,
  ...OTHER,
  8,
  0,
  ...new Array<number>(bytes - 14).fill(fill),
];

export const L3 = 14;
export const L4 = 34;
const ADDRESSES = [10, 0, 2, 15, 10, 0, 2, 2];

export interface IpFields {
  to?: number[];
  payload: number[];
  /** As the sender leaves it to the card: both checksums zero. */
  flags?: number;
  sequence?: number;
  id?: number;
}

/** Ethernet, IPv4 (20 bytes), TCP (20 bytes), with both checksums zero. */
export function tcpFrame({ to = MAC, payload, flags = 0x18, sequence = 1000, id = 7 }: IpFields): number[] {
  const tcp = [
    ...[...be16(1234), ...be16(80), ...be32(sequence), ...be32(55)],
    ...[0x50, flags, ...be16(4096), 0, 0, 0, 0],
    ...payload,
  ];
  return [...to, ...OTHER, 8, 0, ...ipv4(6, tcp.length, id), ...tcp];
}

export function udpFrame({ to = MAC, payload, id = 7 }: IpFields): number[] {
  const udp = [...be16(1234), ...be16(53), ...be16(8 + payload.length), 0, 0, ...payload];
  return [...to, ...OTHER, 8, 0, ...ipv4(17, udp.length, id), ...udp];
}

const ipv4 = (protocol: number, bytes: number, id: number): number[] => [
  ...[0x45, 0, ...be16(20 + bytes), ...be16(id), 0x40, 0, 64, protocol, 0, 0],
  ...ADDRESSES,
];

/** Ethernet, IPv6, TCP. */
export function tcp6Frame(payload: number[]): number[] {
  const four = tcpFrame({ payload });
  const address = (last: number): number[] => [0xfe, 0x80, ...new Array<number>(13).fill(0), last];
  const tcp = four.slice(L4);
  return [
    ...[...MAC, ...OTHER, 0x86, 0xdd],
    ...[0x60, 0, 0, 0, ...be16(tcp.length), 6, 64, ...address(15), ...address(2)],
    ...tcp,
  ];
}

/** The frame with both checksums right. */
export function checksummed(f: number[]): number[] {
  const out = [...f];
  const protocol = out[L3 + 9];
  const at = L4 + (protocol === 6 ? 16 : 6);
  out.splice(L3 + 10, 2, ...be16(~onesComplementSum(out.slice(L3, L4))));
  out.splice(at, 2, ...be16(~onesComplementSum([...pseudo(out), ...out.slice(L4)])));
  return out;
}

export const pseudo = (f: number[]): number[] => [...f.slice(L3 + 12, L4), 0, f[L3 + 9], ...be16(f.length - L4)];

/** Both checksums of an IPv4 frame without padding are right. */
export const checksumsRight = (f: number[]): boolean =>
  onesComplementSum(f.slice(L3, L4)) === 0xffff && onesComplementSum([...pseudo(f), ...f.slice(L4)]) === 0xffff;

export const bytes = (n: number, seed = 1): number[] => Array.from({ length: n }, (_, i) => (i * 31 + seed * 7) & 255);
