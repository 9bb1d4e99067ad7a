/**
 * Where the checked segments of indirect requests lie: so many tables a domain, in the hypervisor's memory. A queue whose next request
 * needs one when all are in use waits, with the request in its ring, until the domain's own requests have given one back.
 */
import { DOM, type HypervisorMemory, SEGMENT_TABLES } from '../hypervisor-memory.js';

export const NO_TABLE = -1;

export class SegmentTables {
  private readonly i32: Int32Array;
  private readonly words: number;
  private readonly waiters: number;

  constructor(hv: HypervisorMemory, domain: number) {
    this.i32 = hv.i32;
    this.words = hv.domainWord(domain) + DOM.tables;
    this.waiters = hv.domainWord(domain) + DOM.tableWaiters;
  }

  /** A table for a request of the vCPU's queue. NO_TABLE: there is none now, and the vCPU is among those that the next give() names. */
  take(vcpu: number): number {
    const table = this.find();
    if (table !== NO_TABLE) return table;
    Atomics.or(this.i32, this.waiters, 1 << vcpu); // first this, then a second look: who gives looks in the other order
    return this.find();
  }

  private find(): number {
    for (let half = 0; half < SEGMENT_TABLES / 32; half++) {
      for (let used = Atomics.load(this.i32, this.words + half); used !== -1; ) {
        const bit = ~used & (used + 1);
        const found = Atomics.compareExchange(this.i32, this.words + half, used, used | bit);
        if (found === used) return 32 * half + 31 - Math.clz32(bit);
        used = found;
      }
    }
    return NO_TABLE;
  }

  /** Bit v of what it answers: the queue of vCPU v waits for a table. */
  give(table: number): number {
    Atomics.and(this.i32, this.words + (table >> 5), ~(1 << (table & 31)));
    return Atomics.load(this.i32, this.waiters) === 0 ? 0 : Atomics.exchange(this.i32, this.waiters, 0);
  }
}
