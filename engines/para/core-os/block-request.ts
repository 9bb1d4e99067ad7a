/**
 * A block request of a guest, checked. What was copied out of the ring is looked at here and nowhere else; its checked form is in a
 * slot of the I/O queue, in the hypervisor's memory, and is all that the driver ever sees.
 */
import {
  BLKIF_MAX_SEGMENT_BYTES,
  BLKIF_MAX_SEGMENTS,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_SECTOR_BYTES,
  blkif_request,
  blkif_segment,
  DOMID_CORE_OS,
  PARA_EINVAL,
  PARA_EOPNOTSUPP,
} from '../abi.js';
import { grantedRange } from '../grants.js';
import type { GuestMemory } from '../guest-memory.js';
import { type HypervisorMemory, SEGMENT_WORDS, SLOT } from '../hypervisor-memory.js';
import { type Slot, slotWord } from '../io-queue.js';

const TWO_32 = 2 ** 32;
const SEG = blkif_request.seg / 4;

/** Whose requests are checked. */
export interface BlockFrontEnd {
  readonly hv: HypervisorMemory;
  readonly domain: number;
  readonly memory: GuestMemory;
}

/** Word of the first of a slot's checked segments. */
export const segmentsWord = (slot: Slot): number => slotWord(slot) + SLOT.segment;

/**
 * Checks the copied request and writes operation, segments, bytes and place on the disk into the slot. 0, or the status to answer
 * with: then it has no segments.
 */
export function checkRequest(front: BlockFrontEnd, slot: Slot, request: Int32Array, diskBytes: number): number {
  const { i32 } = front.hv;
  const word = slotWord(slot);
  i32[word + SLOT.operation] = request[0] & 255;
  i32[word + SLOT.bytes] = 0;
  const status = check(front, slot, request, diskBytes);
  if (status < 0) i32[word + SLOT.segments] = 0;
  return Math.min(status, 0);
}

function check(front: BlockFrontEnd, slot: Slot, request: Int32Array, diskBytes: number): number {
  const operation = request[0] & 255;
  const segments = (request[0] >>> 8) & 255;
  if (operation === BLKIF_OP_FLUSH_DISKCACHE) return segments === 0 ? place(front, slot, 0, 0, 0) : -PARA_EINVAL;
  if (operation !== BLKIF_OP_READ && operation !== BLKIF_OP_WRITE) return -PARA_EOPNOTSUPP;
  if (segments < 1 || segments > BLKIF_MAX_SEGMENTS || request[0] >>> 16 !== 0) return -PARA_EINVAL;
  const bytes = checkSegments(front, segmentsWord(slot), request, SEG, segments, operation);
  if (bytes < 0) return bytes;
  const sector = (request[4] >>> 0) + (request[5] >>> 0) * TWO_32;
  const offset = sector * BLKIF_SECTOR_BYTES;
  return offset + bytes > diskBytes ? -PARA_EINVAL : place(front, slot, segments, offset, bytes);
}

function place({ hv }: BlockFrontEnd, slot: Slot, segments: number, offset: number, bytes: number): number {
  const word = slotWord(slot);
  hv.i32[word + SLOT.segments] = segments;
  hv.i32[word + SLOT.bytes] = bytes;
  hv.f64[(word + SLOT.offset) / 2] = offset;
  hv.f64[(word + SLOT.extent) / 2] = bytes;
  return 0;
}

/** Bytes of all of them, or the status to answer with. `from`: private words, where struct blkif_segment follow one another. */
function checkSegments(
  front: BlockFrontEnd,
  into: number,
  from: Int32Array,
  at: number,
  count: number,
  operation: number,
): number {
  let total = 0;
  for (let s = 0; s < count; s++) {
    const bytes = checkSegment(front, into + s * SEGMENT_WORDS, from, at + (s * blkif_segment.SIZE) / 4, operation);
    if (bytes < 0) return bytes;
    total += bytes;
  }
  return total;
}

function checkSegment(front: BlockFrontEnd, into: number, from: Int32Array, at: number, operation: number): number {
  const gref = from[at] >>> 0;
  const offset = from[at + 1] >>> 0;
  const bytes = from[at + 2] >>> 0;
  if (bytes === 0 || bytes > BLKIF_MAX_SEGMENT_BYTES || bytes % BLKIF_SECTOR_BYTES || offset % BLKIF_SECTOR_BYTES) {
    return -PARA_EINVAL;
  }
  const access = operation === BLKIF_OP_READ ? 'write' : 'read'; // a disk read writes guest memory
  const address = grantedRange(front.hv, front.domain, front.memory, gref, DOMID_CORE_OS, access, offset, bytes);
  if (address < 0) return address;
  const { i32 } = front.hv;
  i32[into] = gref;
  i32[into + 1] = address;
  i32[into + 2] = bytes;
  return bytes;
}
