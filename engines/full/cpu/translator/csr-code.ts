import { changedCsr, fastCsr, joinFloatCsr, PLAIN_CSR, splitFloatCsr } from '../interpreter/fast-csr.js';
import { keptAndAdded } from '../interpreter/interrupt-code.js';
import type { CsrOperation } from '../isa/emitter.js';
import { OFFSET } from '../layout.js';
import type { Body } from '../wasm/body.js';
import { type I32, type I64, i32, i64 } from '../wasm/value.js';
import type { Assumptions, OutsideFunctions } from './emitter.js';
import type { Registers } from './registers.js';

/** What an instruction does to a CSR: whether it `writes` is known, and what it does that with. */
export interface CsrAccess {
  readonly operation: CsrOperation;
  readonly operand: I64;
  readonly writes: boolean;
}

/** The ways out of such an instruction. */
export interface CsrExits {
  /** Nothing has been done yet: the interpreter does it. */
  interpret(): void;
  /** It is done; on with the next one, but not in this region. */
  leaveBehind(): void;
  /** It is done, and has let an interrupt in. */
  interrupted(): void;
}

/** Takes what was in the CSR, before the ways out of the region that come after it. */
type Take = (old: I64) => void;

/** Reads and writes of those CSRs that regions know: see fast-csr.ts. */
export class CsrCode {
  constructor(
    private readonly body: Body,
    private readonly base: I32,
    private readonly registers: Registers,
    private readonly assumptions: Assumptions,
    private readonly outside: OutsideFunctions,
    private readonly exits: CsrExits,
  ) {}

  emit(number: number, access: CsrAccess, take: Take): void {
    const csr = fastCsr(number);
    if (csr === undefined) throw new Error(`CSR ${number} is not translated`);
    const ways = { float: this.float, plain: this.plain, status: this.status, interrupts: this.interrupts } as const;
    ways[csr.way].call(this, csr.operand, access, take);
  }

  private plain(how: number, { operation, operand, writes }: CsrAccess, take: Take): void {
    const { body, base } = this;
    const offset = how & PLAIN_CSR.offsetMask;
    const old = body.keep(i64.load(base, offset));
    const value = changedCsr(operation, old, operand);
    const even = ((how >> PLAIN_CSR.evenShift) & 1) !== 0;
    if (writes) body.store('i64', base, even ? i64.and(value, i64.const(-2)) : value, offset);
    take(old);
  }

  /** One of FLOAT_CSR. The region is left where what it takes for granted is so no more. */
  private float(number: number, { operation, operand, writes }: CsrAccess, take: Take): void {
    const { body, base, registers, assumptions, exits } = this;
    assumptions.float = true;
    const frm = i32.load(base, OFFSET.frm);
    const old = body.keep(i64.extendU(joinFloatCsr(number, registers.fflags, frm)));
    const written = body.keep(i32.wrap(changedCsr(operation, old, operand)));
    take(old);
    if (!writes) return;
    const now = splitFloatCsr(number, written);
    if (now.fflags !== undefined) registers.setFlags(now.fflags);
    if (now.frm !== undefined) {
      body.store('i32', base, now.frm, OFFSET.frm);
      body.store('i32', base, i32.const(1), OFFSET.fpDirty);
      if (assumptions.nearest) body.unlikely(i32.load(base, OFFSET.frm), () => exits.leaveBehind());
    }
    const exact = i32.eqz(i32.and(written, i32.const(1)));
    if (now.fflags !== undefined && assumptions.inexact) body.unlikely(exact, () => exits.leaveBehind());
  }

  private status(privilege: number, { operation, operand, writes }: CsrAccess, take: Take): void {
    const { body, base, outside } = this;
    const of = i32.const(privilege);
    const old = body.keep(body.call('i64', outside.readStatus, base, of));
    if (!writes) {
      take(old);
      return;
    }
    const written = i32.wrap(changedCsr(operation, old, operand));
    const result = body.keep(body.call('i32', outside.writeStatus, base, of, written));
    body.if(i32.eqz(result), () => this.exits.interpret());
    take(old);
    body.unlikely(i32.eq(result, i32.const(2)), () => this.exits.interrupted());
  }

  private interrupts(number: number, { operation, operand, writes }: CsrAccess, take: Take): void {
    const { body, base, outside } = this;
    const of = i32.const(number);
    const { keep, or } = keptAndAdded(operation, operand);
    const [kept, added] = [body.keep(keep), body.keep(or)];
    take(body.keep(body.call('i64', outside.readInterrupts, base, of)));
    if (!writes) return;
    body.unlikely(body.call('i32', outside.changeInterrupts, base, of, kept, added), () => this.exits.interrupted());
  }
}
