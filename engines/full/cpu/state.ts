import { EVENT, OFFSET } from './layout.js';

/** Reads and writes one hart's state from JavaScript: for debuggers, tests and counters, not for hot paths. */
export class HartState {
  private readonly view: DataView;

  constructor(memory: WebAssembly.Memory, stateBase: number) {
    this.view = new DataView(memory.buffer, stateBase, OFFSET.tlb);
  }

  /** The 64-bit field at a byte offset of OFFSET, unsigned. */
  get(offset: number): bigint {
    return this.view.getBigUint64(offset, true);
  }

  set(offset: number, value: bigint): void {
    this.view.setBigUint64(offset, BigInt.asUintN(64, value), true);
  }

  /** x0 to x31, unsigned. */
  x(index: number): bigint {
    return this.get(OFFSET.x + index * 8);
  }

  setX(index: number, value: bigint): void {
    if (index !== 0) this.set(OFFSET.x + index * 8, value);
  }

  /** Raw bits of f0 to f31. */
  f(index: number): bigint {
    return this.get(OFFSET.f + index * 8);
  }

  setF(index: number, value: bigint): void {
    this.set(OFFSET.f + index * 8, value);
  }

  /** Address of the next instruction, exact whenever the hart is not running. */
  get pc(): bigint {
    return this.get(OFFSET.pc);
  }

  set pc(value: bigint) {
    this.set(OFFSET.pc, value);
  }

  /** 0 U, 1 S, 3 M. */
  get privilege(): number {
    return this.view.getUint32(OFFSET.privilege, true);
  }

  /** fcsr: rounding mode in bits 7:5, accrued exceptions in 4:0. */
  get fcsr(): number {
    return (this.view.getUint32(OFFSET.frm, true) << 5) | this.view.getUint32(OFFSET.fflags, true);
  }

  /** Instructions retired since reset, up to the last slice's end. */
  get instret(): number {
    return this.view.getFloat64(OFFSET.instret, true);
  }

  /** How often one of EVENT has happened since reset. */
  count(event: number): number {
    return this.view.getFloat64(OFFSET.events + event * 8, true);
  }

  /** What happened since reset, by name. Grows only; read without stopping the hart. */
  counters(): Record<string, number> {
    const counts: Record<string, number> = { instructions: this.instret };
    for (const [name, index] of Object.entries(EVENT)) {
      counts[name] = this.view.getFloat64(OFFSET.events + index * 8, true);
    }
    return counts;
  }
}
