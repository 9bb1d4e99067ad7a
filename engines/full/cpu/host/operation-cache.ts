import { decode, type Operation, toOperation } from './decoder.js';

/**
 * Powers of two. An operating system has some 50,000 different encodings, most of which it hardly ever executes; a small
 * guest has 2,000, and hashing would spread them over 800 KiB.
 */
const FIRST_ENTRIES = 4096;
const MOST_ENTRIES = 32_768;
/** Fibonacci hashing: neighbouring encodings differ in few bits, which must all reach the index. */
const HASH = 0x9e37_79b1 | 0;
const PAGE = 4096;

/** `straight`: execution goes on behind it; the others' targets are computed, or relative. */
const KIND = { empty: 0, straight: 1, computed: 2, relative: 3 } as const;

export interface CachedOperation extends Operation {
  /** The next instruction is executed as well, unless this one traps. */
  straight: boolean;
}

/**
 * What encodings have been found to mean, for one thread. The decode cache is by page, and the same few thousand
 * encodings fill all pages: decoding one again takes 50 ns instead of 1.3 µs, which at the start of Linux is half of the
 * processor's time.
 */
export class OperationCache {
  private entries = 0;
  private shift = 0;
  private entered = 0;
  private kind = new Uint8Array();
  private insn = new Int32Array();
  private imm = new Int32Array();
  private low = new Int32Array();
  private high = new Int32Array();
  /** For relative targets in the same page. */
  private nearLow = new Int32Array();
  private nearHigh = new Int32Array();
  /** The answer: one object, filled anew. */
  private readonly found: CachedOperation = { low: 0, high: 0, straight: false };

  constructor() {
    this.resize(FIRST_ENTRIES);
  }

  /** Empties it as well. */
  private resize(entries: number): void {
    this.entries = entries;
    this.shift = 32 - Math.log2(entries);
    this.entered = 0;
    this.kind = new Uint8Array(entries);
    this.insn = new Int32Array(entries);
    this.imm = new Int32Array(entries);
    this.low = new Int32Array(entries);
    this.high = new Int32Array(entries);
    this.nearLow = new Int32Array(entries);
    this.nearHigh = new Int32Array(entries);
  }

  /** insn: a word, or 16 bits of a compressed instruction. offset: of the instruction in its page. */
  operation(insn: number, offset: number): CachedOperation {
    let index = Math.imul(insn, HASH) >>> this.shift;
    if (this.kind[index] === KIND.empty || this.insn[index] !== insn) {
      if (++this.entered > this.entries && this.entries < MOST_ENTRIES) {
        this.resize(MOST_ENTRIES);
        index = Math.imul(insn, HASH) >>> this.shift;
      }
      this.enter(index, insn);
    }
    const { found } = this;
    const target = offset + this.imm[index];
    const near = this.kind[index] === KIND.relative && target >= 0 && target < PAGE;
    found.low = near ? this.nearLow[index] : this.low[index];
    found.high = near ? this.nearHigh[index] : this.high[index];
    found.straight = this.kind[index] === KIND.straight;
    return found;
  }

  private enter(index: number, insn: number): void {
    const decoded = decode(insn);
    const flow = decoded?.definition.flow;
    const imm = decoded?.operands.imm ?? 0;
    const relative = flow === 'branch' || flow === 'jump';
    // Whatever the distance, from there the target lies behind the page.
    const far = toOperation(decoded, relative ? PAGE - imm : 0);
    const near = relative ? toOperation(decoded, Math.max(0, -imm)) : far;
    this.kind[index] = relative ? KIND.relative : flow === 'next' ? KIND.straight : KIND.computed;
    this.insn[index] = insn;
    this.imm[index] = imm;
    this.low[index] = far.low;
    this.high[index] = far.high;
    this.nearLow[index] = near.low;
    this.nearHigh[index] = near.high;
  }
}
