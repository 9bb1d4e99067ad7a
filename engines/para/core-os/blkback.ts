/**
 * The block back end of one vCPU's queue: takes requests from the ring, checks them, sends them through the I/O queue, does them
 * when the queue says so, and answers. All of it on the vCPU's own thread.
 */
import type { Completion, HandleId, IoContext, MemoryId } from '../../backends/io.js';
import {
  BLKIF_MAX_SEGMENT_BYTES,
  BLKIF_MAX_SEGMENTS,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_RING_SIZE,
  BLKIF_SECTOR_BYTES,
  BLKIF_SLOT_BYTES,
  blkif_request,
  blkif_segment,
  DOMID_CORE_OS,
  PARA_EAGAIN,
  PARA_EINVAL,
  PARA_EIO,
  PARA_EOPNOTSUPP,
} from '../abi.js';
import { counterIndex } from '../counters.js';
import { grantedRange, holdGrant, releaseGrant } from '../grants.js';
import { SEGMENT_WORDS, SLOT, VCPU } from '../hypervisor-memory.js';
import { type IoQueue, NO_SLOT, type Slot, slotWord } from '../io-queue.js';
import type { Vcpu } from '../vcpu.js';
import { BackEndRing } from './ring.js';

/** The disk as this thread's IoContext reaches it. */
export interface Disk {
  io: IoContext;
  handle: HandleId;
  memory: MemoryId;
  bytes: number;
}

const REQUESTS = counterIndex('block_requests');
const BYTES = counterIndex('block_bytes');
const ERRORS = counterIndex('block_errors');
const TWO_32 = 2 ** 32;
const SEG = blkif_request.seg / 4;

export class BlockBackEnd {
  readonly ring: BackEndRing;
  /** Requests that were started and are not answered. */
  readonly started = new Set<Slot>();
  private readonly request = new Int32Array(BLKIF_SLOT_BYTES / 4);
  /** One for each slot and segment, made when first needed: a closure a request would cost more than the rest of this file. */
  private readonly completions: Completion[] = [];

  constructor(
    private readonly vcpu: Vcpu,
    private readonly queue: IoQueue,
    private readonly disk: Disk,
  ) {
    this.ring = new BackEndRing(vcpu, VCPU.blk, BLKIF_RING_SIZE, BLKIF_SLOT_BYTES, 'block');
  }

  /** Everything that is in the ring goes into the queue, and from there as far as the policy lets. */
  run(): void {
    if (!this.ring.connected) return;
    do {
      for (let n = this.ring.waiting(); n > 0; n--) {
        this.ring.take(this.request);
        this.accept();
      }
    } while (this.ring.finalCheck());
    this.queue.dispatch(this.vcpu.domain, this.vcpu.id);
    this.startReady();
  }

  /** Starts what the queue has released to this vCPU. */
  startReady(): void {
    const { domain, id } = this.vcpu;
    for (let slot = this.queue.takeReady(domain, id); slot !== NO_SLOT; slot = this.queue.takeReady(domain, id)) {
      this.start(slot);
    }
  }

  private accept(): void {
    const { request, vcpu } = this;
    const operation = request[0] & 255;
    const idLow = request[blkif_request.id / 4];
    const idHigh = request[blkif_request.id / 4 + 1];
    const slot = this.queue.allocate();
    const status = slot === NO_SLOT ? -PARA_EAGAIN : this.check(slot, operation);
    if (slot === NO_SLOT) {
      this.answer(idLow, idHigh, operation, status);
      return;
    }
    const { i32 } = vcpu.hv;
    const word = slotWord(slot);
    i32[word + SLOT.domain] = vcpu.domain;
    i32[word + SLOT.vcpu] = vcpu.id;
    i32[word + SLOT.operation] = operation;
    i32[word + SLOT.idLow] = idLow;
    i32[word + SLOT.idHigh] = idHigh;
    i32[word + SLOT.status] = status;
    if (status < 0) i32[word + SLOT.segments] = 0;
    // Grants are held from here to the answer: what is revoked meanwhile is refused with -EBUSY.
    for (let s = 0; s < i32[word + SLOT.segments]; s++) {
      holdGrant(vcpu.hv, vcpu.domain, i32[word + SLOT.segment + s * SEGMENT_WORDS]);
    }
    vcpu.count(REQUESTS);
    this.queue.admit(slot); // a malformed one too: answers keep the order of the queue, and there is one path for all
  }

  /** Checks the copied request and writes its checked form into the slot. 0, or the status to answer with. */
  private check(slot: Slot, operation: number): number {
    const { request, vcpu } = this;
    const { i32, f64 } = vcpu.hv;
    const word = slotWord(slot);
    const segments = (request[0] >>> 8) & 255;
    i32[word + SLOT.segments] = segments;
    if (operation === BLKIF_OP_FLUSH_DISKCACHE) return segments === 0 ? 0 : -PARA_EINVAL;
    if (operation !== BLKIF_OP_READ && operation !== BLKIF_OP_WRITE) return -PARA_EOPNOTSUPP;
    if (segments < 1 || segments > BLKIF_MAX_SEGMENTS || request[0] >>> 16 !== 0) return -PARA_EINVAL;
    const sector = (request[4] >>> 0) + (request[5] >>> 0) * TWO_32;
    const offset = sector * BLKIF_SECTOR_BYTES;
    let total = 0;
    for (let s = 0; s < segments; s++) {
      const status = this.checkSegment(word + SLOT.segment + s * SEGMENT_WORDS, s, operation);
      if (status < 0) return status;
      total += status;
    }
    if (offset + total > this.disk.bytes) return -PARA_EINVAL;
    f64[(word + SLOT.offset) / 2] = offset;
    return 0;
  }

  /** Bytes of the segment, or the status to answer with. */
  private checkSegment(into: number, s: number, operation: number): number {
    const { request, vcpu } = this;
    const at = SEG + (s * blkif_segment.SIZE) / 4;
    const gref = request[at] >>> 0;
    const offset = request[at + 1] >>> 0;
    const bytes = request[at + 2] >>> 0;
    if (bytes === 0 || bytes > BLKIF_MAX_SEGMENT_BYTES || bytes % BLKIF_SECTOR_BYTES || offset % BLKIF_SECTOR_BYTES) {
      return -PARA_EINVAL;
    }
    const access = operation === BLKIF_OP_READ ? 'write' : 'read'; // a disk read writes guest memory
    const address = grantedRange(vcpu.hv, vcpu.domain, vcpu.memory, gref, DOMID_CORE_OS, access, offset, bytes);
    if (address < 0) return address;
    const { i32 } = vcpu.hv;
    i32[into] = gref;
    i32[into + 1] = address;
    i32[into + 2] = bytes;
    return bytes;
  }

  /** The core OS's driver: hands a checked request to the device. */
  private start(slot: Slot): void {
    const { i32, f64 } = this.vcpu.hv;
    const word = slotWord(slot);
    this.started.add(slot);
    const segments = i32[word + SLOT.segments];
    i32[word + SLOT.partsLeft] = Math.max(1, segments);
    if (i32[word + SLOT.status] < 0) {
      this.finish(slot);
      return;
    }
    const { io, handle, memory } = this.disk;
    if (segments === 0) {
      io.flush(handle, this.completion(slot, 0));
      return;
    }
    let offset = f64[(word + SLOT.offset) / 2];
    for (let s = 0; s < segments; s++) {
      const at = word + SLOT.segment + s * SEGMENT_WORDS;
      const address = i32[at + 1] >>> 0;
      const bytes = i32[at + 2];
      const done = this.completion(slot, s);
      if (i32[word + SLOT.operation] === BLKIF_OP_READ) io.read(handle, memory, address, bytes, offset, done);
      else io.write(handle, memory, address, bytes, offset, done);
      offset += bytes;
    }
  }

  private completion(slot: Slot, s: number): Completion {
    const at = slot * BLKIF_MAX_SEGMENTS + s;
    this.completions[at] ??= (result) => this.partDone(slot, s, result);
    return this.completions[at];
  }

  private partDone(slot: Slot, s: number, result: number): void {
    const { i32 } = this.vcpu.hv;
    const word = slotWord(slot);
    const flush = i32[word + SLOT.segments] === 0;
    const expected = flush ? 0 : i32[word + SLOT.segment + s * SEGMENT_WORDS + 2];
    const status = result < 0 ? result : result < expected ? -PARA_EIO : 0;
    if (status < 0) i32[word + SLOT.status] = status;
    else this.vcpu.count(BYTES, expected);
    if (--i32[word + SLOT.partsLeft] === 0) this.finish(slot);
  }

  private finish(slot: Slot): void {
    const { i32 } = this.vcpu.hv;
    const word = slotWord(slot);
    for (let s = 0; s < i32[word + SLOT.segments]; s++) {
      releaseGrant(this.vcpu.hv, this.vcpu.domain, i32[word + SLOT.segment + s * SEGMENT_WORDS]);
    }
    const operation = i32[word + SLOT.operation];
    this.answer(i32[word + SLOT.idLow], i32[word + SLOT.idHigh], operation, i32[word + SLOT.status]);
    this.started.delete(slot);
    this.queue.finish(slot, this.vcpu.domain, this.vcpu.id);
  }

  private readonly response = new Int32Array(4);

  private answer(idLow: number, idHigh: number, operation: number, status: number): void {
    if (status < 0) this.vcpu.count(ERRORS);
    this.response[0] = idLow;
    this.response[1] = idHigh;
    this.response[2] = operation;
    this.response[3] = status;
    this.ring.respond(this.response);
  }
}
