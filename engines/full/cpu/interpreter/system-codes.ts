import type { CsrOperation, SystemOperation } from '../isa/emitter.js';

/** Numbers that stand for operations in emitted code. */
export const SYSTEM_OPERATIONS: Record<SystemOperation, number> = {
  illegal: 0,
  ecall: 1,
  ebreak: 2,
  mret: 3,
  sret: 4,
  wfi: 5,
  sfenceVma: 6,
  fenceI: 7,
  pause: 8,
};

export const CSR_OPERATIONS: Record<CsrOperation, number> = { write: 0, set: 1, clear: 2 };
