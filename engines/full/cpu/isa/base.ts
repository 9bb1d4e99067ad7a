import { truth } from '../wasm/body.js';
import { type I32, type I64, i32, i64 } from '../wasm/value.js';
import { byFunct3, byFunct7, type Definition, define, exactly } from './definition.js';
import type { Emitter, MemoryKind } from './emitter.js';
import { B, CSR, I, J, NONE, R, S, SHAMT5, SHAMT6, U } from './formats.js';

/** RV64I, Zifencei, Zicsr and Zihintpause (unprivileged specification 20191213, chapters 2, 3, 5, 9). */

const OP = 0x33;
const OP_IMM = 0x13;
const OP_32 = 0x3b;
const OP_IMM_32 = 0x1b;
const LOAD = 0x03;
const STORE = 0x23;
const BRANCH = 0x63;
const SYSTEM = 0x73;

/** A 32-bit result, sign-extended as all of RV64's W instructions want it. */
export const word = (value: I32): I64 => i64.extendS(value);

type Operation = (a: I64, b: I64) => I64;
const registerRegister = (operation: Operation) => (e: Emitter) => e.setRd(operation(e.rs1, e.rs2));
const registerImmediate = (operation: Operation) => (e: Emitter) => e.setRd(operation(e.rs1, e.imm));
type WordOperation = (a: I32, b: I32) => I32;
const wordRegister = (operation: WordOperation) => (e: Emitter) => e.setRd(word(operation(e.rs1Word, e.rs2Word)));
const wordImmediate = (operation: WordOperation) => (e: Emitter) => e.setRd(word(operation(e.rs1Word, e.immWord)));

/** What gives the same of sign-extended words as of their low halves, which is cheaper. */
const bitwise = (operation: Operation, narrow: WordOperation) => (e: Emitter) =>
  e.setRd(e.isWord(1) && e.isWord(2) ? word(narrow(e.rs1Word, e.rs2Word)) : operation(e.rs1, e.rs2));
const bitwiseImmediate = (operation: Operation, narrow: WordOperation) => (e: Emitter) =>
  e.setRd(e.isWord(1) ? word(narrow(e.rs1Word, e.immWord)) : operation(e.rs1, e.imm));

const slt: Operation = (a, b) => truth(i64.ltS(a, b));
const sltu: Operation = (a, b) => truth(i64.ltU(a, b));

// wasm takes shift amounts modulo 64 (32), as RV64 does.
const arithmetic: Definition[] = [
  define('add', byFunct7(OP, 0, 0), R, registerRegister(i64.add)),
  define('sub', byFunct7(OP, 0, 0x20), R, registerRegister(i64.sub)),
  define('sll', byFunct7(OP, 1, 0), R, registerRegister(i64.shl)),
  define('slt', byFunct7(OP, 2, 0), R, registerRegister(slt)),
  define('sltu', byFunct7(OP, 3, 0), R, registerRegister(sltu)),
  define('xor', byFunct7(OP, 4, 0), R, bitwise(i64.xor, i32.xor)),
  define('srl', byFunct7(OP, 5, 0), R, registerRegister(i64.shrU)),
  define('sra', byFunct7(OP, 5, 0x20), R, registerRegister(i64.shrS)),
  define('or', byFunct7(OP, 6, 0), R, bitwise(i64.or, i32.or)),
  define('and', byFunct7(OP, 7, 0), R, bitwise(i64.and, i32.and)),
  define('addi', byFunct3(OP_IMM, 0), I, registerImmediate(i64.add)),
  define('slti', byFunct3(OP_IMM, 2), I, registerImmediate(slt)),
  define('sltiu', byFunct3(OP_IMM, 3), I, registerImmediate(sltu)),
  define('xori', byFunct3(OP_IMM, 4), I, bitwiseImmediate(i64.xor, i32.xor)),
  define('ori', byFunct3(OP_IMM, 6), I, bitwiseImmediate(i64.or, i32.or)),
  define('andi', byFunct3(OP_IMM, 7), I, registerImmediate(i64.and)),
  define('slli', [OP_IMM | (1 << 12), 0xfc00707f], SHAMT6, registerImmediate(i64.shl)),
  define('srli', [OP_IMM | (5 << 12), 0xfc00707f], SHAMT6, registerImmediate(i64.shrU)),
  define('srai', [OP_IMM | (5 << 12) | (0x10 << 26), 0xfc00707f], SHAMT6, registerImmediate(i64.shrS)),
  define('addw', byFunct7(OP_32, 0, 0), R, wordRegister(i32.add)),
  define('subw', byFunct7(OP_32, 0, 0x20), R, wordRegister(i32.sub)),
  define('sllw', byFunct7(OP_32, 1, 0), R, wordRegister(i32.shl)),
  define('srlw', byFunct7(OP_32, 5, 0), R, wordRegister(i32.shrU)),
  define('sraw', byFunct7(OP_32, 5, 0x20), R, wordRegister(i32.shrS)),
  define('addiw', byFunct3(OP_IMM_32, 0), I, wordImmediate(i32.add)),
  define('slliw', byFunct7(OP_IMM_32, 1, 0), SHAMT5, wordImmediate(i32.shl)),
  define('srliw', byFunct7(OP_IMM_32, 5, 0), SHAMT5, wordImmediate(i32.shrU)),
  define('sraiw', byFunct7(OP_IMM_32, 5, 0x20), SHAMT5, wordImmediate(i32.shrS)),
  define('lui', [0x37, 0x7f], U, (e) => e.setRd(e.imm)),
  define('auipc', [0x17, 0x7f], U, (e) => e.setRd(i64.add(e.pc, e.imm))),
];

const load = (name: string, funct3: number, kind: MemoryKind): Definition =>
  define(name, byFunct3(LOAD, funct3), I, (e) => e.setRd(e.load(kind, i64.add(e.rs1, e.imm))), { pure: false });

const store = (name: string, funct3: number, kind: MemoryKind): Definition =>
  define(name, byFunct3(STORE, funct3), S, (e) => e.store(kind, i64.add(e.rs1, e.imm), e.rs2), {
    pure: false,
    writesX: false,
  });

const memory: Definition[] = [
  load('lb', 0, { bytes: 1, signed: true }),
  load('lh', 1, { bytes: 2, signed: true }),
  load('lw', 2, { bytes: 4, signed: true }),
  load('ld', 3, { bytes: 8, signed: true }),
  load('lbu', 4, { bytes: 1, signed: false }),
  load('lhu', 5, { bytes: 2, signed: false }),
  load('lwu', 6, { bytes: 4, signed: false }),
  store('sb', 0, { bytes: 1, signed: false }),
  store('sh', 1, { bytes: 2, signed: false }),
  store('sw', 2, { bytes: 4, signed: false }),
  store('sd', 3, { bytes: 8, signed: false }),
];

/** Sign-extended words compare as their low halves do, signed or not. */
const branch = (name: string, funct3: number, condition: 'eq' | 'ne' | 'ltS' | 'geS' | 'ltU' | 'geU'): Definition =>
  define(
    name,
    byFunct3(BRANCH, funct3),
    B,
    (e) => {
      const words = e.isWord(1) && e.isWord(2);
      e.branch(words ? i32[condition](e.rs1Word, e.rs2Word) : i64[condition](e.rs1, e.rs2));
    },
    { flow: 'branch', pure: false, writesX: false },
  );

const control: Definition[] = [
  branch('beq', 0, 'eq'),
  branch('bne', 1, 'ne'),
  branch('blt', 4, 'ltS'),
  branch('bge', 5, 'geS'),
  branch('bltu', 6, 'ltU'),
  branch('bgeu', 7, 'geU'),
  define('jal', [0x6f, 0x7f], J, (e) => e.jumpRelative(), { flow: 'jump', pure: false }),
  define('jalr', byFunct3(0x67, 0), I, (e) => e.jump(i64.and(i64.add(e.rs1, e.imm), i64.const(-2))), {
    flow: 'jumpIndirect',
    pure: false,
  }),
];

const effect = { pure: false, writesX: false } as const;
const csr = (name: string, funct3: number, emit: (e: Emitter) => void): Definition =>
  define(name, byFunct3(SYSTEM, funct3), CSR, emit, { pure: false, csr: true });

const system: Definition[] = [
  // Before `fence`, whose encoding space it uses (Zihintpause): pred = W, succ = none.
  define('pause', exactly(0x0100000f), NONE, (e) => e.system('pause'), effect),
  define('fence', byFunct3(0x0f, 0), NONE, (e) => e.body.atomicFence(), effect),
  define('fence.i', byFunct3(0x0f, 1), NONE, (e) => e.system('fenceI'), { ...effect, flow: 'jumpIndirect' }),
  // csrrs rd, time, x0: its own definition, because clocks are read often.
  define('rdtime', [SYSTEM | (2 << 12) | (0xc01 << 20), 0xfffff07f], CSR, (e) => e.setRd(e.readTime()), {
    pure: false,
  }),
  csr('csrrw', 1, (e) => e.csr('write', 'register')),
  csr('csrrs', 2, (e) => e.csr('set', 'register')),
  csr('csrrc', 3, (e) => e.csr('clear', 'register')),
  csr('csrrwi', 5, (e) => e.csr('write', 'immediate')),
  csr('csrrsi', 6, (e) => e.csr('set', 'immediate')),
  csr('csrrci', 7, (e) => e.csr('clear', 'immediate')),
  define('ecall', exactly(0x00000073), NONE, (e) => e.system('ecall'), { ...effect, flow: 'jumpIndirect' }),
  define('ebreak', exactly(0x00100073), NONE, (e) => e.system('ebreak'), { ...effect, flow: 'jumpIndirect' }),
  define('mret', exactly(0x30200073), NONE, (e) => e.system('mret'), { ...effect, flow: 'jumpIndirect' }),
  define('sret', exactly(0x10200073), NONE, (e) => e.system('sret'), { ...effect, flow: 'jumpIndirect' }),
  define('wfi', exactly(0x10500073), NONE, (e) => e.system('wfi'), { ...effect, flow: 'jumpIndirect' }),
  define('sfence.vma', [0x12000073, 0xfe007fff], R, (e) => e.system('sfenceVma'), {
    ...effect,
    flow: 'jumpIndirect',
  }),
];

export const BASE: readonly Definition[] = [...arithmetic, ...memory, ...control, ...system];
