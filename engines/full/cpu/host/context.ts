import type { HartBus, HartConfig } from '../hart.js';
import { OFFSET, RAM_BASE } from '../layout.js';

/** Bulk operations that the module exports, because they are slow on shared memory from JavaScript. */
export interface BulkMemory {
  fill(address: number, byte: number, bytes: number): void;
  copy(to: number, from: number, bytes: number): void;
  /** 1 when both hold the same; `bytes` is a multiple of 32. */
  equal(a: number, b: number, bytes: number): number;
}

/** What the module exports for TlbControl: see ../interpreter/walk-code.ts. */
export interface TlbMemory {
  flushTlb(stateBase: number): void;
  flushExecute(stateBase: number): void;
  /** Which of SPOKEN's bits were set for the page. */
  flushTlbPage(stateBase: number, low: number, high: number): number;
  noteLarge(stateBase: number, first: bigint, last: bigint): void;
}

/** Index of each 32-bit word of the state, from `base >> 2`. */
export const word = (offset: number): number => offset >> 2;

/**
 * One hart's state as the host functions see it: words of 32 bits at OFFSET, because 64-bit values are BigInt in
 * JavaScript, and slow. Holds no state of its own.
 */
export class HartContext {
  readonly i32: Int32Array;
  readonly u8: Uint8Array;
  readonly f64: Float64Array;
  readonly view: DataView;
  /** Index of the state's first word in i32. */
  readonly at: number;
  readonly base: number;
  readonly ramOffset: number;
  readonly ramEnd: number;
  readonly hartId: number;
  bulk: BulkMemory & TlbMemory = {
    fill: () => {},
    copy: () => {},
    equal: () => 0,
    flushTlb: () => {},
    flushExecute: () => {},
    flushTlbPage: () => 0,
    noteLarge: () => {},
  };

  constructor(
    memory: WebAssembly.Memory,
    config: HartConfig,
    readonly bus: HartBus,
  ) {
    this.i32 = new Int32Array(memory.buffer);
    this.u8 = new Uint8Array(memory.buffer);
    this.f64 = new Float64Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    this.base = config.stateBase;
    this.at = config.stateBase >> 2;
    this.ramOffset = config.ramOffset;
    this.ramEnd = RAM_BASE + config.ramBytes;
    this.hartId = config.hartId;
  }

  /** The word at an offset of OFFSET (+ 4 for the upper half). */
  get(offset: number): number {
    return this.i32[this.at + (offset >> 2)];
  }

  set(offset: number, value: number): void {
    this.i32[this.at + (offset >> 2)] = value;
  }

  set64(offset: number, low: number, high: number): void {
    const index = this.at + (offset >> 2);
    this.i32[index] = low;
    this.i32[index + 1] = high;
  }

  copy64(to: number, from: number): void {
    this.set64(to, this.get(from), this.get(from + 4));
  }

  xLow(register: number): number {
    return this.i32[this.at + (OFFSET.x >> 2) + register * 2];
  }

  xHigh(register: number): number {
    return this.i32[this.at + (OFFSET.x >> 2) + register * 2 + 1];
  }

  /** One more event of EVENT. Floats: they count exactly to 2^53. */
  count(event: number): void {
    this.f64[((this.base + OFFSET.events) >> 3) + event]++;
  }

  /** Whether a physical range is in RAM. */
  inRam(paddr: number, bytes: number): boolean {
    return paddr >= RAM_BASE && paddr + bytes <= this.ramEnd;
  }

  /** Address in wasm memory of RAM at `paddr`. */
  ramAddress(paddr: number): number {
    return this.ramOffset + (paddr - RAM_BASE);
  }

  /** Address of the instruction that is executing, into OFFSET.pc. Valid after a write-back only. */
  locatePc(): void {
    const offset = (this.get(OFFSET.ip) - this.get(OFFSET.slot)) >>> 2;
    this.set64(OFFSET.pc, this.get(OFFSET.slotPage) + offset, this.get(OFFSET.slotPage + 4));
  }

  /** Adds a few bytes to OFFSET.pc. */
  advancePc(bytes: number): void {
    const low = this.get(OFFSET.pc);
    const sum = (low + bytes) | 0;
    const carry = sum >>> 0 < low >>> 0 ? 1 : 0;
    this.set64(OFFSET.pc, sum, this.get(OFFSET.pc + 4) + carry);
  }
}
