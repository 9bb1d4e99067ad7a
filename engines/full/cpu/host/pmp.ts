import { OFFSET, RAM_BASE } from '../layout.js';
import type { HartContext } from './context.js';
import { ACCESS, MODE } from './status.js';

const ENTRIES = 16;
const LOCKED = 0x80;
const A = { off: 0, tor: 1, na4: 2, napot: 3 } as const;

/** Whether a page may be accessed: every byte, none, or it depends on the byte. */
export const PmpVerdict = { Denied: 0, Allowed: 1, Partial: 2 } as const;

interface Region {
  from: number;
  /** The first byte beyond. */
  to: number;
  config: number;
}

/** Physical memory protection (privileged specification 20211203, 3.7): 16 entries of 4 bytes granularity. */
export class Pmp {
  /** Derived from the registers in the hart's state; entries that are off are left out. */
  private regions: Region[] = [];
  /** Only locked entries bind M-mode. */
  private locked = false;

  /** Whoever keeps verdicts is told here that they are void. */
  onChange: () => void = () => {};

  constructor(private readonly hart: HartContext) {}

  /** Must be called after each change of the registers. */
  update(): void {
    this.onChange();
    this.regions = [];
    for (let entry = 0; entry < ENTRIES; entry++) this.addRegion(entry);
    this.locked = this.regions.some(({ config }) => (config & LOCKED) !== 0);
    this.publish();
  }

  /** The longest piece of RAM in which S and U may do everything, for those who cannot ask here. */
  private publish(): void {
    const { hart } = this;
    const ends = [RAM_BASE, ...this.regions.flatMap(({ from, to }) => [from, to]), hart.ramEnd]
      .map((address) => Math.min(Math.max(address, RAM_BASE), hart.ramEnd))
      .sort((a, b) => a - b);
    const best = { from: 0, pages: 0 };
    let start = RAM_BASE;
    for (const [index, end] of ends.entries()) {
      const from = ends[index - 1] ?? end;
      if (end > from && !this.open(from, end - from)) start = end;
      const first = Math.ceil(start / 4096);
      const pages = Math.floor(end / 4096) - first;
      if (pages > best.pages) Object.assign(best, { from: first, pages });
    }
    hart.view.setBigInt64(hart.base + OFFSET.openFrom, BigInt(best.from), true);
    hart.view.setBigInt64(hart.base + OFFSET.openPages, BigInt(best.pages), true);
  }

  private open(paddr: number, bytes: number): boolean {
    return [ACCESS.read, ACCESS.write, ACCESS.execute].every(
      (access) => this.check(paddr, bytes, access, MODE.S) === PmpVerdict.Allowed,
    );
  }

  config(entry: number): number {
    return this.hart.u8[this.hart.base + OFFSET.pmpcfg + entry];
  }

  /** Locked entries, and the address below a locked TOR entry, keep their values. */
  writeConfig(entry: number, value: number): void {
    if ((this.config(entry) & LOCKED) !== 0) return;
    const reservedPermission = (value & 3) === 2; // W without R
    this.hart.u8[this.hart.base + OFFSET.pmpcfg + entry] = value & (reservedPermission ? 0x9c : 0x9f);
  }

  writeAddress(entry: number, low: number, high: number): void {
    const above = entry + 1 < ENTRIES ? this.config(entry + 1) : 0;
    const lockedByAbove = (above & LOCKED) !== 0 && ((above >> 3) & 3) === A.tor;
    if ((this.config(entry) & LOCKED) !== 0 || lockedByAbove) return;
    this.hart.set64(OFFSET.pmpaddr + entry * 8, low, high & 0x3fffff);
  }

  /** The verdict for an access (1 << ACCESS gives R, W, X of the entry) to `bytes` from `paddr`. */
  check(paddr: number, bytes: number, access: number, mode: number): number {
    if (mode === MODE.M && !this.locked) return PmpVerdict.Allowed;
    const end = paddr + bytes;
    for (const { from, to, config } of this.regions) {
      if (to <= paddr || from >= end) continue;
      if (from > paddr || to < end) return PmpVerdict.Partial;
      if (mode === MODE.M && (config & LOCKED) === 0) return PmpVerdict.Allowed;
      return (config >> access) & 1;
    }
    return mode === MODE.M ? PmpVerdict.Allowed : PmpVerdict.Denied;
  }

  /** 54 bits: too many for a double. */
  private address(entry: number): bigint {
    return this.hart.view.getBigUint64(this.hart.base + OFFSET.pmpaddr + entry * 8, true);
  }

  /** The region from one address in units of 4 bytes to another. */
  private add(from: bigint, to: bigint, config: number): void {
    if (from < to) this.regions.push({ from: Number(from * 4n), to: Number(to * 4n), config });
  }

  private addRegion(entry: number): void {
    const config = this.config(entry);
    const address = this.address(entry);
    switch ((config >> 3) & 3) {
      case A.off:
        return;
      case A.tor:
        this.add(entry === 0 ? 0n : this.address(entry - 1), address, config);
        return;
      case A.na4:
        this.add(address, address + 1n, config);
        return;
      default: {
        // k trailing ones: 2^(k + 1) units of 4 bytes; adding 1 carries through them.
        const ones = address ^ (address + 1n);
        this.add(address & ~ones, (address & ~ones) + ones + 1n, config);
      }
    }
  }
}
