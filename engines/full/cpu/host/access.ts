import { EVENT, OFFSET, RAM_BASE, SPOKEN, TLB } from '../layout.js';
import type { HartContext } from './context.js';
import { DevicePages } from './device-pages.js';
import type { Mmu } from './mmu.js';
import { type Pmp, PmpVerdict } from './pmp.js';
import { ACCESS, ACCESS_FAULT, type Access, CAUSE, MODE } from './status.js';
import type { TlbControl } from './tlb.js';
import type { Traps } from './traps.js';

/** What fits into the fields of a TLB entry. */
const MOST_AROUND = 0xffff;
const NONE_AROUND = { before: 0, after: 0 } as const;

/** Loads and stores that miss the TLB: misaligned ones, devices, pages that PMP divides, faults. */
export class SlowAccess {
  readonly devices: DevicePages;

  constructor(
    private readonly hart: HartContext,
    private readonly mmu: Mmu,
    private readonly pmp: Pmp,
    private readonly tlb: TlbControl,
    private readonly traps: Traps,
  ) {
    this.devices = new DevicePages(hart);
  }

  load(low: number, high: number, bytes: number): number {
    if (crosses(low, bytes)) return this.crossing(low, high, bytes, ACCESS.read);
    const paddr = this.locate(low, high, bytes, ACCESS.read);
    if (paddr < 0) return this.fault(low, high);
    const { hart } = this;
    if (hart.inRam(paddr, bytes)) {
      this.copyBytes(hart.ramAddress(paddr), hart.base + OFFSET.value, bytes);
      return 0;
    }
    return this.deviceLoad(paddr, bytes) ? 0 : this.accessFault(low, high, ACCESS.read);
  }

  store(low: number, high: number, bytes: number): number {
    if (crosses(low, bytes)) return this.crossing(low, high, bytes, ACCESS.write);
    const paddr = this.locate(low, high, bytes, ACCESS.write);
    if (paddr < 0) return this.fault(low, high);
    const { hart } = this;
    if (hart.inRam(paddr, bytes)) {
      this.copyBytes(hart.base + OFFSET.value, hart.ramAddress(paddr), bytes);
      return 0;
    }
    return this.deviceStore(paddr, bytes) ? 0 : this.accessFault(low, high, ACCESS.write);
  }

  /** Fills the TLB for translated code; 0 when the access must be interpreted: a device, a fault, a page that PMP divides. */
  fillOnly(low: number, high: number, writing: boolean): number {
    return this.locate(low, high, 1, writing ? ACCESS.write : ACCESS.read) < 0 ? 0 : 1;
  }

  /** LR, SC and AMOs must be aligned, and reach only RAM. */
  atomicAddress(low: number, high: number, bytes: number, reading: boolean): number {
    const access = reading ? ACCESS.read : ACCESS.write;
    if ((low & (bytes - 1)) !== 0) {
      this.mmu.cause = reading ? CAUSE.loadMisaligned : CAUSE.storeMisaligned;
      this.fault(low, high);
      return 0;
    }
    const paddr = this.locate(low, high, bytes, access);
    if (paddr < 0) this.fault(low, high);
    else if (!this.hart.inRam(paddr, bytes)) this.accessFault(low, high, access);
    else return this.hart.ramAddress(paddr);
    return 0;
  }

  /** Translates and checks; fills the TLB when every byte of the page may be accessed. -1 with mmu.cause set. */
  private locate(low: number, high: number, bytes: number, access: Access): number {
    const { hart, mmu, tlb } = this;
    const known = this.devices.find(low, high, access === ACCESS.write);
    if (known >= 0) return known;
    hart.count(EVENT.tlbMisses);
    const mode = tlb.dataMode();
    const paddr = mmu.translate(low, high, access, mode);
    if (paddr < 0) return -1;
    const page = paddr - (low & 0xfff);
    let verdict = this.pmp.check(page, 4096, access, mode);
    if (verdict === PmpVerdict.Allowed) {
      if (hart.inRam(page, 4096)) this.fill(low, high, page, access, mode);
      else this.noteDevice(low, high, page, access, mode);
    }
    if (verdict === PmpVerdict.Partial) verdict = this.pmp.check(paddr, bytes, access, mode);
    if (verdict === PmpVerdict.Allowed) return paddr;
    mmu.cause = ACCESS_FAULT[access];
    return -1;
  }

  /** Flushes must know of the page, or they would leave OFFSET.epoch as it is. */
  private noteDevice(low: number, high: number, page: number, access: Access, mode: number): void {
    const { mmu, tlb } = this;
    tlb.noteSpoken(SPOKEN.data, low >>> 12, 0);
    if (mode !== MODE.M && mmu.leafPages > 1) tlb.noteLarge(low, high, mmu.leafPages);
    this.devices.note(low, high, access === ACCESS.write, page);
  }

  private fill(low: number, high: number, page: number, access: Access, mode: number): void {
    const table = access === ACCESS.write ? OFFSET.tlbWrite : OFFSET.tlbRead;
    const addend = (this.hart.ramAddress(page) - (low & ~0xfff)) | 0;
    const { before, after } = this.around(page, access, mode);
    this.tlb.fill(table, TLB.entries, low, high, addend, before | (after << 16));
    if (mode !== MODE.M && this.mmu.leafPages > 1) this.tlb.noteRange(low, high, before, after);
  }

  /** How many pages around a page are translated and protected as it is, and lie in RAM next to it. */
  private around(page: number, access: Access, mode: number): { before: number; after: number } {
    const { hart, mmu } = this;
    const { leafPages } = mmu;
    const inLeaf = (page / 4096) % leafPages;
    const down = mmu.isBare ? MOST_AROUND : inLeaf + mmu.neighbours(-1) * leafPages;
    const up = mmu.isBare ? MOST_AROUND : leafPages - 1 - inLeaf + mmu.neighbours(1) * leafPages;
    const before = Math.min(down, (page - RAM_BASE) / 4096, MOST_AROUND);
    const after = Math.min(up, (hart.ramEnd - page) / 4096 - 1, MOST_AROUND);
    const verdict = this.pmp.check(page - before * 4096, (before + after + 1) * 4096, access, mode);
    return verdict === PmpVerdict.Allowed ? { before, after } : NONE_AROUND;
  }

  /** Both pages are checked before anything is done; then byte by byte. */
  private crossing(low: number, high: number, bytes: number, access: Access): number {
    const first = 4096 - (low & 0xfff);
    const nextLow = (low + first) | 0;
    const nextHigh = (high + (nextLow === 0 ? 1 : 0)) | 0;
    const from = this.locate(low, high, first, access);
    if (from < 0) return this.fault(low, high);
    const rest = this.locate(nextLow, nextHigh, bytes - first, access);
    if (rest < 0) return this.fault(nextLow, nextHigh);
    const { hart } = this;
    if (!hart.inRam(from, first)) return this.accessFault(low, high, access);
    if (!hart.inRam(rest, bytes - first)) return this.accessFault(nextLow, nextHigh, access);
    this.transfer(access, hart.ramAddress(from), 0, first);
    this.transfer(access, hart.ramAddress(rest), first, bytes - first);
    return 0;
  }

  private transfer(access: Access, ram: number, offset: number, bytes: number): void {
    const value = this.hart.base + OFFSET.value + offset;
    if (access === ACCESS.read) this.copyBytes(ram, value, bytes);
    else this.copyBytes(value, ram, bytes);
  }

  /** In one piece when aligned, as other harts must see it. */
  private copyBytes(from: number, to: number, bytes: number): void {
    const { view, u8 } = this.hart;
    const aligned = ((from | to) & (bytes - 1)) === 0;
    if (aligned && bytes === 8) view.setBigInt64(to, view.getBigInt64(from, true), true);
    else if (aligned && bytes === 4) view.setInt32(to, view.getInt32(from, true), true);
    else if (aligned && bytes === 2) view.setInt16(to, view.getInt16(from, true), true);
    else for (let i = 0; i < bytes; i++) u8[to + i] = u8[from + i];
  }

  /** Devices want aligned accesses of up to 4 bytes; 8 are two of 4, low half first. */
  private deviceLoad(paddr: number, bytes: number): boolean {
    const { hart } = this;
    hart.count(EVENT.mmioReads);
    if (paddr % bytes !== 0) return false;
    const low = hart.bus.read(paddr, bytes === 8 ? 4 : (bytes as 1 | 2 | 4));
    const high = bytes === 8 ? hart.bus.read(paddr + 4, 4) : 0;
    if (Number.isNaN(low) || Number.isNaN(high)) return false;
    hart.set64(OFFSET.value, low | 0, high | 0);
    return true;
  }

  private deviceStore(paddr: number, bytes: number): boolean {
    const { hart } = this;
    hart.count(EVENT.mmioWrites);
    if (paddr % bytes !== 0) return false;
    const low = hart.get(OFFSET.value);
    const high = hart.get(OFFSET.value + 4);
    const masked = bytes === 1 ? low & 0xff : bytes === 2 ? low & 0xffff : low;
    if (!hart.bus.write(paddr, bytes === 8 ? 4 : (bytes as 1 | 2 | 4), masked)) return false;
    return bytes !== 8 || hart.bus.write(paddr + 4, 4, high);
  }

  private accessFault(low: number, high: number, access: Access): 1 {
    this.mmu.cause = ACCESS_FAULT[access];
    return this.fault(low, high);
  }

  /** The exception that mmu.cause names, with the address as tval. */
  private fault(low: number, high: number): 1 {
    this.hart.locatePc();
    this.traps.exception(this.mmu.cause, low, high);
    return 1;
  }
}

const crosses = (low: number, bytes: number): boolean => (low & 0xfff) + bytes > 4096;
