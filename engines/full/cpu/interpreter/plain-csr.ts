import { OFFSET } from '../layout.js';

/**
 * CSRs that only hold what is written to them, done without leaving the interpreter: trap handlers live on them.
 * `even`: bit 0 is always 0.
 */
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

/** Fields of the operand that stands for the number: the register's offset, the privilege it needs, and `even`. */
export const PLAIN_CSR = { offsetMask: 0xffff, privilegeShift: 16, privilegeMask: 3, evenShift: 18 } as const;

/** The operand for a CSR number; undefined when it is not a plain one. */
export function plainCsrOperand(number: number): number | undefined {
  const csr = PLAIN_CSRS[number];
  if (csr === undefined) return undefined;
  const privilege = (number >> 8) & 3;
  return csr.offset | (privilege << PLAIN_CSR.privilegeShift) | ((csr.even ? 1 : 0) << PLAIN_CSR.evenShift);
}
