import { EVENT, FETCHED, JUMP, LARGE, OFFSET, SPOKEN, TLB, WALK } from '../layout.js';
import type { HartContext } from './context.js';
import { MODE, MSTATUS } from './status.js';

const { user, supervisor, machine, supervisorUserMemory } = TLB.contexts;

/** Fills and flushes the software TLBs, and chooses which of them count. */
export class TlbControl {
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
    this.noteFilled(at << 2);
    if (table === OFFSET.tlbExecute) this.noteFetched(at << 2);
    this.noteSpoken(table === OFFSET.tlbExecute ? SPOKEN.code : SPOKEN.data, low >>> 12, around);
  }

  /** See SPOKEN; `bits`: its data or code. */
  noteSpoken(bits: number, page: number, around: number): void {
    const { hart } = this;
    const [before, after] = [around & 0xffff, around >>> 16];
    if (before + after > 2 * TLB.mergedSmall) return; // large, or no translation at all
    for (let each = page - before; each <= page + after; each++) {
      const index = each & (SPOKEN.pages - 1);
      hart.i32[((hart.base + bits) >> 2) + (index >> 5)] |= 1 << (index & 31);
    }
  }

  /** A page of more than 4 KiB has been used: `pages` of them from the one at (low, high). */
  noteLarge(low: number, high: number, pages: number): void {
    const before = ((high >>> 0) * 0x10_0000 + (low >>> 12)) % pages;
    this.noteRange(low, high, before, pages - 1 - before);
  }

  /** An entry for the page at (low, high) speaks for pages around it as well, because of large pages. */
  noteRange(low: number, high: number, before: number, after: number): void {
    const page = (BigInt(high >>> 0) << 20n) | BigInt(low >>> 12);
    this.hart.bulk.noteLarge(this.hart.base, page - BigInt(before), page + BigInt(after));
  }

  /** Forgets everything: PMP has changed, or the hart starts. */
  flushAll(): void {
    const { hart } = this;
    this.changed();
    hart.bulk.fill(hart.base + OFFSET.tlb, 0xff, TLB.executeTable(3) - OFFSET.tlb);
    hart.set(WALK.filledCount, 0);
    hart.set(FETCHED.count, 0);
    hart.set(LARGE.count, 0);
    hart.bulk.fill(hart.base + SPOKEN.data, 0, 2 * SPOKEN.bytes);
  }

  /** Forgets what page tables said: S and U mode. */
  flushTranslations(): void {
    const { hart } = this;
    this.changed();
    hart.count(EVENT.tlbFlushes);
    hart.bulk.flushTlb(hart.base);
  }

  /** Forgets one virtual page, or everything when it may belong to a large one. */
  flushPage(low: number, high: number): void {
    const { hart } = this;
    this.doubtCode();
    const known = hart.bulk.flushTlbPage(hart.base, low, high);
    if ((known & SPOKEN.dataBit) !== 0) this.forgetRanges();
    if ((known & SPOKEN.codeBit) !== 0) this.forgetJumps();
  }

  /** Forgets where code lies in the decode cache. */
  flushExecute(): void {
    const { hart } = this;
    this.forgetJumps();
    hart.bulk.flushExecute(hart.base);
  }

  /** Makes regions be entered through the interpreter, which looks at where their code lies now. */
  forgetJumps(): void {
    this.hart.set(OFFSET.codeEpoch, this.hart.get(OFFSET.codeEpoch) + 1);
  }

  /** Copies of code in the decode cache may not be what memory holds. */
  doubtCode(): void {
    this.hart.set(OFFSET.fences, this.hart.get(OFFSET.fences) + 1);
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
    this.forgetRanges();
    this.doubtCode();
    this.forgetJumps();
  }

  /** Makes regions look anew where the data that they access lies. */
  private forgetRanges(): void {
    this.hart.set(OFFSET.epoch, this.hart.get(OFFSET.epoch) + 1);
  }

  private dataContext(): number {
    const mode = this.dataMode();
    if (mode === MODE.M) return machine;
    if (mode === MODE.U) return user;
    return (this.hart.get(OFFSET.mstatus) & MSTATUS.SUM) !== 0 ? supervisorUserMemory : supervisor;
  }

  /** So that flushing takes no longer than filling did. */
  private noteFilled(entry: number): void {
    const { hart } = this;
    const count = hart.get(WALK.filledCount);
    if (count >= WALK.filledMost) return;
    hart.i32[hart.at + (WALK.filled >> 2) + count] = entry;
    hart.set(WALK.filledCount, count + 1);
  }

  /** The same for flushExecute(). */
  private noteFetched(entry: number): void {
    const { hart } = this;
    const count = hart.get(FETCHED.count);
    if (count >= FETCHED.most) return;
    hart.i32[hart.at + (FETCHED.entries >> 2) + count] = entry;
    hart.set(FETCHED.count, count + 1);
  }
}
