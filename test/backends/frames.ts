/** Frames as a guest's stack would build them, written for the tests alone: nothing of engines/backends is used. */

export const GUEST_MAC = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
export const HOST_MAC = [0x52, 0x55, 10, 0, 2, 2];
export const GUEST_IP = [10, 0, 2, 15];
export const HOST_IP = [10, 0, 2, 2];

const be16 = (value: number): number[] => [value >>> 8, value & 0xff];

/** RFC 1071, as its section 4.1 spells it: 16-bit words in network order. */
export function internetChecksum(bytes: number[] | Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i] * 256 + (i + 1 < bytes.length ? bytes[i + 1] : 0);
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return 0xffff - sum;
}

export function ipv4(protocol: number, payload: number[], to = HOST_IP, options: number[] = []): Uint8Array {
  const words = 5 + options.length / 4;
  const head = [0x40 + words, 0, ...be16(words * 4 + payload.length), 0, 1, 0, 0, 64, protocol];
  const addresses = [...GUEST_IP, ...to, ...options];
  const sum = internetChecksum([...head, 0, 0, ...addresses]);
  return Uint8Array.from([...HOST_MAC, ...GUEST_MAC, 8, 0, ...head, ...be16(sum), ...addresses, ...payload]);
}

export function udp(from: number, to: number, data: number[], target = HOST_IP): Uint8Array {
  const length = be16(8 + data.length);
  const pseudo = [...GUEST_IP, ...target, 0, 17, ...length];
  const sum = internetChecksum([...pseudo, ...be16(from), ...be16(to), ...length, 0, 0, ...data]);
  return ipv4(17, [...be16(from), ...be16(to), ...length, ...be16(sum || 0xffff), ...data], target);
}

export function echoRequest(data: number[]): Uint8Array {
  const sum = internetChecksum([8, 0, 0, 0, 0, 1, 0, 2, ...data]);
  return ipv4(1, [8, 0, ...be16(sum), 0, 1, 0, 2, ...data]);
}

export function arpRequest(target = HOST_IP): Uint8Array {
  const broadcast = [255, 255, 255, 255, 255, 255];
  const body = [0, 1, 8, 0, 6, 4, 0, 1, ...GUEST_MAC, ...GUEST_IP, 0, 0, 0, 0, 0, 0, ...target];
  return Uint8Array.from([...broadcast, ...GUEST_MAC, 8, 6, ...body]);
}
