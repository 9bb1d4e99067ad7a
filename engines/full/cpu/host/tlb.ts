import { EVENT, JUMP, OFFSET, TLB } from '../layout.js';
import type { HartContext } from './context.js';
import { MODE, MSTATUS } from './status.js';

const { user, supervisor, machine, supervisorUserMemory } = TLB.contexts;

/** Fills and flushes the software TLBs, and chooses which of them count. */
export class TlbControl {
  /** Virtual pages (address / 4096, modulo 2^52) that entries for other pages speak for, since the last flush. */
  private largeFrom = Number.POSITIVE_INFINITY;
  private largeTo = -1;

  constructor(private readonly hart: HartContext) {}

  /** Chooses the TLBs for the present privilege, MPRV and SUM; call after each change of these. */
  select(): void {
    const { hart } = this;
    const privilege = hart.get(OFFSET.privilege);
    const data = this.dataContext();
    hart.set(OFFSET.tlbRead, hart.base + TLB.readTable(data));
    hart.set(OFFSET.tlbWrite, hart.base + TLB.writeTable(data));
    const fetches = privilege === MODE.M ? machine : privilege;
    hart.set(OFFSET.tlbExecute, hart.base + TLB.executeTable(fetches));
    hart.set(OFFSET.jumps, hart.base + JUMP.table(fetches));
  }

  /** The mode that loads and stores run in: MPRV lends M-mode that of MPP (3.1.6.3). */
  dataMode(): number {
    const status = this.hart.get(OFFSET.mstatus);
    const privilege = this.hart.get(OFFSET.privilege);
    return privilege === MODE.M && (status & MSTATUS.MPRV) !== 0 ? (status & MSTATUS.MPP) >> 11 : privilege;
  }

  /** Lets loads (stores, fetches) of a page hit. `addend` and `around` as TLB says. */
  fill(table: number, entries: number, low: number, high: number, addend: number, around = 0): void {
    const index = (low >>> 12) & (entries - 1);
    const at = (this.hart.get(table) + index * TLB.entryBytes) >> 2;
    const { i32 } = this.hart;
    i32[at] = low & ~0xfff;
    i32[at + 1] = high;
    i32[at + 2] = addend;
    i32[at + 3] = around;
  }

  /** A page of more than 4 KiB has been used: `pages` of them from the one at (low, high). */
  noteLarge(low: number, high: number, pages: number): void {
    const before = pageNumber(low, high) % pages;
    this.noteRange(low, high, before, pages - 1 - before);
  }

  /** An entry for the page at (low, high) speaks for pages around it as well. */
  noteRange(low: number, high: number, before: number, after: number): void {
    const page = pageNumber(low, high);
    this.largeFrom = Math.min(this.largeFrom, page - before);
    this.largeTo = Math.max(this.largeTo, page + after);
  }

  /** Forgets everything: PMP has changed, or the hart starts. */
  flushAll(): void {
    const { hart } = this;
    this.changed();
    hart.bulk.fill(hart.base + OFFSET.tlb, 0xff, OFFSET.decode - OFFSET.tlb);
    this.forgetLarge();
  }

  /** Forgets what page tables said: S and U mode. */
  flushTranslations(): void {
    const { hart } = this;
    this.changed();
    hart.count(EVENT.tlbFlushes);
    for (const context of [user, supervisor, supervisorUserMemory]) {
      hart.bulk.fill(hart.base + TLB.readTable(context), 0xff, 2 * TLB.tableBytes);
    }
    hart.bulk.fill(hart.base + TLB.executeTable(user), 0xff, 2 * TLB.executeEntries * TLB.entryBytes);
    this.forgetLarge();
  }

  /** Forgets one virtual page, or everything when it may belong to a large one. */
  flushPage(low: number, high: number): void {
    const page = pageNumber(low, high);
    if (page >= this.largeFrom && page <= this.largeTo) {
      this.flushTranslations();
      return;
    }
    this.changed();
    const { hart } = this;
    const data = ((low >>> 12) & (TLB.entries - 1)) * TLB.entryBytes;
    for (const context of [user, supervisor, supervisorUserMemory]) {
      hart.i32[(hart.base + TLB.readTable(context) + data) >> 2] = -1;
      hart.i32[(hart.base + TLB.writeTable(context) + data) >> 2] = -1;
    }
    const fetch = ((low >>> 12) & (TLB.executeEntries - 1)) * TLB.entryBytes;
    hart.i32[(hart.base + TLB.executeTable(user) + fetch) >> 2] = -1;
    hart.i32[(hart.base + TLB.executeTable(supervisor) + fetch) >> 2] = -1;
  }

  /** Forgets where code lies in the decode cache. */
  flushExecute(): void {
    const { hart } = this;
    this.forgetJumps();
    hart.bulk.fill(hart.base + TLB.executeTable(0), 0xff, 3 * TLB.executeEntries * TLB.entryBytes);
  }

  /** Makes regions be entered through the interpreter, which looks at where their code lies now. */
  forgetJumps(): void {
    this.hart.set(OFFSET.codeEpoch, this.hart.get(OFFSET.codeEpoch) + 1);
  }

  /** A slot of the decode cache is about to hold another page. */
  forgetSlot(slot: number): void {
    this.forgetJumps();
    const { i32, base } = this.hart;
    const from = (base + TLB.executeTable(0)) >> 2;
    const to = from + (3 * TLB.executeEntries * TLB.entryBytes) / 4;
    for (let at = from; at < to; at += TLB.entryBytes / 4) if (i32[at + 2] === slot) i32[at] = TLB.empty;
  }

  private changed(): void {
    this.hart.set(OFFSET.epoch, this.hart.get(OFFSET.epoch) + 1);
    this.forgetJumps();
  }

  private dataContext(): number {
    const mode = this.dataMode();
    if (mode === MODE.M) return machine;
    if (mode === MODE.U) return user;
    return (this.hart.get(OFFSET.mstatus) & MSTATUS.SUM) !== 0 ? supervisorUserMemory : supervisor;
  }

  private forgetLarge(): void {
    this.largeFrom = Number.POSITIVE_INFINITY;
    this.largeTo = -1;
  }
}

const pageNumber = (low: number, high: number): number => (high >>> 0) * 0x10_0000 + (low >>> 12);
