/** One hart (a hardware thread of RV64GC) as the machine sees it. */
import { HartLines } from './lines.js';
import { HartState } from './state.js';

export { HART_STATE_BYTES, IRQ, RAM_BASE } from './layout.js';
export { HartLines } from './lines.js';
export { HartState } from './state.js';

/** What `run` returned for. */
export const HartExit = {
  /** The budget of instructions is used up. */
  Budget: 0,
  /** WFI with nothing pending: sleep until `HartLines.wait` returns, then run again. */
  Wfi: 1,
  /** The guest spins (`pause`): give the processor away once, then run again. */
  Pause: 2,
  /** `HartLines.stop` was called (by any thread). */
  Stopped: 3,
} as const;
export type HartExit = (typeof HartExit)[keyof typeof HartExit];

/** Where the hart finds itself in the machine. Offsets are bytes in the wasm memory. */
export interface HartConfig {
  hartId: number;
  /** A multiple of 64; HART_STATE_BYTES from here belong to the hart. */
  stateBase: number;
  /** Where guest-physical RAM_BASE lies; a multiple of 4096. */
  ramOffset: number;
  /** A multiple of 4096. */
  ramBytes: number;
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

/** Options of the module; none so far changes what a guest sees. */
export interface CpuModuleOptions {
  /** Pages of 64 KiB that the memory has at most; must be those of the WebAssembly.Memory that is passed to Hart. */
  maximumPages: number;
}

/** The CPU as a WebAssembly module, the same for all harts: build it once, post it to the workers. */
export function buildCpuModule(_options: CpuModuleOptions): WebAssembly.Module {
  throw new Error('not yet');
}

/**
 * Executes one hart on the calling thread. All state is in the shared memory; an instance may be made anew
 * over the same state.
 */
export class Hart {
  /** Raise interrupts and stop through this; other threads make their own. */
  readonly lines: HartLines;
  readonly state: HartState;

  constructor(_module: WebAssembly.Module, memory: WebAssembly.Memory, config: HartConfig, _bus: HartBus) {
    this.lines = new HartLines(memory, config.stateBase);
    this.state = new HartState(memory, config.stateBase);
  }

  /** Power-on: M-mode, everything clear, at `pc` with a0 and a1. Must be called before the first run. */
  reset(_pc: number, _a0: number, _a1: number): void {
    throw new Error('not yet');
  }

  /** Runs up to about `budget` instructions (1 to 2^30); it may overshoot by those of one straight line. */
  run(_budget: number): HartExit {
    throw new Error('not yet');
  }
}
