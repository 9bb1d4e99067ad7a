/**
 * Of two requests of a domain that overlap on its disk and of which one writes, the later starts when the earlier is answered. So the
 * disk sees them in the order in which the guest made them, also when a driver dies and its requests are done again.
 *
 * Counters of GRANULE bytes each, by the granule's number modulo their count: how many requests in flight touch it, and how many
 * write it. Two different places that share a counter only wait for each other. All of it under the I/O queue's lock.
 */
import { BLKIF_OP_READ } from '../abi.js';
import { type HypervisorMemory, OVERLAP_ENTRIES, SLOT } from '../hypervisor-memory.js';
import { type Slot, slotWord } from '../io-queue/slots.js';

const GRANULE = 4096;
const MASK = OVERLAP_ENTRIES - 1;

export class Overlaps {
  constructor(private readonly hv: HypervisorMemory) {}

  /** The request must wait for one that is in flight. */
  conflicts(slot: Slot): boolean {
    const { i32, f64, u16 } = this.hv;
    const word = slotWord(slot);
    const extent = f64[(word + SLOT.extent) / 2];
    if (extent === 0) return false;
    // Who reads looks at those that write, who writes at all.
    const reads = i32[word + SLOT.operation] === BLKIF_OP_READ;
    const table = this.hv.overlapsAt(i32[word + SLOT.domain]) + (reads ? OVERLAP_ENTRIES : 0);
    const first = Math.floor(f64[(word + SLOT.offset) / 2] / GRANULE);
    const last = this.last(slot, first);
    for (let granule = first; granule <= last; granule++) if (u16[table + (granule & MASK)] !== 0) return true;
    return false;
  }

  /** It is in flight from now on, or (by: -1) no longer. */
  mark(slot: Slot, by: 1 | -1): void {
    const { i32, f64, u16 } = this.hv;
    const word = slotWord(slot);
    if (f64[(word + SLOT.extent) / 2] === 0) return;
    const all = this.hv.overlapsAt(i32[word + SLOT.domain]);
    const writes = i32[word + SLOT.operation] === BLKIF_OP_READ ? -1 : all + OVERLAP_ENTRIES;
    const first = Math.floor(f64[(word + SLOT.offset) / 2] / GRANULE);
    const last = this.last(slot, first);
    for (let granule = first; granule <= last; granule++) {
      u16[all + (granule & MASK)] += by;
      if (writes >= 0) u16[writes + (granule & MASK)] += by;
    }
  }

  /** The last granule; no counter is met twice. Granules are numbered as 32-bit integers: 16 TiB, and beyond they share counters. */
  private last(slot: Slot, first: number): number {
    const { f64 } = this.hv;
    const word = slotWord(slot);
    const end = f64[(word + SLOT.offset) / 2] + f64[(word + SLOT.extent) / 2];
    return Math.min(Math.ceil(end / GRANULE) - 1, first + MASK);
  }
}
