/** Descriptor rings of the RTL8169 in guest memory (datasheet 1.21, chapter 9): four words each, the first with the owner. */
import { BUS_ERROR, type GuestRam, guestAddress } from '../device.js';
import { findIp, insertIpChecksum, insertTransportChecksum, PROTOCOL, pseudoHeader } from './internet-checksum.js';
import { sendLarge } from './large-send.js';
import type { PacketBuffer } from './packet-buffer.js';
import { DESCRIPTOR, DESCRIPTOR_BYTES, RING_MAX, TX } from './rtl8169-registers.js';

const FRAGMENT_BYTES = 0xffff;
const RX_BUFFER_BYTES = 0x3fff;
const VLAN_TYPE = 0x8100;
/** Descriptors that one received frame may be spread over: rings of tiny buffers are not worth more. */
const RX_PARTS_MAX = 16;

/** A packet of a Tx ring, its bytes in the packet buffer. */
export interface TxPacket {
  /** Descriptors it takes, and the index behind them. */
  count: number;
  next: number;
  /** First and second word of the first descriptor. */
  command: number;
  vlan: number;
  /** It begins without FS or does not end, or lies outside RAM. */
  fault: boolean;
}

const after = (index: number, word: number): number => (word & DESCRIPTOR.EOR || index + 1 >= RING_MAX ? 0 : index + 1);
const at = (ring: number, index: number) => guestAddress(ring + index * DESCRIPTOR_BYTES);

/**
 * The packet that begins at `index`, or undefined when its descriptors do not all belong to the card yet. A ring outside RAM is a
 * packet with a fault and without descriptors.
 */
export function gatherPacket(ram: GuestRam, ring: number, index: number, buffer: PacketBuffer): TxPacket | undefined {
  buffer.clear();
  const packet: TxPacket = { count: 0, next: index, command: 0, vlan: 0, fault: true };
  while (packet.count < RING_MAX) {
    const descriptor = at(ring, packet.next);
    const word = ram.read32(descriptor);
    if (word === BUS_ERROR) return packet;
    if (!(word & DESCRIPTOR.OWN)) return undefined;
    if (packet.count === 0) {
      packet.command = word;
      packet.vlan = ram.read32(guestAddress(descriptor + 4));
    }
    const low = ram.read32(guestAddress(descriptor + 8));
    const high = ram.read32(guestAddress(descriptor + 12));
    const address = guestAddress(low + high * 2 ** 32);
    if (packet.count === 0 && isPlain(word, packet.vlan)) buffer.borrow(ram, address, word & FRAGMENT_BYTES);
    else buffer.append(ram, address, word & FRAGMENT_BYTES);
    packet.count++;
    packet.next = after(packet.next, word);
    if (word & DESCRIPTOR.LS) {
      packet.fault = buffer.fault !== undefined || !(packet.command & DESCRIPTOR.FS);
      return packet;
    }
  }
  return packet;
}

/** A frame in one piece, to be sent as it is. */
const isPlain = (command: number, vlan: number): boolean =>
  (command & (DESCRIPTOR.LS | TX.LGSEN | TX.IPCS | TX.TCPCS | TX.UDPCS)) === DESCRIPTOR.LS && !(vlan & TX.TAGC);

/** Gives a packet's descriptors back to the driver, the first one last, since that is the one it looks at. */
export function returnPacket(ram: GuestRam, ring: number, index: number, count: number): void {
  let i = index;
  const places: number[] = [];
  for (let n = 0; n < count; n++) {
    places.push(i);
    const word = ram.read32(at(ring, i));
    if (word === BUS_ERROR) break;
    i = after(i, word);
  }
  for (const place of places.reverse()) {
    const word = ram.read32(at(ring, place));
    if (word !== BUS_ERROR) ram.write32(at(ring, place), (word & ~DESCRIPTOR.OWN) >>> 0);
  }
}

/** Sends what was gathered, with the work that the descriptor leaves to the card. false: it makes no sense. */
export function sendPacket(
  packet: TxPacket,
  buffer: PacketBuffer,
  segment: PacketBuffer,
  to: (frame: Uint8Array, offset: number, bytes: number) => void,
): boolean {
  const { command, vlan } = packet;
  const tag = vlan & TX.TAGC ? ((VLAN_TYPE << 16) | ((vlan & 0xff) << 8) | ((vlan >> 8) & 0xff)) >>> 0 : -1;
  const checksums = command & (TX.IPCS | TX.TCPCS | TX.UDPCS);
  if (!(command & TX.LGSEN) && !checksums) {
    buffer.send(tag, to);
    return true;
  }
  const ip = findIp(buffer.bytes, buffer.length, (command & TX.LGSEN) !== 0);
  if (ip === undefined) return false;
  if (!(command & TX.LGSEN)) {
    if (command & TX.IPCS) insertIpChecksum(buffer.bytes, ip);
    const wanted = ip.protocol === PROTOCOL.TCP ? TX.TCPCS : ip.protocol === PROTOCOL.UDP ? TX.UDPCS : 0;
    if (command & wanted) insertTransportChecksum(buffer.bytes, ip);
    buffer.send(tag, to);
    return true;
  }
  if (ip.protocol !== PROTOCOL.TCP) return false;
  const send = {
    l3: ip.l3,
    l4: ip.l4,
    header: ip.l4 + (buffer.bytes[ip.l4 + 12] >> 4) * 4,
    mss: (command >>> TX.MSS_SHIFT) & TX.MSS,
    udp: false,
    pseudo: pseudoHeader(buffer.bytes, ip),
  };
  const emit = (bytes: number): void => {
    segment.length = bytes;
    segment.send(tag, to);
  };
  return sendLarge(buffer.bytes, buffer.length, send, segment.bytes, emit) > 0;
}

export type RxResult = { next: number } | 'no descriptor' | 'bus error';

/**
 * Puts a frame (with its FCS) into the buffers from `index` on. status: of the last descriptor, without owner, ends and length.
 * The first descriptor is given back last.
 */
export function deliverFrame(
  ram: GuestRam,
  ring: number,
  index: number,
  frame: Uint8Array,
  status: number,
  vlan: number,
): RxResult {
  const parts: { place: number; word: number; from: number; bytes: number }[] = [];
  let next = index;
  let from = 0;
  while (from < frame.length) {
    const word = ram.read32(at(ring, next));
    if (word === BUS_ERROR) return 'bus error';
    if (!(word & DESCRIPTOR.OWN) || parts.length === RX_PARTS_MAX) return 'no descriptor';
    const bytes = Math.min(word & RX_BUFFER_BYTES, frame.length - from);
    parts.push({ place: next, word, from, bytes });
    from += bytes;
    next = after(next, word);
  }
  for (let n = parts.length - 1; n >= 0; n--) {
    const part = parts[n];
    const descriptor = at(ring, part.place);
    const low = ram.read32(guestAddress(descriptor + 8));
    const high = ram.read32(guestAddress(descriptor + 12));
    if (low === BUS_ERROR || high === BUS_ERROR) return 'bus error';
    const bytes = frame.subarray(part.from, part.from + part.bytes);
    if (!ram.write(guestAddress(low + high * 2 ** 32), bytes)) return 'bus error';
    const ends = (n === 0 ? DESCRIPTOR.FS : 0) | (n === parts.length - 1 ? DESCRIPTOR.LS | frame.length : part.bytes);
    ram.write32(guestAddress(descriptor + 4), vlan);
    ram.write32(descriptor, (status | ends | (part.word & DESCRIPTOR.EOR)) >>> 0);
  }
  return { next };
}
