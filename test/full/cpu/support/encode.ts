/** A small assembler, written from the unprivileged specification's tables and not from the engine's. */

type Register = number;
const field = (value: number, bits: number, at: number): number => (value & ((1 << bits) - 1)) << at;

export const rType = (op: number, f3: number, f7: number) => (rd: Register, rs1: Register, rs2: Register) =>
  (op | (rd << 7) | (f3 << 12) | (rs1 << 15) | (rs2 << 20) | (f7 << 25)) >>> 0;
export const iType = (op: number, f3: number) => (rd: Register, rs1: Register, imm: number) =>
  (op | (rd << 7) | (f3 << 12) | (rs1 << 15) | field(imm, 12, 20)) >>> 0;
export const sType = (op: number, f3: number) => (rs2: Register, rs1: Register, imm: number) =>
  (op | field(imm, 5, 7) | (f3 << 12) | (rs1 << 15) | (rs2 << 20) | field(imm >> 5, 7, 25)) >>> 0;
export const bType = (f3: number) => (rs1: Register, rs2: Register, imm: number) =>
  (0x63 |
    field(imm >> 11, 1, 7) |
    field(imm >> 1, 4, 8) |
    (f3 << 12) |
    (rs1 << 15) |
    (rs2 << 20) |
    field(imm >> 5, 6, 25) |
    field(imm >> 12, 1, 31)) >>>
  0;
export const uType = (op: number) => (rd: Register, imm: number) => (op | (rd << 7) | (imm & ~0xfff)) >>> 0;
export const jal = (rd: Register, imm: number) =>
  (0x6f |
    (rd << 7) |
    field(imm >> 12, 8, 12) |
    field(imm >> 11, 1, 20) |
    field(imm >> 1, 10, 21) |
    field(imm >> 20, 1, 31)) >>>
  0;

export const addi = iType(0x13, 0);
export const slli = iType(0x13, 1);
export const ori = iType(0x13, 6);
export const add = rType(0x33, 0, 0);
export const and = rType(0x33, 7, 0);
export const lui = uType(0x37);
export const auipc = uType(0x17);
export const jalr = iType(0x67, 0);
export const lb = iType(0x03, 0);
export const lw = iType(0x03, 2);
export const ld = iType(0x03, 3);
export const lbu = iType(0x03, 4);
export const sb = sType(0x23, 0);
export const sw = sType(0x23, 2);
export const sd = sType(0x23, 3);
export const fld = iType(0x07, 3);
export const fsd = sType(0x27, 3);
export const beq = bType(0);
export const bne = bType(1);
export const blt = bType(4);
export const bltu = bType(6);
export const csrrw = (rd: Register, csr: number, rs1: Register) => iType(0x73, 1)(rd, rs1, csr);
export const csrrs = (rd: Register, csr: number, rs1: Register) => iType(0x73, 2)(rd, rs1, csr);
export const csrrc = (rd: Register, csr: number, rs1: Register) => iType(0x73, 3)(rd, rs1, csr);
export const csrrwi = (rd: Register, csr: number, imm: number) => iType(0x73, 5)(rd, imm, csr);
export const ecall = 0x00000073;
export const ebreak = 0x00100073;
export const mret = 0x30200073;
export const sret = 0x10200073;
export const wfi = 0x10500073;
export const fenceI = 0x0000100f;
export const sfenceVma = (rs1: Register, rs2: Register) => rType(0x73, 0, 0x09)(0, rs1, rs2);
export const nop = addi(0, 0, 0);
/** Jumps to itself. */
export const hang = jal(0, 0);

/** Any 64-bit constant, in a fixed number of instructions (15), whatever it is: addresses stay put. */
export function li(rd: Register, value: bigint): number[] {
  const words: number[] = [addi(rd, 0, 0)];
  const bits = BigInt.asUintN(64, value);
  for (let shift = 60n; shift >= 0n; shift -= 10n) {
    words.push(slli(rd, rd, 10), ori(rd, rd, Number((bits >> shift) & 0x3ffn)));
  }
  return words;
}

export const CSR = {
  fflags: 0x001,
  frm: 0x002,
  fcsr: 0x003,
  sstatus: 0x100,
  sie: 0x104,
  stvec: 0x105,
  scounteren: 0x106,
  sscratch: 0x140,
  sepc: 0x141,
  scause: 0x142,
  stval: 0x143,
  sip: 0x144,
  stimecmp: 0x14d,
  satp: 0x180,
  mstatus: 0x300,
  misa: 0x301,
  medeleg: 0x302,
  mideleg: 0x303,
  mie: 0x304,
  mtvec: 0x305,
  mcounteren: 0x306,
  menvcfg: 0x30a,
  mscratch: 0x340,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
  mip: 0x344,
  pmpcfg0: 0x3a0,
  pmpaddr0: 0x3b0,
  mcycle: 0xb00,
  minstret: 0xb02,
  cycle: 0xc00,
  time: 0xc01,
  instret: 0xc02,
  mhartid: 0xf14,
} as const;
