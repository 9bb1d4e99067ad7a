/** Numbers of the privileged specification (20211203): mstatus, causes, privilege modes. */

export const MODE = { U: 0, S: 1, M: 3 } as const;

/** Bits of mstatus, all in its low word (3.1.6). */
export const MSTATUS = {
  SIE: 1 << 1,
  MIE: 1 << 3,
  SPIE: 1 << 5,
  MPIE: 1 << 7,
  SPP: 1 << 8,
  MPP: 3 << 11,
  FS: 3 << 13,
  MPRV: 1 << 17,
  SUM: 1 << 18,
  MXR: 1 << 19,
  TVM: 1 << 20,
  TW: 1 << 21,
  TSR: 1 << 22,
} as const;

const S_WRITABLE = MSTATUS.SIE | MSTATUS.SPIE | MSTATUS.SPP | MSTATUS.FS | MSTATUS.SUM | MSTATUS.MXR;
const M_WRITABLE =
  S_WRITABLE | MSTATUS.MIE | MSTATUS.MPIE | MSTATUS.MPP | MSTATUS.MPRV | MSTATUS.TVM | MSTATUS.TW | MSTATUS.TSR;

/** mstatus and sstatus: bits that can be written, and upper word: UXL and SXL are 64 bits (bits 33:32 and 35:34). */
export const STATUS_CSR = {
  machine: { writable: M_WRITABLE, xl: 0b1010 },
  supervisor: { writable: S_WRITABLE, xl: 0b0010 },
} as const;

/** Exception codes (table 3.6). */
export const CAUSE = {
  instructionAccess: 1,
  illegal: 2,
  breakpoint: 3,
  loadMisaligned: 4,
  loadAccess: 5,
  storeMisaligned: 6,
  storeAccess: 7,
  ecallFromU: 8,
  instructionPage: 12,
  loadPage: 13,
  storePage: 15,
} as const;

/** Kinds of access, as indices. */
export const ACCESS = { read: 0, write: 1, execute: 2 } as const;
export type Access = 0 | 1 | 2;

export const ACCESS_FAULT = [CAUSE.loadAccess, CAUSE.storeAccess, CAUSE.instructionAccess] as const;
export const PAGE_FAULT = [CAUSE.loadPage, CAUSE.storePage, CAUSE.instructionPage] as const;
