import { HartExit } from '../exit.js';
import { unpackRd, unpackRs1 } from '../interpreter/operation.js';
import { SYSTEM_OPERATIONS } from '../interpreter/system-codes.js';
import { EVENT, OFFSET } from '../layout.js';
import type { HartContext } from './context.js';
import type { CsrAccess } from './csr-access.js';
import { CsrResult } from './csr-access.js';
import type { Fetch } from './fetch.js';
import { CAUSE, MODE, MSTATUS } from './status.js';
import type { TlbControl } from './tlb.js';
import type { Traps } from './traps.js';

/** A spinning hart gives the processor away each time it has said `pause` this often. */
const PAUSES_PER_EXIT = 32;

/** The instructions that change privilege, translation or the way on. All give 1 when the hart was redirected. */
export class SystemInstructions {
  private readonly actions: Record<number, (low: number) => number>;

  constructor(
    private readonly hart: HartContext,
    private readonly traps: Traps,
    private readonly tlb: TlbControl,
    private readonly fetch: Fetch,
    private readonly csrs: CsrAccess,
  ) {
    const S = SYSTEM_OPERATIONS;
    this.actions = {
      [S.illegal]: () => this.illegal(),
      [S.ecall]: () => this.exception(CAUSE.ecallFromU + hart.get(OFFSET.privilege)),
      [S.ebreak]: () => this.breakpoint(),
      [S.mret]: () => this.mret(),
      [S.sret]: () => this.sret(),
      [S.wfi]: () => this.wfi(),
      [S.sfenceVma]: (low) => this.sfenceVma(low),
      [S.fenceI]: () => this.fenceI(),
      [S.pause]: () => this.pause(),
    };
  }

  execute(operation: number, low: number): number {
    return this.actions[operation](low);
  }

  csr(operation: number, low: number, number: number): number {
    const { hart } = this;
    hart.count(EVENT.csrAccesses);
    const result = this.csrs.execute(operation, low, number);
    if (result === CsrResult.Done) return 0;
    if (result === CsrResult.Illegal) return this.illegal();
    // The instruction is complete before an interrupt that it let in.
    hart.copy64(OFFSET.x + unpackRd(low) * 8, OFFSET.value);
    return this.complete();
  }

  private exception(cause: number): 1 {
    this.hart.locatePc();
    this.traps.exception(cause, 0, 0);
    return 1;
  }

  /** mtval holds the instruction's bits, as on QEMU. */
  private illegal(): 1 {
    const insn = this.fetch.currentBits();
    this.hart.locatePc();
    this.traps.exception(CAUSE.illegal, insn, 0);
    return 1;
  }

  /** mtval holds the address (3.1.16). */
  private breakpoint(): 1 {
    const { hart } = this;
    hart.locatePc();
    this.traps.exception(CAUSE.breakpoint, hart.get(OFFSET.pc), hart.get(OFFSET.pc + 4));
    return 1;
  }

  private mret(): 1 {
    if (this.hart.get(OFFSET.privilege) !== MODE.M) return this.illegal();
    this.retire();
    this.traps.returnFromMachine();
    this.traps.interrupt();
    return 1;
  }

  private sret(): 1 {
    if (!this.supervisorMay(MSTATUS.TSR)) return this.illegal();
    this.retire();
    this.traps.returnFromSupervisor();
    this.traps.interrupt();
    return 1;
  }

  private wfi(): number {
    const { hart } = this;
    if (!this.supervisorMay(MSTATUS.TW)) return this.illegal();
    if ((this.traps.pending() & hart.get(OFFSET.mie)) !== 0) return 0;
    hart.count(EVENT.wfi);
    this.next();
    hart.set(OFFSET.exit, HartExit.Wfi + 1);
    return 1;
  }

  private sfenceVma(low: number): number {
    const { hart } = this;
    if (!this.supervisorMay(MSTATUS.TVM)) return this.illegal();
    const address = unpackRs1(low);
    if (address === 0) this.tlb.flushTranslations();
    else this.tlb.flushPage(hart.xLow(address), hart.xHigh(address));
    return this.complete();
  }

  private fenceI(): number {
    this.fetch.fenceI();
    return this.complete();
  }

  private pause(): number {
    const { hart } = this;
    const pauses = hart.get(OFFSET.pauses) + 1;
    hart.set(OFFSET.pauses, pauses % PAUSES_PER_EXIT);
    if (pauses < PAUSES_PER_EXIT) return 0;
    this.next();
    hart.set(OFFSET.exit, HartExit.Pause + 1);
    return 1;
  }

  /** M-mode always, S-mode unless `trap` (a bit of mstatus) is set, U-mode never. */
  private supervisorMay(trap: number): boolean {
    const privilege = this.hart.get(OFFSET.privilege);
    return privilege === MODE.M || (privilege === MODE.S && (this.hart.get(OFFSET.mstatus) & trap) === 0);
  }

  /** Ends this instruction, and takes an interrupt that is possible now. */
  private complete(): 1 {
    this.next();
    this.traps.interrupt();
    return 1;
  }

  /** OFFSET.pc and the count for after this instruction. */
  private next(): void {
    const { hart } = this;
    hart.locatePc();
    hart.advancePc(this.fetch.currentLength());
    this.retire();
  }

  private retire(): void {
    this.hart.set(OFFSET.count, this.hart.get(OFFSET.count) - 1);
  }
}
