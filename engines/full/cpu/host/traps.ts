import { EVENT, IRQ, OFFSET } from '../layout.js';
import type { HartContext } from './context.js';
import { MODE, MSTATUS } from './status.js';
import type { TlbControl } from './tlb.js';

/** Interrupts from highest to lowest priority (3.1.9). */
const PRIORITY = [IRQ.MEIP, IRQ.MSIP, IRQ.MTIP, IRQ.SEIP, IRQ.SSIP, IRQ.STIP];

/** Takes and leaves traps (privileged specification, 3.1.6 to 3.1.9, 3.3.2, 4.1). */
export class Traps {
  constructor(
    private readonly hart: HartContext,
    private readonly tlb: TlbControl,
  ) {}

  /** An exception at OFFSET.pc. */
  exception(cause: number, tvalLow: number, tvalHigh: number): void {
    this.hart.count(EVENT.exceptions);
    this.charge();
    this.enter(cause, false, this.delegated(OFFSET.medeleg, cause), tvalLow, tvalHigh);
  }

  /**
   * The instruction is not retired, but the slice and the budget pay for it: a handler that cannot be executed itself would
   * never end them, and no one could stop the hart or interrupt it. As in environmentCall (../interpreter/trap-code.ts).
   */
  private charge(): void {
    const { hart } = this;
    hart.set(OFFSET.count, hart.get(OFFSET.count) - 1);
    hart.set(OFFSET.sliceLength, hart.get(OFFSET.sliceLength) - 1);
    hart.set(OFFSET.budget, hart.get(OFFSET.budget) - 1);
  }

  /** Takes the most urgent interrupt that is pending and enabled, at OFFSET.pc; false when there is none. */
  interrupt(): boolean {
    const { hart } = this;
    const pending = this.pending() & hart.get(OFFSET.mie);
    if (pending === 0) return false;
    const toMachine = pending & ~hart.get(OFFSET.mideleg);
    const toSupervisor = pending & hart.get(OFFSET.mideleg);
    const taken = this.enabled(MODE.M, MSTATUS.MIE, toMachine) || this.enabled(MODE.S, MSTATUS.SIE, toSupervisor);
    if (taken === 0) return false;
    const bit = PRIORITY.find((each) => (taken & each) !== 0) as number;
    const cause = 31 - Math.clz32(bit);
    hart.count(EVENT.interrupts);
    hart.count(EVENT.interruptsSsip + ((cause - 1) >> 1));
    this.enter(cause, true, taken === toSupervisor, 0, 0);
    return true;
  }

  /** mip, as software reads it. */
  pending(): number {
    return Atomics.load(this.hart.i32, this.hart.at + (OFFSET.irqLines >> 2)) | this.hart.get(OFFSET.mipSoft);
  }

  returnFromMachine(): void {
    const { hart } = this;
    const status = hart.get(OFFSET.mstatus);
    const mode = (status & MSTATUS.MPP) >> 11;
    const enabled = (status & MSTATUS.MPIE) !== 0 ? MSTATUS.MIE : 0;
    const kept = status & ~(MSTATUS.MIE | MSTATUS.MPP | (mode === MODE.M ? 0 : MSTATUS.MPRV));
    hart.set(OFFSET.mstatus, kept | enabled | MSTATUS.MPIE);
    hart.copy64(OFFSET.pc, OFFSET.mepc);
    this.switchTo(mode);
  }

  returnFromSupervisor(): void {
    const { hart } = this;
    const status = hart.get(OFFSET.mstatus);
    const mode = (status & MSTATUS.SPP) !== 0 ? MODE.S : MODE.U;
    const enabled = (status & MSTATUS.SPIE) !== 0 ? MSTATUS.SIE : 0;
    const kept = status & ~(MSTATUS.SIE | MSTATUS.SPP | MSTATUS.MPRV);
    hart.set(OFFSET.mstatus, kept | enabled | MSTATUS.SPIE);
    hart.copy64(OFFSET.pc, OFFSET.sepc);
    this.switchTo(mode);
  }

  private switchTo(mode: number): void {
    this.hart.set(OFFSET.privilege, mode);
    this.hart.set(OFFSET.reservation, 0);
    this.tlb.select();
  }

  /** Those of `interrupts`, all bound for `target`, that may be taken now. */
  private enabled(target: number, enableBit: number, interrupts: number): number {
    const privilege = this.hart.get(OFFSET.privilege);
    const globally = privilege < target || (privilege === target && (this.hart.get(OFFSET.mstatus) & enableBit) !== 0);
    return globally ? interrupts : 0;
  }

  private delegated(register: number, cause: number): boolean {
    return this.hart.get(OFFSET.privilege) !== MODE.M && ((this.hart.get(register) >>> cause) & 1) !== 0;
  }

  private enter(cause: number, interrupt: boolean, toSupervisor: boolean, tvalLow: number, tvalHigh: number): void {
    if (toSupervisor) this.enterSupervisor(cause, interrupt, tvalLow, tvalHigh);
    else this.enterMachine(cause, interrupt, tvalLow, tvalHigh);
  }

  private enterSupervisor(cause: number, interrupt: boolean, tvalLow: number, tvalHigh: number): void {
    const { hart } = this;
    hart.copy64(OFFSET.sepc, OFFSET.pc);
    hart.set64(OFFSET.scause, cause, interrupt ? 1 << 31 : 0);
    hart.set64(OFFSET.stval, tvalLow, tvalHigh);
    const status = hart.get(OFFSET.mstatus);
    const previous = (status & MSTATUS.SIE) !== 0 ? MSTATUS.SPIE : 0;
    const from = hart.get(OFFSET.privilege) === MODE.S ? MSTATUS.SPP : 0;
    hart.set(OFFSET.mstatus, (status & ~(MSTATUS.SIE | MSTATUS.SPIE | MSTATUS.SPP)) | previous | from);
    this.toVector(OFFSET.stvec, interrupt ? cause : -1);
    this.switchTo(MODE.S);
  }

  private enterMachine(cause: number, interrupt: boolean, tvalLow: number, tvalHigh: number): void {
    const { hart } = this;
    hart.copy64(OFFSET.mepc, OFFSET.pc);
    hart.set64(OFFSET.mcause, cause, interrupt ? 1 << 31 : 0);
    hart.set64(OFFSET.mtval, tvalLow, tvalHigh);
    const status = hart.get(OFFSET.mstatus);
    const previous = (status & MSTATUS.MIE) !== 0 ? MSTATUS.MPIE : 0;
    const from = hart.get(OFFSET.privilege) << 11;
    hart.set(OFFSET.mstatus, (status & ~(MSTATUS.MIE | MSTATUS.MPIE | MSTATUS.MPP)) | previous | from);
    this.toVector(OFFSET.mtvec, interrupt ? cause : -1);
    this.switchTo(MODE.M);
  }

  /** Vectored mode sends interrupts to base + 4 * cause. */
  private toVector(register: number, interruptCause: number): void {
    const { hart } = this;
    const low = hart.get(register);
    hart.set64(OFFSET.pc, low & ~3, hart.get(register + 4));
    if ((low & 1) !== 0 && interruptCause >= 0) hart.advancePc(4 * interruptCause);
  }
}
