/**
 * A block request of a guest, checked. What was copied out of the ring is looked at here and nowhere else; its checked form is in a
 * slot of the I/O queue, in the hypervisor's memory, and is all that the driver ever sees.
 */
import {
  BLKIF_MAX_INDIRECT_BYTES,
  BLKIF_MAX_INDIRECT_SEGMENTS,
  BLKIF_MAX_SEGMENT_BYTES,
  BLKIF_MAX_SEGMENTS,
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_SECTOR_BYTES,
  blkif_request,
  blkif_request_discard,
  blkif_request_indirect,
  blkif_segment,
  DOMID_CORE_OS,
  PARA_EINVAL,
  PARA_EOPNOTSUPP,
} from '../abi.js';
import { grantedRange } from '../grants.js';
import type { GuestMemory } from '../guest-memory.js';
import { type HypervisorMemory, SEGMENT_WORDS, SLOT } from '../hypervisor-memory.js';
import { type Slot, slotWord } from '../io-queue/slots.js';
import { NO_TABLE } from './segment-tables.js';

const TWO_32 = 2 ** 32;
const SEG = blkif_request.seg / 4;
const DESCRIPTOR_WORDS = blkif_segment.SIZE / 4;
/** The descriptors of one indirect request, copied out of the guest's memory once. */
const descriptors = new Int32Array(BLKIF_MAX_INDIRECT_SEGMENTS * DESCRIPTOR_WORDS);

/** Whose requests are checked. */
export interface BlockFrontEnd {
  readonly hv: HypervisorMemory;
  readonly domain: number;
  readonly memory: GuestMemory;
}

/** What of the disk a front end must keep to. */
export interface DiskLimits {
  bytes: number;
  /** BLKIF_OP_DISCARD is there. */
  discards: boolean;
}

/** Word of the first of a slot's checked segments. */
export function segmentsWord(hv: HypervisorMemory, slot: Slot): number {
  const word = slotWord(slot);
  const table = hv.i32[word + SLOT.table];
  return table === NO_TABLE ? word + SLOT.segment : hv.tableWord(hv.i32[word + SLOT.domain], table);
}

/** The copied request needs a table for its segments (SLOT.table). */
export const needsTable = (request: Int32Array): boolean => (request[0] & 255) === BLKIF_OP_INDIRECT;

/**
 * Checks the copied request and writes operation (of an indirect one, its own), segments, bytes and place on the disk into the slot. 0,
 * or the status to answer with: then it has no segments.
 */
export function checkRequest(front: BlockFrontEnd, slot: Slot, request: Int32Array, limits: DiskLimits): number {
  const { i32 } = front.hv;
  const word = slotWord(slot);
  i32[word + SLOT.operation] = request[0] & 255;
  i32[word + SLOT.bytes] = 0;
  const status = check(front, slot, request, limits);
  if (status < 0) i32[word + SLOT.segments] = 0;
  return Math.min(status, 0);
}

function check(front: BlockFrontEnd, slot: Slot, request: Int32Array, limits: DiskLimits): number {
  switch (request[0] & 255) {
    case BLKIF_OP_READ:
    case BLKIF_OP_WRITE:
      return checkDirect(front, slot, request, limits);
    case BLKIF_OP_INDIRECT:
      return checkIndirect(front, slot, request, limits);
    case BLKIF_OP_FLUSH_DISKCACHE:
      return ((request[0] >>> 8) & 255) === 0 ? place(front, slot, 0, 0, 0, 0) : -PARA_EINVAL;
    case BLKIF_OP_DISCARD:
      return limits.discards ? checkDiscard(front, slot, request, limits) : -PARA_EOPNOTSUPP;
    default:
      return -PARA_EOPNOTSUPP;
  }
}

function checkDirect(front: BlockFrontEnd, slot: Slot, request: Int32Array, limits: DiskLimits): number {
  const segments = (request[0] >>> 8) & 255;
  if (segments < 1 || segments > BLKIF_MAX_SEGMENTS || request[0] >>> 16 !== 0) return -PARA_EINVAL;
  const bytes = checkSegments(front, slot, request, SEG, segments, request[0] & 255);
  return bytes < 0 ? bytes : placeTransfer(front, slot, request, segments, bytes, limits);
}

function checkIndirect(front: BlockFrontEnd, slot: Slot, request: Int32Array, limits: DiskLimits): number {
  const operation = (request[0] >>> 8) & 255;
  const segments = request[0] >>> 16;
  if (operation !== BLKIF_OP_READ && operation !== BLKIF_OP_WRITE) return -PARA_EOPNOTSUPP;
  const reserved = request[blkif_request_indirect.handle / 4]; // and handle
  if (segments < 1 || segments > BLKIF_MAX_INDIRECT_SEGMENTS || reserved !== 0) return -PARA_EINVAL;
  const error = copyDescriptors(front, request, segments);
  if (error < 0) return error;
  const bytes = checkSegments(front, slot, descriptors, 0, segments, operation);
  if (bytes > BLKIF_MAX_INDIRECT_BYTES) return -PARA_EINVAL;
  if (bytes < 0) return bytes;
  front.hv.i32[slotWord(slot) + SLOT.operation] = operation;
  return placeTransfer(front, slot, request, segments, bytes, limits);
}

function copyDescriptors(front: BlockFrontEnd, request: Int32Array, count: number): number {
  const { hv, domain, memory } = front;
  const gref = request[blkif_request_indirect.indirect_gref / 4] >>> 0;
  const offset = request[blkif_request_indirect.indirect_offset / 4] >>> 0;
  if (offset % 4 !== 0) return -PARA_EINVAL;
  const bytes = count * blkif_segment.SIZE;
  const from = grantedRange(hv, domain, memory, gref, DOMID_CORE_OS, 'read', offset, bytes);
  if (from < 0) return from;
  descriptors.set(memory.i32.subarray(from >> 2, (from + bytes) >> 2));
  return 0;
}

function checkDiscard(front: BlockFrontEnd, slot: Slot, request: Int32Array, limits: DiskLimits): number {
  const offset = sectorsAt(request, blkif_request_discard.sector_number);
  const bytes = sectorsAt(request, blkif_request_discard.nr_sectors);
  if (request[0] >>> 8 !== 0 || bytes === 0 || offset + bytes > limits.bytes) return -PARA_EINVAL;
  return place(front, slot, 0, offset, 0, bytes);
}

/** A number of sectors in bytes; rounded above 2^53, which is behind the end of any disk. */
function sectorsAt(request: Int32Array, at: number): number {
  return ((request[at / 4] >>> 0) + (request[at / 4 + 1] >>> 0) * TWO_32) * BLKIF_SECTOR_BYTES;
}

function placeTransfer(
  front: BlockFrontEnd,
  slot: Slot,
  request: Int32Array,
  segments: number,
  bytes: number,
  limits: DiskLimits,
): number {
  const offset = sectorsAt(request, blkif_request.sector_number);
  return offset + bytes > limits.bytes ? -PARA_EINVAL : place(front, slot, segments, offset, bytes, bytes);
}

function place(
  { hv }: BlockFrontEnd,
  slot: Slot,
  segments: number,
  offset: number,
  bytes: number,
  extent: number,
): number {
  const word = slotWord(slot);
  hv.i32[word + SLOT.segments] = segments;
  hv.i32[word + SLOT.bytes] = bytes;
  hv.f64[(word + SLOT.offset) / 2] = offset;
  hv.f64[(word + SLOT.extent) / 2] = extent;
  return 0;
}

/** Bytes of all of them, or the status to answer with. `from`: private words, where struct blkif_segment follow one another. */
function checkSegments(
  front: BlockFrontEnd,
  slot: Slot,
  from: Int32Array,
  at: number,
  count: number,
  operation: number,
): number {
  const into = segmentsWord(front.hv, slot);
  let total = 0;
  for (let s = 0; s < count; s++) {
    const bytes = checkSegment(front, into + s * SEGMENT_WORDS, from, at + s * DESCRIPTOR_WORDS, operation);
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
