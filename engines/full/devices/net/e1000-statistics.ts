/** Statistics registers of the 8254x (manual, 13.7): they count up to their end and stay there, and clear when read. */
import { STAT } from './e1000-registers.js';

const MOST = 0xffff_ffff;
/** Low words of the counters with 64 bits. */
const WIDE: readonly number[] = [STAT.GORC, STAT.GOTC, STAT.TOR, STAT.TOT];
/** Least size of each class after the first, with FCS: 65, 128, … (13.7.19). */
const CLASSES = [65, 128, 256, 512, 1024];

export class Statistics {
  /** regs: the card's registers, by word, under its lock. */
  constructor(private readonly regs: Uint32Array) {}

  clear(): void {
    this.regs.fill(0, STAT.FIRST >> 2, STAT.LAST >> 2);
  }

  /** Answers the register at an offset, and clears it: of the wide ones with the high word, both. */
  read(offset: number): number {
    const at = offset >> 2;
    const value = this.regs[at];
    if (WIDE.includes(offset)) return value;
    this.regs[at] = 0;
    if (WIDE.includes(offset - 4)) this.regs[at - 1] = 0;
    return value;
  }

  /** offset: of a counter of 32 bits. */
  add(offset: number): void {
    const at = offset >> 2;
    if (this.regs[at] < MOST) this.regs[at]++;
  }

  #addWide(offset: number, count: number): void {
    const at = offset >> 2;
    const sum = this.regs[at] + count;
    this.regs[at] = sum; // modulo 2 ** 32
    if (sum > MOST) this.regs[at + 1]++;
  }

  /** bytes: with FCS. group, broadcast: of the destination. */
  received(bytes: number, group: boolean, broadcast: boolean): void {
    this.#frame(STAT.PRC64, STAT.TPR, STAT.GPRC, STAT.GORC, STAT.TOR, bytes);
    if (broadcast) this.add(STAT.BPRC);
    else if (group) this.add(STAT.MPRC);
  }

  transmitted(bytes: number, group: boolean, broadcast: boolean): void {
    this.#frame(STAT.PTC64, STAT.TPT, STAT.GPTC, STAT.GOTC, STAT.TOT, bytes);
    if (broadcast) this.add(STAT.BPTC);
    else if (group) this.add(STAT.MPTC);
  }

  #frame(classes: number, total: number, good: number, goodBytes: number, bytesTotal: number, bytes: number): void {
    let n = 0;
    while (n < CLASSES.length && bytes >= CLASSES[n]) n++;
    this.add(classes + 4 * n);
    this.add(total);
    this.add(good);
    this.#addWide(goodBytes, bytes);
    this.#addWide(bytesTotal, bytes);
  }
}
