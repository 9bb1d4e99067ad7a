/**
 * The receive side of an RTL8139: the ring of bytes in guest memory.
 * Datasheet 5.7 (RCR), 5.5 (CAPR, CBR) and 4.2 (frame header in the ring).
 */
import { BUS_ERROR, type GuestRam, guestAddress } from '../device.js';
import { RCR } from './rtl8139-registers.js';
import { FCS_BYTES, WIRE_MIN, type WireFrame } from './wire-frame.js';

const HEADER_BYTES = 4;
/** CAPR stands 16 bytes before the place where the driver reads next. */
const CAPR_BIAS = 16;

export const ringBytes = (rcr: number): number => 8192 << ((rcr >> 11) & 3);

/** Where the driver reads next, as an offset in the ring. */
export const ringReader = (capr: number, size: number): number => (capr + CAPR_BIAS) % size;

export type RingResult = { next: number } | 'full' | 'bus error';

/**
 * Puts a frame into the ring at `writer`. The ring never becomes wholly full, since writer = reader means empty. With RCR.WRAP
 * (not for rings of 64 KiB) a frame that starts before the end goes on behind it, else at the ring's start. wire: scratch space.
 */
export function putFrame(
  ram: GuestRam,
  ring: { start: number; writer: number; reader: number; rcr: number },
  frame: Uint8Array,
  status: number,
  wire: WireFrame,
): RingResult {
  const size = ringBytes(ring.rcr);
  const length = Math.max(WIRE_MIN, frame.length) + FCS_BYTES;
  const taken = (HEADER_BYTES + length + 3) & ~3;
  const free = ring.writer === ring.reader ? size : (ring.reader - ring.writer + size) % size;
  if (taken >= free) return 'full';
  const linear = (ring.rcr & RCR.WRAP) !== 0 && size < 65_536;
  const end = ring.start + size;
  let at = ring.start + ring.writer;
  // The header goes last, so that a driver that polls memory alone finds a whole frame behind it.
  const headerAt = at;
  at += HEADER_BYTES;
  if (!linear && at === end) at = ring.start;
  const image = wire.image(frame, false);
  const fits = linear ? length : Math.min(length, end - at);
  const rest = fits < length && !ram.write(guestAddress(ring.start), image.subarray(fits));
  if (rest || !ram.write(guestAddress(at), fits < length ? image.subarray(0, fits) : image)) return 'bus error';
  if (!ram.write32(guestAddress(headerAt), ((length << 16) | status) >>> 0)) return 'bus error';
  return { next: (ring.writer + taken) % size };
}

/** The frame of a transmit descriptor, or undefined when it does not lie in RAM. */
export function fetchFrame(ram: GuestRam, address: number, bytes: number): Uint8Array | undefined {
  return ram.offsetOf(guestAddress(address), bytes) === BUS_ERROR ? undefined : ram.view(guestAddress(address), bytes);
}
