/**
 * The receive side of an RTL8139: the ring of bytes in guest memory.
 * Datasheet 5.7 (RCR), 5.5 (CAPR, CBR) and 4.2 (frame header in the ring).
 */
import { crc32 } from 'node:zlib';
import { BUS_ERROR, type GuestRam, guestAddress } from './device.js';
import { RCR } from './rtl8139-registers.js';

const HEADER_BYTES = 4;
const FCS_BYTES = 4;
/** A frame on the wire has at least 60 bytes before the FCS; what the switch hands over may be shorter. */
const FRAME_MIN = 60;
/** CAPR stands 16 bytes before the place where the driver reads next. */
const CAPR_BIAS = 16;

export const ringBytes = (rcr: number): number => 8192 << ((rcr >> 11) & 3);

/** Where the driver reads next, as an offset in the ring. */
export const ringReader = (capr: number, size: number): number => (capr + CAPR_BIAS) % size;

export type RingResult = { next: number } | 'full' | 'bus error';

const PADDING = new Uint8Array(FRAME_MIN);

/**
 * Puts a frame into the ring at `writer`. The ring never becomes wholly full, since writer = reader means empty. With RCR.WRAP
 * (not for rings of 64 KiB) a frame that starts before the end goes on behind it, else at the ring's start.
 */
export function putFrame(
  ram: GuestRam,
  ring: { start: number; writer: number; reader: number; rcr: number },
  frame: Uint8Array,
  status: number,
): RingResult {
  const size = ringBytes(ring.rcr);
  const padding = Math.max(0, FRAME_MIN - frame.length);
  const length = frame.length + padding + FCS_BYTES;
  const taken = (HEADER_BYTES + length + 3) & ~3;
  const free = ring.writer === ring.reader ? size : (ring.reader - ring.writer + size) % size;
  if (taken >= free) return 'full';
  const linear = (ring.rcr & RCR.WRAP) !== 0 && size < 65_536;
  const end = ring.start + size;
  let at = ring.start + ring.writer;
  const put = (bytes: Uint8Array): boolean => {
    const fits = linear ? bytes.length : Math.min(bytes.length, end - at);
    if (!ram.write(guestAddress(at), bytes.subarray(0, fits))) return false;
    at += fits;
    if (!linear && at === end) at = ring.start;
    if (fits < bytes.length && !ram.write(guestAddress(at), bytes.subarray(fits))) return false;
    at += bytes.length - fits;
    return true;
  };
  // The header goes last, so that a driver that polls memory alone finds a whole frame behind it.
  const headerAt = at;
  at += HEADER_BYTES;
  if (!linear && at === end) at = ring.start;
  const pad = PADDING.subarray(0, padding);
  const crc = crc32(pad, crc32(frame));
  if (!put(frame) || !put(pad) || !put(bytesOf(crc))) return 'bus error';
  if (!ram.write32(guestAddress(headerAt), ((length << 16) | status) >>> 0)) return 'bus error';
  return { next: (ring.writer + taken) % size };
}

const bytesOf = (word: number): Uint8Array =>
  Uint8Array.of(word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24);

/** The frame of a transmit descriptor, or undefined when it does not lie in RAM. */
export function fetchFrame(ram: GuestRam, address: number, bytes: number): Uint8Array | undefined {
  return ram.offsetOf(guestAddress(address), bytes) === BUS_ERROR ? undefined : ram.view(guestAddress(address), bytes);
}
