import type { CsrOperation } from '../isa/emitter.js';
import { OFFSET } from '../layout.js';
import { type I32, type I64, i32, i64 } from '../wasm/value.js';

/**
 * How an instruction reaches its CSR: by asking the host; as a word that only holds what is written to it (trap handlers
 * live on these); as mstatus or sstatus, most of whose changes are done by trap-code.ts; as one of INTERRUPT_CSR; or as fflags,
 * frm or fcsr, which compilers save and restore around comparisons, and libraries around nearly everything.
 */
export type CsrWay = 'host' | 'plain' | 'status' | 'interrupts' | 'float';

/** `even`: bit 0 is always 0. */
const PLAIN_CSRS: Readonly<Record<number, { offset: number; even?: true }>> = {
  320: { offset: OFFSET.sscratch },
  321: { offset: OFFSET.sepc, even: true },
  322: { offset: OFFSET.scause },
  323: { offset: OFFSET.stval },
  832: { offset: OFFSET.mscratch },
  833: { offset: OFFSET.mepc, even: true },
  834: { offset: OFFSET.mcause },
  835: { offset: OFFSET.mtval },
};

/** fflags, frm and fcsr (unprivileged specification, 11.2). */
export const FLOAT_CSR = { fflags: 1, frm: 2, fcsr: 3 } as const;

/** Pending and enabled interrupts (privileged specification, 3.1.9, 4.1.3). */
export const INTERRUPT_CSR = { sie: 0x104, sip: 0x144, mie: 0x304, mip: 0x344 } as const;
const INTERRUPT_NUMBERS: readonly number[] = Object.values(INTERRUPT_CSR);

const SSTATUS = 0x100;
const MSTATUS = 0x300;

/** Fields of the operand that stands for a plain CSR: the register's offset, the privilege it needs, and `even`. */
export const PLAIN_CSR = { offsetMask: 0xffff, privilegeShift: 16, privilegeMask: 3, evenShift: 18 } as const;

/** The privilege that a CSR's number asks for (privileged specification, 2.1). */
export const csrPrivilege = (number: number): number => (number >> 8) & 3;

/** What stands for a CSR's number in an operation: of `status` the privilege, of `float` and `interrupts` itself. undefined: the host must be asked. */
export function fastCsr(number: number): { way: Exclude<CsrWay, 'host'>; operand: number } | undefined {
  const privilege = csrPrivilege(number);
  if (number === SSTATUS || number === MSTATUS) return { way: 'status', operand: privilege };
  if (INTERRUPT_NUMBERS.includes(number)) return { way: 'interrupts', operand: number };
  if (number >= FLOAT_CSR.fflags && number <= FLOAT_CSR.fcsr) return { way: 'float', operand: number };
  const csr = PLAIN_CSRS[number];
  if (csr === undefined) return undefined;
  const even = csr.even ? 1 : 0;
  const { privilegeShift, evenShift } = PLAIN_CSR;
  return { way: 'plain', operand: csr.offset | (privilege << privilegeShift) | (even << evenShift) };
}

/** What a CSR instruction writes. */
export const changedCsr = (operation: CsrOperation, old: I64, operand: I64): I64 =>
  ({
    write: () => operand,
    set: () => i64.or(old, operand),
    clear: () => i64.and(old, i64.xor(operand, i64.const(-1))),
  })[operation]();

/** fflags and frm after a write to one of FLOAT_CSR; what it does not hold stays. */
export function splitFloatCsr(number: number, written: I32): { fflags?: I32; frm?: I32 } {
  const flags = i32.and(written, i32.const(31));
  if (number === FLOAT_CSR.fflags) return { fflags: flags };
  if (number === FLOAT_CSR.frm) return { frm: i32.and(written, i32.const(7)) };
  return { fflags: flags, frm: i32.and(i32.shrU(written, i32.const(5)), i32.const(7)) };
}

/** The value of one of FLOAT_CSR. */
export function joinFloatCsr(number: number, fflags: I32, frm: I32): I32 {
  if (number === FLOAT_CSR.fflags) return fflags;
  return number === FLOAT_CSR.frm ? frm : i32.or(i32.shl(frm, i32.const(5)), fflags);
}
