/**
 * The block back end of one queue, the ring's side of it: takes requests out of the ring, checks them and gives them to the I/O
 * queue; answers them when a driver (block-driver.ts) has done them. The vCPU's own thread and those of the core OS have one each over
 * the same state, under the ring's lock.
 *
 * Order of locks: a ring's, then the I/O queue's. The vCPU's counters of block requests are written under the ring's lock too.
 */
import { Lock } from '../../backends/lock.js';
import { BLKIF_OP_INDIRECT, BLKIF_RING_SIZE, BLKIF_SLOT_BYTES, blkif_request, PARA_EAGAIN } from '../abi.js';
import { counterIndex } from '../counters.js';
import { holdGrant, releaseGrant } from '../grants.js';
import { RING, SEGMENT_WORDS, SLOT, SlotState, VCPU } from '../hypervisor-memory.js';
import { follows } from '../io-queue/merge.js';
import { Device } from '../io-queue/records.js';
import { ATTENTION_BLOCK, type IoQueue, NO_SLOT, type Slot, slotWord } from '../io-queue.js';
import { checkRequest, type DiskLimits, needsTable, segmentsWord } from './block-request.js';
import { BackEndRing, type RingOwner } from './ring.js';
import { rouse } from './rouse.js';
import { NO_TABLE, SegmentTables } from './segment-tables.js';

const REQUESTS = counterIndex('block_requests');
const BYTES = counterIndex('block_bytes');
const ERRORS = counterIndex('block_errors');

/** Requests that are accepted before the device gets the first of them. */
const ACCEPTED_TOGETHER = 4;

/** The thread that a back end works on: of vCPU `id` of a domain; domain 0 is the core OS. */
export interface WorkingThread {
  domain: number;
  id: number;
}

export class BlockBackEnd {
  private readonly ring: BackEndRing;
  private readonly lock: Lock;
  private readonly tables: SegmentTables;
  private readonly request = new Int32Array(BLKIF_SLOT_BYTES / 4);
  private readonly response = new Int32Array(4);

  constructor(
    private readonly owner: RingOwner,
    private readonly queue: IoQueue,
    private readonly disk: DiskLimits,
    private readonly thread: WorkingThread,
  ) {
    this.ring = new BackEndRing(owner, VCPU.blk, BLKIF_RING_SIZE, BLKIF_SLOT_BYTES, 'block');
    this.tables = new SegmentTables(owner.hv, owner.domain);
    this.lock = new Lock(owner.hv.i32, owner.word + VCPU.blk + RING.lock);
  }

  get connected(): boolean {
    return this.ring.connected;
  }

  connect(gref: number, port: number): number {
    return this.lock.hold(() => this.ring.connect(gref, port));
  }

  disconnect(): void {
    this.lock.hold(() => this.ring.disconnect());
  }

  /**
   * Some of what is in the ring goes into the queue. True: there is more of it; the first begin before the last are checked.
   * @throws GuestCrash
   */
  accept(): boolean {
    if (!this.ring.connected) return false;
    this.lock.acquire();
    try {
      return this.acceptSome();
    } finally {
      this.lock.release();
    }
  }

  private acceptSome(): boolean {
    let left = ACCEPTED_TOGETHER;
    let last = NO_SLOT;
    do {
      for (let n = this.ring.waiting(); n > 0; n--) {
        if (left-- === 0) return true;
        this.ring.take(this.request);
        const table = needsTable(this.request) ? this.tables.take(this.owner.id) : NO_TABLE;
        if (needsTable(this.request) && table === NO_TABLE) {
          this.ring.untake(); // who gives a table back has this queue looked at again
          return false;
        }
        const slot = this.acceptOne(table);
        // What goes on where the one before ended is one operation of the device with it.
        if (last !== NO_SLOT && slot !== NO_SLOT && follows(this.owner.hv, last, slot)) left++;
        last = slot;
      }
    } while (this.ring.finalCheck());
    return false;
  }

  private acceptOne(table: number): Slot {
    const { request, owner } = this;
    const { i32 } = owner.hv;
    const idLow = request[blkif_request.id / 4];
    const idHigh = request[blkif_request.id / 4 + 1];
    owner.count(REQUESTS);
    const slot = this.queue.allocate();
    if (slot === NO_SLOT) {
      if (table !== NO_TABLE) this.giveTable(table);
      this.respond(idLow, idHigh, request[0] & 255, -PARA_EAGAIN);
      return NO_SLOT;
    }
    const word = slotWord(slot);
    i32[word + SLOT.domain] = owner.domain;
    i32[word + SLOT.vcpu] = owner.id;
    i32[word + SLOT.idLow] = idLow;
    i32[word + SLOT.idHigh] = idHigh;
    i32[word + SLOT.table] = table;
    i32[word + SLOT.status] = checkRequest(owner, slot, request, this.disk);
    this.holdGrants(slot);
    this.queue.admit(slot, Device.vbd);
    return slot;
  }

  /** Grants are held from the check to the answer: what is revoked meanwhile is refused with -EBUSY. */
  private holdGrants(slot: Slot): void {
    const { hv, domain } = this.owner;
    const segments = hv.i32[slotWord(slot) + SLOT.segments];
    for (let s = 0, at = segmentsWord(hv, slot); s < segments; s++, at += SEGMENT_WORDS)
      holdGrant(hv, domain, hv.i32[at]);
  }

  private releaseGrants(slot: Slot): void {
    const { hv, domain } = this.owner;
    const segments = hv.i32[slotWord(slot) + SLOT.segments];
    for (let s = 0, at = segmentsWord(hv, slot); s < segments; s++, at += SEGMENT_WORDS)
      releaseGrant(hv, domain, hv.i32[at]);
  }

  /**
   * The driver of this thread has done the request, as `status` says: its grants are given back, the guest is told, its slot is free.
   * Nothing of this happens when somebody has answered it already.
   */
  answer(slot: Slot, status: number): void {
    const { i32 } = this.owner.hv;
    const word = slotWord(slot);
    if (Atomics.compareExchange(i32, word + SLOT.state, SlotState.begun, SlotState.done) !== SlotState.begun) return;
    const table = i32[word + SLOT.table];
    const operation = table === NO_TABLE ? i32[word + SLOT.operation] : BLKIF_OP_INDIRECT;
    this.releaseGrants(slot);
    this.lock.acquire();
    if (status === 0) this.owner.count(BYTES, i32[word + SLOT.bytes]);
    this.respond(i32[word + SLOT.idLow], i32[word + SLOT.idHigh], operation, status);
    this.lock.release();
    if (table !== NO_TABLE) this.giveTable(table);
    this.queue.finish(slot, this.thread.domain, this.thread.id);
  }

  /** Queues of the domain that waited for a table are looked at again. */
  private giveTable(table: number): void {
    const { hv, domain, events } = this.owner;
    for (let waiters = this.tables.give(table); waiters !== 0; waiters &= waiters - 1) {
      const vcpu = 31 - Math.clz32(waiters & -waiters);
      Atomics.or(hv.i32, hv.vcpuWord(domain, vcpu) + VCPU.attention, ATTENTION_BLOCK);
      rouse(hv, events, domain, vcpu);
    }
  }

  private respond(idLow: number, idHigh: number, operation: number, status: number): void {
    if (status < 0) this.owner.count(ERRORS);
    this.response[0] = idLow;
    this.response[1] = idHigh;
    this.response[2] = operation;
    this.response[3] = status;
    this.ring.respond(this.response);
  }
}
