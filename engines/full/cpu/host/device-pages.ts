import { OFFSET } from '../layout.js';
import type { HartContext } from './context.js';

const ENTRIES = 32;

/**
 * A TLB for pages of devices, which the others never hold: without it each access to a register walks the page tables, twice
 * where translated code comes to it. An entry is a page, the table of the TLB that the access would have hit in (that is its
 * mode, and whether it reads or writes), and the value of OFFSET.epoch that it counts for: it changes with each flush that may
 * concern it.
 */
export class DevicePages {
  private readonly tags = new Int32Array(4 * ENTRIES);
  /** Physical addresses. */
  private readonly pages = new Float64Array(ENTRIES);

  constructor(private readonly hart: HartContext) {}

  /** The physical address of a virtual one; -1: not known. */
  find(low: number, high: number, writing: boolean): number {
    const { hart, tags } = this;
    const entry = entryOf(low, writing);
    const at = 4 * entry;
    const known =
      tags[at] === (low & ~0xfff) &&
      tags[at + 1] === high &&
      tags[at + 2] === tableOf(hart, writing) &&
      tags[at + 3] === hart.get(OFFSET.epoch);
    return known ? this.pages[entry] + (low & 0xfff) : -1;
  }

  /** OFFSET.epoch begins anew. */
  clear(): void {
    this.tags.fill(0);
  }

  /** All of the page at `page` (physical) may be accessed so. */
  note(low: number, high: number, writing: boolean, page: number): void {
    const { hart } = this;
    const entry = entryOf(low, writing);
    this.tags.set([low & ~0xfff, high, tableOf(hart, writing), hart.get(OFFSET.epoch)], 4 * entry);
    this.pages[entry] = page;
  }
}

const entryOf = (low: number, writing: boolean): number => ((low >>> 11) & (ENTRIES - 2)) | (writing ? 1 : 0);

const tableOf = (hart: HartContext, writing: boolean): number => hart.get(writing ? OFFSET.tlbWrite : OFFSET.tlbRead);
