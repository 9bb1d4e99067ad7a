import { SPECIAL } from '../interpreter/handlers.js';
import { DecodeResult } from '../interpreter/host.js';
import { ENTRY_SCALE, HANDLER_MASK } from '../interpreter/operation.js';
import { DECODE, EVENT, OFFSET, PLACES, REGION, TLB } from '../layout.js';
import type { HartContext } from './context.js';
import type { Mmu } from './mmu.js';
import { OperationCache } from './operation-cache.js';
import { type Pmp, PmpVerdict } from './pmp.js';
import { ACCESS, CAUSE } from './status.js';
import type { TlbControl } from './tlb.js';
import type { Traps } from './traps.js';

const LAST_HALFWORD = 4094;
const PAGE_END = [2048, 2049];
const PAGE_WORDS = 1024;
/** Compared at a time; what BulkMemory.equal wants. */
const FRESH_BYTES = 32;
const PAGE = 4096;

/**
 * The decode cache: an instruction cache that holds decoded instructions, by physical page. Each slot keeps a copy of
 * the page as it was, and decodes from the copy alone; fence.i makes copies doubtful, and the next fetch compares
 * them with memory. So code that was written shows after fence.i, as the ISA has it; and after sfence.vma and a change of
 * satp, and where it is decoded for the first time, for guests that were only ever run on QEMU, where stores to code show
 * at once: xv6 executes no fence.i.
 */
export class Fetch {
  /** decode() decodes no more than it is asked for. */
  singly = false;
  private readonly operations = new OperationCache();

  constructor(
    private readonly hart: HartContext,
    private readonly mmu: Mmu,
    private readonly pmp: Pmp,
    private readonly tlb: TlbControl,
    private readonly traps: Traps,
  ) {
    // What was decoded from a page that a new entry divides was not checked instruction by instruction.
    pmp.onChange = () => this.clear();
  }

  /** Fills the execute TLB for OFFSET.pc, or takes an exception. */
  fetch(): void {
    const { hart, mmu, tlb } = this;
    hart.count(EVENT.fetchMisses);
    const low = hart.get(OFFSET.pc);
    const high = hart.get(OFFSET.pc + 4);
    const paddr = this.locate(low, high);
    if (paddr < 0) {
      this.traps.exception(mmu.cause, low, high);
      return;
    }
    if (mmu.leafPages > 1) tlb.noteLarge(low, high, mmu.leafPages);
    const slot = this.slotFor((paddr - (low & 0xfff)) / 4096);
    tlb.fill(OFFSET.tlbExecute, TLB.executeEntries, low, high, slot);
  }

  /** Decodes the entry at OFFSET.ip. */
  decode(): number {
    const { hart } = this;
    const slot = hart.get(OFFSET.slot);
    const ip = hart.get(OFFSET.ip);
    const offset = (ip - slot) >>> 2;
    const fresh = this.freshen(slot, offset);
    const first = hart.view.getUint16(slot + DECODE.copy + offset, true);
    const long = (first & 3) === 3;
    if ((long && offset === LAST_HALFWORD) || this.divided(slot)) {
      return this.decodeOnce(offset, long);
    }
    this.decodeLine(slot, offset, fresh);
    return DecodeResult.Entry;
  }

  /**
   * What is decoded for the first time is decoded as it is now, though code beside it in its page was executed before it
   * was written: programs that write code beside their own, and fence nothing, work on QEMU. Gives where that ends.
   */
  private freshen(slot: number, offset: number): number {
    const { hart } = this;
    const page = hart.f64[(slot + DECODE.page) >> 3];
    const start = offset & -FRESH_BYTES;
    const end = Math.min(start + 2 * FRESH_BYTES, 4096);
    const now = hart.ramAddress(page * 4096) + start;
    if (hart.bulk.equal(slot + DECODE.copy + start, now, end - start) === 0) this.update(slot, page);
    return end;
  }

  /** Decodes an instruction and, unless `singly`, those behind it that will be executed next. */
  private decodeLine(slot: number, start: number, freshTo: number): void {
    const { hart } = this;
    let fresh = freshTo;
    for (let offset = start; offset <= LAST_HALFWORD; ) {
      if (offset + 4 > fresh) fresh = this.freshen(slot, offset);
      const first = hart.view.getUint16(slot + DECODE.copy + offset, true);
      const long = (first & 3) === 3;
      if (long && offset === LAST_HALFWORD) return;
      hart.count(EVENT.instructionsDecoded);
      const insn = long ? hart.view.getInt32(slot + DECODE.copy + offset, true) : first;
      const straight = this.writeEntry(slot + offset * ENTRY_SCALE, insn, offset);
      offset += long ? 4 : 2;
      if (this.singly || !straight || hart.i32[(slot + offset * ENTRY_SCALE) >> 2] !== SPECIAL.decode) return;
    }
  }

  /** The bits of the instruction at OFFSET.ip, for mtval. */
  currentBits(): number {
    const { hart } = this;
    const slot = hart.get(OFFSET.slot);
    const offset = (hart.get(OFFSET.ip) - slot) >>> 2;
    const first = hart.view.getUint16(slot + DECODE.copy + offset, true);
    if ((first & 3) !== 3) return first;
    if (offset !== LAST_HALFWORD) return hart.view.getInt32(slot + DECODE.copy + offset, true);
    return first | (this.secondHalf() << 16);
  }

  /** Bytes of the instruction at OFFSET.ip. */
  currentLength(): 2 | 4 {
    const { hart } = this;
    const slot = hart.get(OFFSET.slot);
    const offset = (hart.get(OFFSET.ip) - slot) >>> 2;
    return (hart.u8[slot + DECODE.copy + offset] & 3) === 3 ? 4 : 2;
  }

  /** Makes all copies doubtful. */
  fenceI(): void {
    this.tlb.doubtCode();
    this.tlb.flushExecute();
  }

  /** Empties the cache. */
  clear(): void {
    const { hart } = this;
    for (let index = 0; index < DECODE.slots; index++) {
      const page = (hart.base + OFFSET.decode + index * DECODE.slotBytes + DECODE.page) >> 3;
      if (hart.f64[page] !== 0) hart.f64[page] = 0;
    }
    this.tlb.flushExecute();
  }

  /** Physical address for execution, checked but for pages that PMP divides; -1 with mmu.cause. */
  private locate(low: number, high: number): number {
    const { hart, mmu } = this;
    const mode = hart.get(OFFSET.privilege);
    const paddr = mmu.translate(low, high, ACCESS.execute, mode);
    if (paddr < 0) return -1;
    const page = paddr - (low & 0xfff);
    const verdict = this.pmp.check(page, 4096, ACCESS.execute, mode);
    if (verdict !== PmpVerdict.Denied && hart.inRam(page, 4096)) return paddr;
    mmu.cause = CAUSE.instructionAccess;
    return -1;
  }

  /** Whether PMP treats the page's bytes differently, so that each instruction must be checked each time. */
  divided(slot: number): boolean {
    const page = this.hart.f64[(slot + DECODE.page) >> 3];
    const mode = this.hart.get(OFFSET.privilege);
    return this.pmp.check(page * 4096, 4096, ACCESS.execute, mode) === PmpVerdict.Partial;
  }

  /** An instruction that lies in two pages, or in one that PMP divides: decoded for one use. */
  private decodeOnce(offset: number, long: boolean): number {
    const { hart } = this;
    hart.count(EVENT.instructionsDecoded);
    const known = long && offset === LAST_HALFWORD ? this.acrossPages() : undefined;
    if (known !== undefined) {
      this.writeEntry(hart.base + OFFSET.scratchOp, known, offset);
      return DecodeResult.Once;
    }
    hart.locatePc();
    if (!this.checkBytes(offset, long)) return DecodeResult.Redirected;
    this.writeEntry(hart.base + OFFSET.scratchOp, this.currentBits(), offset);
    return DecodeResult.Once;
  }

  /** The instruction at the end of the present page, if the TLB knows the next one too, and PMP divides neither. */
  private acrossPages(): number | undefined {
    const { hart } = this;
    const slot = hart.get(OFFSET.slot);
    const low = (hart.get(OFFSET.slotPage) + PAGE) | 0;
    const high = hart.get(OFFSET.slotPage + 4) + (low === 0 ? 1 : 0);
    const index = (low >>> 12) & (TLB.executeEntries - 1);
    const entry = (hart.get(OFFSET.tlbExecute) + index * TLB.entryBytes) >> 2;
    if (hart.i32[entry] !== low || hart.i32[entry + 1] !== (high | 0)) return undefined;
    const next = hart.i32[entry + 2];
    if (this.divided(slot) || this.divided(next)) return undefined;
    const { view } = hart;
    return view.getUint16(slot + DECODE.copy + LAST_HALFWORD, true) | (view.getUint16(next + DECODE.copy, true) << 16);
  }

  private checkBytes(offset: number, long: boolean): boolean {
    const { hart } = this;
    const here = hart.f64[(hart.get(OFFSET.slot) + DECODE.page) >> 3] * 4096 + offset;
    const low = hart.get(OFFSET.pc);
    const high = hart.get(OFFSET.pc + 4);
    if (!this.allowed(here, 2)) return this.accessFault(low, high);
    if (!long) return true;
    const next = offset === LAST_HALFWORD ? this.secondPage() : here + 2;
    const [nextLow, nextHigh] = plusTwo(low, high);
    if (next < 0) {
      this.traps.exception(this.mmu.cause, nextLow, nextHigh);
      return false;
    }
    return this.allowed(next, 2) || this.accessFault(nextLow, nextHigh);
  }

  private accessFault(low: number, high: number): false {
    this.traps.exception(CAUSE.instructionAccess, low, high);
    return false;
  }

  private allowed(paddr: number, bytes: number): boolean {
    const mode = this.hart.get(OFFSET.privilege);
    return this.pmp.check(paddr, bytes, ACCESS.execute, mode) === PmpVerdict.Allowed;
  }

  /** Physical address of the half-word after the page of OFFSET.pc. */
  private secondPage(): number {
    const [low, high] = plusTwo(this.hart.get(OFFSET.pc), this.hart.get(OFFSET.pc + 4));
    return this.locate(low, high);
  }

  private secondHalf(): number {
    this.hart.locatePc();
    const paddr = this.secondPage();
    return paddr < 0 ? 0 : this.hart.view.getUint16(this.hart.ramAddress(paddr), true);
  }

  /** Whether the instruction behind it is executed next. */
  private writeEntry(address: number, insn: number, offset: number): boolean {
    const { low, high, straight } = this.operations.operation(insn, offset);
    // The handler last: the entry counts from then on.
    this.hart.i32[(address >> 2) + 1] = high;
    this.hart.i32[address >> 2] = low;
    return straight;
  }

  /** The slot of a physical page, its copy as good as fence.i and sfence.vma demand. */
  private slotFor(page: number): number {
    const { hart } = this;
    const slot = hart.get(placeOf(page));
    if (slot === 0 || hart.f64[(slot + DECODE.page) >> 3] !== page) return this.replace(page);
    this.refresh(slot, page);
    return slot;
  }

  private refresh(slot: number, page: number): void {
    const { hart } = this;
    const compared = (slot + DECODE.compared) >> 2;
    if (hart.i32[compared] === hart.get(OFFSET.fences)) return;
    if (hart.bulk.equal(slot + DECODE.copy, hart.ramAddress(page * 4096), 4096) === 0) this.update(slot, page);
    hart.i32[compared] = hart.get(OFFSET.fences);
  }

  /**
   * Takes over what has changed in a page. Linux patches its code a few instructions at a time, some thousand times at its
   * start: the rest of the page stays decoded. Regions that begin in it are gone: any of them may have read the change.
   */
  private update(slot: number, page: number): void {
    const { hart } = this;
    const generation = (slot + DECODE.generation) >> 2;
    Atomics.add(hart.i32, generation, 1);
    this.tlb.forgetJumps();
    this.forgetRegions(slot);
    const [copy, now] = [(slot + DECODE.copy) >> 2, hart.ramAddress(page * 4096) >> 2];
    for (let word = 0; word < PAGE_WORDS; word++) {
      const value = hart.i32[now + word];
      if (hart.i32[copy + word] === value) continue;
      hart.i32[copy + word] = value;
      // The instructions at both halves, and one that begins a half-word before them.
      for (let half = Math.max(0, 2 * word - 1); half < 2 * word + 2; half++) hart.i32[(slot >> 2) + half * 2] = 0;
    }
    Atomics.add(hart.i32, generation, 1);
  }

  /** Puts the operations of a page back where regions are entered. */
  private forgetRegions(slot: number): void {
    const { i32 } = this.hart;
    for (let entry = slot >> 2; entry < (slot + DECODE.copy) >> 2; entry += 2) {
      if ((i32[entry] & HANDLER_MASK) !== SPECIAL.region) continue;
      const operation = (i32[entry + 1] + REGION.operation) >> 2;
      i32[entry + 1] = i32[operation + 1];
      i32[entry] = i32[operation];
    }
  }

  private replace(page: number): number {
    const { hart } = this;
    const next = hart.get(PLACES.next);
    hart.set(PLACES.next, (next + 1) % DECODE.slots);
    const slot = hart.base + OFFSET.decode + next * DECODE.slotBytes;
    if (hart.f64[(slot + DECODE.page) >> 3] !== 0) this.tlb.forgetSlot(slot);
    hart.f64[(slot + DECODE.page) >> 3] = page;
    hart.set(placeOf(page), slot);
    hart.i32[(slot + DECODE.compared) >> 2] = hart.get(OFFSET.fences);
    this.load(slot, page);
    return slot;
  }

  private load(slot: number, page: number): void {
    const { hart } = this;
    hart.count(EVENT.pagesDecoded);
    const generation = (slot + DECODE.generation) >> 2;
    Atomics.add(hart.i32, generation, 1);
    hart.bulk.fill(slot, 0, DECODE.copy);
    hart.bulk.copy(slot + DECODE.copy, hart.ramAddress(page * 4096), 4096);
    for (const entry of PAGE_END) hart.i32[(slot + entry * DECODE.entryBytes) >> 2] = SPECIAL.pageEnd;
    Atomics.add(hart.i32, generation, 1);
  }
}

/** Offset in the hart's state of a physical page's place: see PLACES. */
export const placeOf = (page: number): number => PLACES.slots + (page % PLACES.entries) * 4;

function plusTwo(low: number, high: number): [number, number] {
  const sum = (low + 2) | 0;
  return [sum, (high + (sum >>> 0 < low >>> 0 ? 1 : 0)) | 0];
}
