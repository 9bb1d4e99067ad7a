import type { ExactOperation } from '../float/exact.js';
import type { Body } from '../wasm/body.js';
import type { F32, F64, I32, I64 } from '../wasm/value.js';

/** Width in bytes and whether narrow values are sign-extended. */
export interface MemoryKind {
  bytes: 1 | 2 | 4 | 8;
  signed: boolean;
}

/** Names of what is done outside of emitted code: see SystemCall in ../host/system.ts. */
export type SystemOperation =
  | 'illegal'
  | 'ecall'
  | 'ebreak'
  | 'mret'
  | 'sret'
  | 'wfi'
  | 'sfenceVma'
  | 'fenceI'
  | 'pause';

export type CsrOperation = 'write' | 'set' | 'clear';

/**
 * What the semantics of an instruction are written against. The interpreter binds registers to the hart's state
 * in memory and operands to fields of the decoded instruction; a translator binds both to locals and constants.
 * Methods that return a Value of a load or an atomic operation have emitted it when they return.
 */
export interface Emitter {
  readonly body: Body;

  /** Integer registers, and their low words. */
  readonly rs1: I64;
  readonly rs2: I64;
  readonly rs1Word: I32;
  readonly rs2Word: I32;
  /** Whether a register certainly holds a 32-bit value, sign-extended; may be false all the same. */
  isWord(operand: 1 | 2): boolean;
  /** Writes rd; does nothing when rd is x0. */
  setRd(value: I64): void;
  readonly imm: I64;
  readonly immWord: I32;
  /** Address of this instruction. */
  readonly pc: I64;

  load(kind: MemoryKind, address: I64): I64;
  store(kind: MemoryKind, address: I64, value: I64): void;
  /** The same of doubles, bits as they are. */
  loadDouble(address: I64): F64;
  storeDouble(address: I64, value: F64): void;
  /** The same of singles: into f[rd], and the low half of f[rs2]. */
  loadSingle(address: I64): F32;
  storeSingle(address: I64): void;
  /** `change` makes the new value from the old one (4-byte values sign-extended); gives the old one. */
  amo(width: 4 | 8, change: AmoChange): I64;
  loadReserved(width: 4 | 8): void;
  storeConditional(width: 4 | 8): void;

  /** To pc + imm when `taken`. */
  branch(taken: I32): void;
  /** To pc + imm, with the address of the next instruction in rd. */
  jumpRelative(): void;
  /** To `target`, with the address of the next instruction in rd. */
  jump(target: I64): void;

  /** Read-modify-write of the CSR whose number is in imm (bits 11:0). `uses`: rs1 or its 5-bit immediate is the operand. */
  csr(operation: CsrOperation, uses: 'register' | 'immediate'): void;
  /** The `time` counter; an illegal instruction where mcounteren or scounteren hide it. */
  readTime(): I64;
  system(operation: SystemOperation): void;

  /** Raises an illegal instruction exception when mstatus.FS is Off; must come first in whatever touches f registers. */
  requireFloat(): void;
  /** Raw bits of floating-point registers. */
  fs(operand: 1 | 2 | 3): I64;
  /** Their values; a single that is not NaN-boxed is the canonical NaN. */
  fs32(operand: 1 | 2 | 3): F32;
  fs64(operand: 1 | 2 | 3): F64;
  setFd(bits: I64): void;
  /** rs1 and rs2 are the same register, as in fmv.d, fneg.d and fabs.d; may be false all the same. */
  readonly sameOperands: boolean;
  setFd32(value: F32): void;
  setFd64(value: F64): void;
  /** The rounding mode of this instruction, 0 to 4; raises an illegal instruction exception when it is reserved. */
  roundingMode(): I32;
  /** The same where the code can be made for it. */
  readonly knownRounding: number | undefined;
  /** Not 0 when NX has been raised already: then nothing is lost by not finding out whether a result is exact. */
  readonly inexact: I32;
  /** ORs exception flags (NX 1, UF 2, OF 4, DZ 8, NV 16). */
  raiseFlags(flags: I32): void;
  /** An operation done exactly on registers' bits, flags raised: see ../float/exact.ts. `format`: 1 for doubles. */
  exact(operation: ExactOperation, format: 0 | 1, rounding: I32, ...operands: readonly I64[]): I64;
}

export type AmoChange =
  | { rmw: 'add' | 'and' | 'or' | 'xor' | 'xchg' }
  | { choose: (old: I64, operand: I64) => I32 /* keep the old one when true */ };
