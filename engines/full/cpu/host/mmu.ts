import { OFFSET, TLB } from '../layout.js';
import type { HartContext } from './context.js';
import type { Pmp } from './pmp.js';
import { PmpVerdict } from './pmp.js';
import { ACCESS, ACCESS_FAULT, type Access, MODE, MSTATUS, PAGE_FAULT } from './status.js';

/** Bits of a page table entry (4.3.1). */
const PTE = { V: 1, R: 2, W: 4, X: 8, U: 16, A: 64, D: 128 } as const;

/** satp.MODE: levels of the page table; absent: reserved. 0 is bare. */
export const SATP_LEVELS: Readonly<Record<number, number>> = { 0: 0, 8: 3, 9: 4, 10: 5 };

/** A walk that lost a race for the accessed bit this often gives up: only a hostile guest can make it so. */
const MAX_RETRIES = 64;

/** walk() lost a race. */
const RETRY = -2;

/**
 * Translates virtual to physical addresses by the page tables in RAM (privileged specification, 4.3.2). A and D are
 * set by hardware, atomically, as QEMU does it.
 */
export class Mmu {
  /** Cause of the exception when translate() gave -1. */
  cause = 0;
  /** Pages of 4 KiB that the leaf of the last successful walk maps. */
  leafPages = 1;
  /** Where that leaf lies in RAM: word index of its entry in the page table. */
  private leafIndex = 0;
  /** The last successful translation was none: addresses are physical. */
  isBare = false;
  // The request that is being walked.
  private low = 0;
  private high = 0;
  private access: Access = ACCESS.read;
  private mode = 0;

  constructor(
    private readonly hart: HartContext,
    private readonly pmp: Pmp,
  ) {}

  /** Physical address (PMP not yet checked for it), or -1. `mode` is the privilege of the access. */
  translate(low: number, high: number, access: Access, mode: number): number {
    this.low = low;
    this.high = high;
    this.access = access;
    this.mode = mode;
    this.leafPages = 1;
    this.isBare = false;
    const levels = mode === MODE.M ? 0 : SATP_LEVELS[this.hart.get(OFFSET.satp + 4) >>> 28];
    if (levels === 0) return this.bare();
    // Bits above the highest index must equal its top bit.
    const unused = 64 - 12 - levels * 9;
    if ((high << unused) >> unused !== high) return this.pageFault();
    for (let attempt = 0; attempt < MAX_RETRIES; attempt++) {
      const result = this.walk(levels);
      if (result !== RETRY) return result;
    }
    return this.pageFault();
  }

  /** Physical addresses have 56 bits. */
  private bare(): number {
    if (this.high >>> 24 !== 0) return this.accessFault();
    this.isBare = true;
    return this.high * 2 ** 32 + (this.low >>> 0);
  }

  private walk(levels: number): number {
    const { hart } = this;
    let table = pageOf(hart.get(OFFSET.satp), hart.get(OFFSET.satp + 4) & 0xfff);
    for (let level = levels - 1; level >= 0; level--) {
      const address = table * 4096 + virtualIndex(this.low, this.high, level) * 8;
      const readable = this.pmp.check(address, 8, ACCESS.read, MODE.S) === PmpVerdict.Allowed;
      if (!readable || !hart.inRam(address, 8)) return this.accessFault();
      const index = hart.ramAddress(address) >>> 2;
      const pteLow = hart.i32[index];
      const pteHigh = hart.i32[index + 1];
      if (Atomics.load(hart.i32, index) !== pteLow) return RETRY; // changed between the two halves
      if ((pteLow & PTE.V) === 0 || pteHigh >>> 22 !== 0) return this.pageFault();
      // A PTE holds the page number from bit 10 on, satp from bit 0 on.
      const next = (pteLow >>> 10) + (pteHigh & 0x3f_ffff) * 0x40_0000;
      if ((pteLow & (PTE.R | PTE.W | PTE.X)) !== 0) return this.leaf(pteLow, pteHigh, next, level, index);
      if ((pteLow & (PTE.A | PTE.D | PTE.U)) !== 0) return this.pageFault();
      table = next;
    }
    return this.pageFault();
  }

  private leaf(pteLow: number, pteHigh: number, page: number, level: number, index: number): number {
    const pages = 512 ** level;
    if (!this.permitted(pteLow) || page % pages !== 0) return this.pageFault();
    const marks = PTE.A | (this.access === ACCESS.write ? PTE.D : 0);
    if ((pteLow & marks) !== marks && !this.mark(index, pteLow, pteHigh, marks)) return RETRY;
    this.leafPages = pages;
    this.leafIndex = index;
    return page * 4096 + this.offset(level);
  }

  /**
   * How many leaves next to that of the last successful walk, in its table, up (`step` 1) or down (-1), go on where it
   * maps, with the same permissions, and marked as accessed (dirty) as it is: so nothing needs to be marked for them.
   */
  neighbours(step: 1 | -1): number {
    const { i32 } = this.hart;
    const own = this.leafIndex;
    const place = (own >> 1) & 511;
    const inTable = step === 1 ? 511 - place : place;
    const most = Math.min(inTable, this.leafPages > 1 ? TLB.mergedLarge : TLB.mergedSmall);
    // A page number is at bit 10; a leaf is leafPages of them. Carries into the upper word end the run.
    const stride = step * this.leafPages * 1024;
    let count = 0;
    for (let low = i32[own] & ~0x300; count < most; count++) {
      const next = own + 2 * step * (count + 1);
      const expected = low + stride;
      if (expected !== (expected | 0) || (i32[next] & ~0x300) !== expected || i32[next + 1] !== i32[own + 1]) break;
      low = expected;
    }
    return count;
  }

  /** Offset in a page of a level; on the halves, since 64 bits do not fit a double. */
  private offset(level: number): number {
    if (level < 2) return this.low & (level === 0 ? 0xfff : 0x1f_ffff);
    if (level === 2) return this.low & 0x3fff_ffff;
    return (this.low >>> 0) + (this.high & (level === 3 ? 0x7f : 0xffff)) * 2 ** 32;
  }

  private permitted(pte: number): boolean {
    if ((pte & (PTE.R | PTE.W)) === PTE.W) return false; // reserved
    const { access, mode } = this;
    const status = this.hart.get(OFFSET.mstatus);
    const userPage = (pte & PTE.U) !== 0;
    if (mode === MODE.U && !userPage) return false;
    if (mode === MODE.S && userPage && (access === ACCESS.execute || (status & MSTATUS.SUM) === 0)) return false;
    if (access === ACCESS.execute) return (pte & PTE.X) !== 0;
    if (access === ACCESS.write) return (pte & PTE.W) !== 0;
    return (pte & PTE.R) !== 0 || ((status & MSTATUS.MXR) !== 0 && (pte & PTE.X) !== 0);
  }

  /** Sets A (and D) if the entry is still what was read. */
  private mark(index: number, pteLow: number, pteHigh: number, marks: number): boolean {
    const words = new BigInt64Array(this.hart.i32.buffer, index * 4, 1);
    const old = (BigInt(pteHigh) << 32n) | BigInt(pteLow >>> 0);
    return Atomics.compareExchange(words, 0, old, old | BigInt(marks)) === old;
  }

  private pageFault(): -1 {
    this.cause = PAGE_FAULT[this.access];
    return -1;
  }

  private accessFault(): -1 {
    this.cause = ACCESS_FAULT[this.access];
    return -1;
  }
}

const pageOf = (low: number, high: number): number => (low >>> 0) + high * 2 ** 32;

/** Nine bits of the virtual page number. */
function virtualIndex(low: number, high: number, level: number): number {
  if (level === 0) return (low >>> 12) & 511;
  if (level === 1) return (low >>> 21) & 511;
  if (level === 2) return ((low >>> 30) | (high << 2)) & 511;
  return (high >>> (level === 3 ? 7 : 16)) & 511;
}
