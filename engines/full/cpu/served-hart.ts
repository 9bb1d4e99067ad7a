/**
 * One hart (a hardware thread of RV64GC) as the machine sees it, but for what makes its code: module and regions come from
 * elsewhere, so that a thread which only runs a hart has nothing of that in its memory. With it: hart.ts.
 */
import { defaultMode } from './default-mode.js';
import { HartExit } from './exit.js';
import { SlowAccess } from './host/access.js';
import { type BulkMemory, HartContext, type TlbMemory } from './host/context.js';
import { CsrAccess } from './host/csr-access.js';
import { buildCsrs } from './host/csr-table.js';
import { Fetch } from './host/fetch.js';
import { Mmu } from './host/mmu.js';
import { Pmp } from './host/pmp.js';
import { MODE } from './host/status.js';
import { SystemInstructions } from './host/system.js';
import { TlbControl } from './host/tlb.js';
import { Traps } from './host/traps.js';
import { DecodeResult, type HostFunctions } from './interpreter/host.js';
import { SLICE } from './interpreter/region-support.js';
import { OFFSET, RAM_BASE } from './layout.js';
import { HartLines } from './lines.js';
import { HartState } from './state.js';
import type { CompileService, RegionMaker } from './translator/compiler.js';
import { type RegionHost, type TranslateMode, Translator } from './translator/translator.js';

export { HartExit } from './exit.js';
export { HART_STATE_BYTES, IRQ, RAM_BASE } from './layout.js';
export { HartLines } from './lines.js';
export { HartState } from './state.js';
export type { CompileService } from './translator/compiler.js';

/** Where the hart finds itself in the machine. Offsets are bytes in the wasm memory. */
export interface HartConfig {
  hartId: number;
  /** A multiple of 64; HART_STATE_BYTES from here belong to the hart. */
  stateBase: number;
  /** Where guest-physical RAM_BASE lies; a multiple of 4096. */
  ramOffset: number;
  /** A multiple of 4096. */
  ramBytes: number;
  /** Default: by the environment variable VIRTAX_CPU: see defaultMode. */
  translate?: TranslateMode;
  /** A compiler on another thread; or what makes a region at once, on this one. Absent: nothing is translated. */
  compiler?: CompileService | RegionMaker | undefined;
}

/** Everything outside of RAM. Called on the hart's thread; must not throw. Addresses are guest-physical. */
export interface HartBus {
  /** An aligned read; the value's low bits count. NaN when no device takes it: the guest gets an access fault. */
  read(paddr: number, size: 1 | 2 | 4): number;
  /** An aligned write. `value` is a 32-bit integer, signed or not. false when no device takes it. */
  write(paddr: number, size: 1 | 2 | 4, value: number): boolean;
  /** Ticks of mtime, a whole number; rdtime calls this, so it must be cheap. */
  time(): number;
}

interface Exports extends BulkMemory, TlbMemory, RegionHost {
  run(stateBase: number): number;
}

/**
 * Executes one hart on the calling thread. All state is in the shared memory; an instance may be made anew
 * over the same state.
 */
export class ServedHart {
  /** Raise interrupts and stop through this; other threads make their own. */
  readonly lines: HartLines;
  readonly state: HartState;
  readonly mode: TranslateMode;
  private readonly hart: HartContext;
  private readonly pmp: Pmp;
  private readonly tlb: TlbControl;
  private readonly fetch: Fetch;
  private readonly slow: SlowAccess;
  private readonly traps: Traps;
  private readonly exports: Exports;
  private readonly translator: Translator | undefined;
  private readonly forced: boolean;
  /** The next boundary must look at the lines, whatever `attention` says. */
  private look = true;
  /**
   * What a slice had left when the hart came to wait: the next one goes on there. If each began anew, code that only runs
   * for some hundred instructions between two waits (a driver's) would never be sampled, or always at the same places.
   */
  private unused = 0;

  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory, config: HartConfig, bus: HartBus) {
    this.lines = new HartLines(memory, config.stateBase);
    this.state = new HartState(memory, config.stateBase);
    const hart = new HartContext(memory, config, bus);
    this.hart = hart;
    this.pmp = new Pmp(hart);
    this.tlb = new TlbControl(hart);
    this.traps = new Traps(hart, this.tlb);
    const mmu = new Mmu(hart, this.pmp);
    this.slow = new SlowAccess(hart, mmu, this.pmp, this.tlb, this.traps);
    this.fetch = new Fetch(hart, mmu, this.pmp, this.tlb, this.traps);
    const instance = new WebAssembly.Instance(module, { env: { memory }, host: this.hostFunctions() });
    this.exports = instance.exports as unknown as Exports;
    hart.bulk = this.exports;
    const mode = config.translate ?? defaultMode();
    this.mode = mode;
    this.forced = mode === 'forced';
    this.fetch.singly = this.forced;
    const { compiler } = config;
    if (mode !== 'off' && compiler !== undefined)
      this.translator = new Translator(hart, this.fetch, this.tlb, memory, this.exports, this.forced, compiler);
    this.derive();
  }

  /** Power-on: M-mode, everything clear, at `pc` with a0 and a1. Must be called before the first run. */
  reset(pc: number, a0: number, a1: number): void {
    const { hart, state } = this;
    hart.bulk.fill(hart.base, 0, OFFSET.tlb);
    hart.set(OFFSET.privilege, MODE.M);
    state.pc = BigInt(pc);
    state.setX(10, BigInt(a0));
    state.setX(11, BigInt(a1));
    this.derive();
  }

  /** Runs up to about `budget` instructions (1 to 2^30); it may overshoot by those of one straight line. */
  run(budget: number): HartExit {
    const { hart } = this;
    hart.set(OFFSET.budget, budget);
    hart.set(OFFSET.exit, 0);
    this.look = true;
    const exit = this.exports.run(hart.base) - 1;
    this.unused = Math.max(0, hart.get(OFFSET.count));
    this.settle();
    if (exit === HartExit.Wfi) this.translator?.waited();
    return exit as HartExit;
  }

  /** Instructions of the budget that the last run() has left. */
  get left(): number {
    return Math.max(0, this.hart.get(OFFSET.budget));
  }

  /** Call while the hart is not running, after code was written from outside: a fence.i by hand. */
  invalidateCode(): void {
    this.fetch.fenceI();
  }

  /** What follows from the registers: which TLBs count, PMP regions. Nothing cached before is believed. */
  private derive(): void {
    this.hart.set(OFFSET.ramAddend, this.hart.ramOffset - RAM_BASE);
    this.pmp.update();
    this.tlb.flushAll();
    this.slow.devices.clear();
    this.fetch.clear();
    this.tlb.select();
  }

  private hostFunctions(): WebAssembly.ModuleImports {
    const { hart, tlb, traps, fetch, slow } = this;
    const csrs = new CsrAccess(hart, buildCsrs(hart, traps, tlb, this.pmp));
    const system = new SystemInstructions(hart, traps, tlb, fetch, csrs);
    const functions: HostFunctions = {
      boundary: () => this.boundary(),
      missed: () => this.translator?.sampleMiss(),
      fetch: () => fetch.fetch(),
      decode: () => this.decode(),
      load: (low, high, bytes) => slow.load(low, high, bytes),
      store: (low, high, bytes) => slow.store(low, high, bytes),
      atomicAddress: (low, high, bytes, reading) => slow.atomicAddress(low, high, bytes, reading !== 0),
      fill: (low, high, _bytes, writing) => slow.fillOnly(low, high, writing !== 0),
      csr: (operation, low, number) => system.csr(operation, low, number),
      system: (operation, low) => system.execute(operation, low),
      time: () => hart.bus.time(),
    };
    return { ...functions };
  }

  private decode(): number {
    const { hart } = this;
    const result = this.fetch.decode();
    if (!this.forced) return result;
    if (result === DecodeResult.Entry && hart.get(OFFSET.once) === 0) this.translator?.decoded();
    hart.set(OFFSET.once, 0);
    return result;
  }

  /** The slice is over: looks at lines and budget, at an instruction's start, and begins the next slice. */
  private boundary(): void {
    const { hart } = this;
    if (hart.get(OFFSET.sliceLength) > 0) this.translator?.sample();
    if (hart.get(OFFSET.dead) !== 0) this.translator?.dropDead();
    if (hart.get(OFFSET.compiled) !== 0) this.translator?.collect();
    this.settle();
    const attention = hart.at + (OFFSET.attention >> 2);
    if (this.look || Atomics.load(hart.i32, attention) !== 0) {
      this.look = false;
      Atomics.store(hart.i32, attention, 0); // before the lines are read: what comes later sets it again
      if (Atomics.load(hart.i32, hart.at + (OFFSET.stop >> 2)) !== 0) hart.set(OFFSET.exit, HartExit.Stopped + 1);
      else this.traps.interrupt();
    }
    const budget = hart.get(OFFSET.budget);
    if (budget <= 0 && hart.get(OFFSET.exit) === 0) hart.set(OFFSET.exit, HartExit.Budget + 1);
    const length = Math.max(0, Math.min(budget, this.unused > 0 ? this.unused : SLICE));
    this.unused = 0;
    hart.set(OFFSET.sliceLength, length);
    hart.set(OFFSET.count, length);
  }

  /** Adds what the slice has done to the totals, and ends it. */
  private settle(): void {
    const { hart } = this;
    const done = hart.get(OFFSET.sliceLength) - hart.get(OFFSET.count);
    hart.f64[(hart.base + OFFSET.instret) >> 3] += done;
    hart.set(OFFSET.budget, hart.get(OFFSET.budget) - done);
    hart.set(OFFSET.sliceLength, 0);
    hart.set(OFFSET.count, 0);
  }
}
