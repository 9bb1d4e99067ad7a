/** Tx descriptors of the 8254x (manual, 3.3 to 3.5): legacy ones, contexts, and data with checksums or segmentation. */
import { BUS_ERROR, type GuestRam, guestAddress } from '../device.js';
import { DESCRIPTOR_BYTES, TX, TX_STATUS } from './e1000-registers.js';
import { insertChecksum } from './internet-checksum.js';
import { sendLarge } from './large-send.js';
import type { PacketBuffer } from './packet-buffer.js';

export interface TxRing {
  base: number;
  /** Descriptors; head and tail are below. */
  size: number;
  head: number;
  tail: number;
}

/** One packet, its bytes in the packet buffer; or a context, which carries none. */
export interface TxPacket {
  /** Index behind it. */
  next: number;
  /** The four words of a context descriptor. */
  context: readonly number[] | undefined;
  /** Third word of the first and of the last descriptor; fourth of both. */
  first: number;
  last: number;
  firstStatus: number;
  lastStatus: number;
  /** Addresses of the descriptors that want to be reported as done. */
  reports: number[];
  fault: boolean;
}

/** Descriptors of one packet; what is longer is dropped, so that no doorbell walks an endless packet again and again. */
const PARTS_MAX = 1024;

/** Words of a context in the card's state: the descriptor as it was. */
export const CONTEXT_WORDS = 4;

/** Whether a context is for large sends, which have one of their own. */
export const isLargeContext = (context: readonly number[]): boolean => (context[2] & TX.TSE) !== 0;

/**
 * What begins at the head, or undefined while its last descriptor is not there yet. A ring outside RAM is skipped as a whole. The
 * walk ends at the tail, which is in the ring.
 */
export function gatherPacket(ram: GuestRam, ring: TxRing, buffer: PacketBuffer): TxPacket | undefined {
  buffer.clear();
  const packet: TxPacket = {
    next: ring.head,
    context: undefined,
    first: 0,
    last: 0,
    firstStatus: 0,
    lastStatus: 0,
    reports: [],
    fault: false,
  };
  let count = 0;
  for (let index = ring.head; index !== ring.tail; index = packet.next) {
    const at = ring.base + index * DESCRIPTOR_BYTES;
    const command = ram.read32(guestAddress(at + 8));
    const status = ram.read32(guestAddress(at + 12));
    const low = ram.read32(guestAddress(at));
    const high = ram.read32(guestAddress(at + 4));
    if (command === BUS_ERROR || status === BUS_ERROR) {
      packet.next = ring.tail;
      packet.fault = true;
      return packet;
    }
    packet.next = (index + 1) % ring.size;
    if (command & TX.RS) packet.reports.push(at);
    const data = !(command & TX.DEXT) || (command & TX.TYPE) === TX.TYPE_DATA;
    if (index === ring.head) {
      packet.first = command;
      packet.firstStatus = status;
      if (!data) {
        packet.context = [low, high, command, status];
        return packet;
      }
    }
    if (!data || ++count > PARTS_MAX) {
      packet.fault = true; // a context in the middle of a packet, or a packet that does not end
      if (count > PARTS_MAX) return packet;
      continue;
    }
    const bytes = command & (command & TX.DEXT ? TX.DATA_LENGTH : TX.LEGACY_LENGTH);
    const address = guestAddress(low + high * 2 ** 32);
    if (index === ring.head && isPlain(command, status)) buffer.borrow(ram, address, bytes);
    else buffer.append(ram, address, bytes);
    if (!(command & TX.EOP)) continue;
    packet.last = command;
    packet.lastStatus = status;
    packet.fault ||= buffer.fault !== undefined;
    return packet;
  }
  return undefined;
}

/** A frame in one piece, to be sent as it is. */
function isPlain(command: number, status: number): boolean {
  // IC and TSE are the same bit.
  if ((command & (TX.EOP | TX.IC | TX.VLE)) !== TX.EOP) return false;
  return !(command & TX.DEXT) || !(status & (TX_STATUS.IXSM | TX_STATUS.TXSM));
}

/** Tells the driver: DD in the descriptors that asked for it (3.3.3.2). */
export function reportDone(ram: GuestRam, reports: readonly number[]): void {
  for (const at of reports) {
    const status = ram.read8(guestAddress(at + 12));
    if (status >= 0) ram.write8(guestAddress(at + 12), status | TX_STATUS.DD);
  }
}

export interface TxContexts {
  checksum: ArrayLike<number>;
  large: ArrayLike<number>;
}

/**
 * Sends what was gathered. tag: as PacketBuffer.send() takes it. false: a large send that makes no sense. Answers whether it was
 * one in `large`.
 */
export function sendPacket(
  packet: TxPacket,
  contexts: TxContexts,
  buffer: PacketBuffer,
  segment: PacketBuffer,
  tag: number,
  to: (frame: Uint8Array, offset: number, bytes: number) => void,
): boolean {
  if (packet.first & TX.DEXT && packet.first & TX.TSE) {
    const emit = (bytes: number): void => {
      segment.length = bytes;
      segment.send(tag, to);
    };
    return sendLarge(buffer.bytes, buffer.length, largeSend(contexts.large, buffer), segment.bytes, emit) > 0;
  }
  if (packet.first & TX.DEXT) insertChecksums(packet.firstStatus, contexts.checksum, buffer);
  else if (packet.last & TX.IC) {
    const start = (packet.lastStatus >>> 8) & 0xff;
    insertChecksum(buffer.bytes, buffer.length, start, (packet.last >>> 16) & 0xff, buffer.length);
  }
  buffer.send(tag, to);
  return true;
}

/** The driver has put the sum of the pseudo header, without a length, where the checksum will stand (3.5.7). */
function largeSend(context: ArrayLike<number>, buffer: PacketBuffer) {
  const l4 = context[1] & 0xff;
  const udp = (context[2] & TX.TCP) === 0;
  const at = l4 + (udp ? 6 : 16);
  return {
    l3: context[0] & 0xff,
    l4,
    header: (context[3] >>> 8) & 0xff,
    mss: context[3] >>> 16,
    udp,
    pseudo: (buffer.bytes[at] << 8) | buffer.bytes[at + 1],
  };
}

/** TXSM and IXSM (3.3.7): start, place and last byte of each checksum stand in the context; a last byte of 0 is the packet's. */
function insertChecksums(status: number, context: ArrayLike<number>, buffer: PacketBuffer): void {
  const insert = (word: number, udp: boolean): void => {
    const last = word >>> 16;
    const end = last === 0 ? buffer.length : last + 1;
    insertChecksum(buffer.bytes, buffer.length, word & 0xff, (word >>> 8) & 0xff, end, udp);
  };
  if (status & TX_STATUS.TXSM) insert(context[1], (context[2] & TX.TCP) === 0);
  if (status & TX_STATUS.IXSM) insert(context[0], false);
}
