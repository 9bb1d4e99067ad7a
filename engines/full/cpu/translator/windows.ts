import type { SlowAccess } from '../host/access.js';
import type { HartContext } from '../host/context.js';
import { ACCESS } from '../host/status.js';
import { OFFSET, TLB } from '../layout.js';
import type { Window } from './ranges.js';
import type { Block } from './region.js';

/** Finds and confirms the windows of regions: see Window. */
export class Windows {
  constructor(
    private readonly hart: HartContext,
    private readonly slow: SlowAccess,
  ) {}

  /** A window for each base register of a region that points into RAM now, as far as the TLB knows it. */
  of(entry: Block): ReadonlyMap<number, Window> {
    const windows = new Map<number, Window>();
    if (!this.stable()) return windows;
    for (const register of baseRegisters(entry)) {
      const window = this.around(this.hart.xLow(register), this.hart.xHigh(register));
      if (window !== undefined) windows.set(register, window);
    }
    return windows;
  }

  /** Whether all of them are as they were, though translations may have changed. */
  confirmed(windows: Iterable<Window>): boolean {
    const seen = new Set<bigint>();
    for (const { low, pages, writable, delta } of windows) {
      if (seen.has(low)) continue;
      seen.add(low);
      const access = writable ? ACCESS.write : ACCESS.read;
      const [lowWord, highWord] = [Number(BigInt.asIntN(32, low)), Number(BigInt.asIntN(32, low >> 32n))];
      if (!this.slow.confirms(lowWord, highWord, pages, delta, access)) return false;
    }
    return true;
  }

  /** User and machine mode see one context each; the supervisor's changes with SUM, and its ranges stay in locals. */
  private stable(): boolean {
    const table = this.hart.get(OFFSET.tlbRead) - this.hart.base;
    return table === TLB.readTable(TLB.contexts.user) || table === TLB.readTable(TLB.contexts.machine);
  }

  private around(low: number, high: number): Window | undefined {
    return this.inTable(OFFSET.tlbWrite, low, high, true) ?? this.inTable(OFFSET.tlbRead, low, high, false);
  }

  private inTable(table: number, low: number, high: number, writable: boolean): Window | undefined {
    const { i32 } = this.hart;
    const index = (low >>> 12) & (TLB.entries - 1);
    const entry = (this.hart.get(table) + index * TLB.entryBytes) >> 2;
    if (i32[entry] !== (low & ~0xfff) || i32[entry + 1] !== high) return undefined;
    const [before, after] = [i32[entry + 3] & 0xffff, i32[entry + 3] >>> 16];
    const page = (BigInt(high) << 32n) | BigInt((low & ~0xfff) >>> 0);
    return { low: page - BigInt(before) * 4096n, pages: before + after + 1, writable, delta: i32[entry + 2] };
  }
}

/** The base registers of a region's loads and stores (a few more do no harm). */
function baseRegisters(entry: Block): Set<number> {
  const registers = new Set<number>();
  const seen = new Set<Block>();
  const visit = (block: Block | undefined): void => {
    if (block === undefined || seen.has(block)) return;
    seen.add(block);
    for (const { operands } of block.instructions) registers.add(operands.rs1);
    for (const { to } of block.edges()) visit(to);
  };
  visit(entry);
  registers.delete(0);
  return registers;
}
