/**
 * The block back end of one queue, the ring's side of it: takes requests out of the ring, checks them and gives them to the I/O
 * queue; answers them when a driver (block-driver.ts) has done them.
 */
import { BLKIF_RING_SIZE, BLKIF_SLOT_BYTES, blkif_request, PARA_EAGAIN } from '../abi.js';
import { counterIndex } from '../counters.js';
import { holdGrant, releaseGrant } from '../grants.js';
import { SEGMENT_WORDS, SLOT, VCPU } from '../hypervisor-memory.js';
import { Device } from '../io-queue/records.js';
import { type IoQueue, NO_SLOT, type Slot, slotWord } from '../io-queue.js';
import type { Vcpu } from '../vcpu.js';
import { checkRequest, segmentsWord } from './block-request.js';
import { BackEndRing } from './ring.js';

const REQUESTS = counterIndex('block_requests');
const BYTES = counterIndex('block_bytes');
const ERRORS = counterIndex('block_errors');

export class BlockBackEnd {
  readonly ring: BackEndRing;
  private readonly request = new Int32Array(BLKIF_SLOT_BYTES / 4);
  private readonly response = new Int32Array(4);

  constructor(
    private readonly vcpu: Vcpu,
    private readonly queue: IoQueue,
    private readonly diskBytes: number,
  ) {
    this.ring = new BackEndRing(vcpu, VCPU.blk, BLKIF_RING_SIZE, BLKIF_SLOT_BYTES, 'block');
  }

  /** Everything that is in the ring goes into the queue. */
  accept(): void {
    if (!this.ring.connected) return;
    do {
      for (let n = this.ring.waiting(); n > 0; n--) {
        this.ring.take(this.request);
        this.acceptOne();
      }
    } while (this.ring.finalCheck());
  }

  private acceptOne(): void {
    const { request, vcpu } = this;
    const { i32 } = vcpu.hv;
    const idLow = request[blkif_request.id / 4];
    const idHigh = request[blkif_request.id / 4 + 1];
    vcpu.count(REQUESTS);
    const slot = this.queue.allocate();
    if (slot === NO_SLOT) {
      this.respond(idLow, idHigh, request[0] & 255, -PARA_EAGAIN);
      return;
    }
    const word = slotWord(slot);
    i32[word + SLOT.domain] = vcpu.domain;
    i32[word + SLOT.vcpu] = vcpu.id;
    i32[word + SLOT.idLow] = idLow;
    i32[word + SLOT.idHigh] = idHigh;
    i32[word + SLOT.together] = NO_SLOT;
    i32[word + SLOT.status] = checkRequest(vcpu, slot, request, this.diskBytes);
    // Grants are held from here to the answer: what is revoked meanwhile is refused with -EBUSY.
    this.eachGrant(slot, (gref) => holdGrant(vcpu.hv, vcpu.domain, gref));
    this.queue.admit(slot, Device.vbd);
  }

  private eachGrant(slot: Slot, action: (gref: number) => void): void {
    const { i32 } = this.vcpu.hv;
    const segments = i32[slotWord(slot) + SLOT.segments];
    for (let s = 0, at = segmentsWord(slot); s < segments; s++, at += SEGMENT_WORDS) action(i32[at]);
  }

  /** The request is done, as SLOT.status says: its grants are given back, the guest is told, its slot is free. */
  answer(slot: Slot): void {
    const { hv, domain, id } = this.vcpu;
    const { i32 } = hv;
    const word = slotWord(slot);
    this.eachGrant(slot, (gref) => releaseGrant(hv, domain, gref));
    const status = i32[word + SLOT.status];
    if (status === 0) this.vcpu.count(BYTES, i32[word + SLOT.bytes]);
    this.respond(i32[word + SLOT.idLow], i32[word + SLOT.idHigh], i32[word + SLOT.operation], status);
    this.queue.finish(slot, domain, id);
  }

  private respond(idLow: number, idHigh: number, operation: number, status: number): void {
    if (status < 0) this.vcpu.count(ERRORS);
    this.response[0] = idLow;
    this.response[1] = idHigh;
    this.response[2] = operation;
    this.response[3] = status;
    this.ring.respond(this.response);
  }
}
