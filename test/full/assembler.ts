/** A small assembler of RV64IA for test guests (unprivileged specification 20240411, chapter 35: instruction listings). */

const REGISTERS =
  'zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6'.split(' ');
const CSRS: Record<string, number> = {
  mstatus: 0x300,
  mie: 0x304,
  mtvec: 0x305,
  mepc: 0x341,
  mcause: 0x342,
  mip: 0x344,
  mhartid: 0xf14,
};

export const reg = (name: string): number => {
  const index = REGISTERS.indexOf(name);
  if (index < 0) throw new Error(`no register ${name}`);
  return index;
};

/** Collects instructions; labels may be used before they are set. */
export class Assembler {
  readonly #words: (number | (() => number))[] = [];
  readonly #labels = new Map<string, number>();

  constructor(readonly base = 0x8000_0000) {}

  /** Bytes so far. */
  get size(): number {
    return this.#words.length * 4;
  }

  label(name: string): this {
    this.#labels.set(name, this.#words.length * 4);
    return this;
  }

  word(...values: number[]): this {
    this.#words.push(...values);
    return this;
  }

  /** Zero-terminated, padded to words. */
  text(value: string): this {
    const bytes = Buffer.alloc(Math.ceil((value.length + 1) / 4) * 4);
    bytes.write(value, 'latin1');
    for (let i = 0; i < bytes.length; i += 4) this.word(bytes.readUInt32LE(i));
    return this;
  }

  #i(opcode: number, funct3: number, rd: string, rs1: string, imm: number): this {
    return this.word(((imm & 0xfff) << 20) | (reg(rs1) << 15) | (funct3 << 12) | (reg(rd) << 7) | opcode);
  }

  #s(funct3: number, rs2: string, rs1: string, imm: number): this {
    const high = (imm >> 5) & 0x7f;
    return this.word((high << 25) | (reg(rs2) << 20) | (reg(rs1) << 15) | (funct3 << 12) | ((imm & 0x1f) << 7) | 0x23);
  }

  #b(funct3: number, rs1: string, rs2: string, label: string): this {
    const at = this.#words.length * 4;
    this.#words.push(() => {
      const d = this.#offset(label) - at;
      const immediate =
        (((d >> 12) & 1) << 31) | (((d >> 5) & 0x3f) << 25) | (((d >> 1) & 0xf) << 8) | (((d >> 11) & 1) << 7);
      return immediate | (reg(rs2) << 20) | (reg(rs1) << 15) | (funct3 << 12) | 0x63;
    });
    return this;
  }

  #offset(label: string): number {
    const offset = this.#labels.get(label);
    if (offset === undefined) throw new Error(`no label ${label}`);
    return offset;
  }

  addi = (rd: string, rs1: string, imm: number) => this.#i(0x13, 0, rd, rs1, imm);
  andi = (rd: string, rs1: string, imm: number) => this.#i(0x13, 7, rd, rs1, imm);
  slli = (rd: string, rs1: string, imm: number) => this.#i(0x13, 1, rd, rs1, imm);
  add = (rd: string, rs1: string, rs2: string) =>
    this.word((reg(rs2) << 20) | (reg(rs1) << 15) | (reg(rd) << 7) | 0x33);
  lbu = (rd: string, imm: number, rs1: string) => this.#i(0x03, 4, rd, rs1, imm);
  lw = (rd: string, imm: number, rs1: string) => this.#i(0x03, 2, rd, rs1, imm);
  ld = (rd: string, imm: number, rs1: string) => this.#i(0x03, 3, rd, rs1, imm);
  sb = (rs2: string, imm: number, rs1: string) => this.#s(0, rs2, rs1, imm);
  sw = (rs2: string, imm: number, rs1: string) => this.#s(2, rs2, rs1, imm);
  sd = (rs2: string, imm: number, rs1: string) => this.#s(3, rs2, rs1, imm);
  beq = (rs1: string, rs2: string, label: string) => this.#b(0, rs1, rs2, label);
  bne = (rs1: string, rs2: string, label: string) => this.#b(1, rs1, rs2, label);
  ret = () => this.word(0x0000_8067);
  wfi = () => this.word(0x1050_0073);
  /** rd gets the old value of the word at rs1, to which rs2 is added. */
  amoaddW = (rd: string, rs2: string, rs1: string) =>
    this.word((reg(rs2) << 20) | (reg(rs1) << 15) | (2 << 12) | (reg(rd) << 7) | 0x2f);
  csrw = (csr: string, rs1: string) => this.word((CSRS[csr] << 20) | (reg(rs1) << 15) | (1 << 12) | 0x73);
  csrr = (rd: string, csr: string) => this.word((CSRS[csr] << 20) | (2 << 12) | (reg(rd) << 7) | 0x73);
  pause = () => this.word(0x0100_000f);

  jal(rd: string, label: string): this {
    const at = this.#words.length * 4;
    this.#words.push(() => {
      const d = this.#offset(label) - at;
      const immediate = (((d >> 20) & 1) << 31) | (((d >> 1) & 0x3ff) << 21) | (((d >> 11) & 1) << 20) | (d & 0xff000);
      return immediate | (reg(rd) << 7) | 0x6f;
    });
    return this;
  }

  j = (label: string) => this.jal('zero', label);
  call = (label: string) => this.jal('ra', label);

  /** Any unsigned number below 2^31, or a multiple of 4096 below 2^32 (kept unsigned). */
  li(rd: string, value: number): this {
    if (value >= 2 ** 31) return this.li(rd, value / 4096).slli(rd, rd, 12);
    if (value < 2048) return this.addi(rd, 'zero', value);
    const upper = (value + 0x800) >>> 12;
    this.word((upper << 12) | (reg(rd) << 7) | 0x37);
    return this.word((((value - (upper << 12)) & 0xfff) << 20) | (reg(rd) << 15) | (reg(rd) << 7) | 0x1b); // addiw
  }

  /** Address of a label, relative to pc. */
  la(rd: string, label: string): this {
    const at = this.#words.length * 4;
    this.#words.push(() => {
      const upper = (this.#offset(label) - at + 0x800) >> 12;
      return (upper << 12) | (reg(rd) << 7) | 0x17;
    });
    this.#words.push(() => {
      const d = this.#offset(label) - at;
      return ((d & 0xfff) << 20) | (reg(rd) << 15) | (reg(rd) << 7) | 0x13;
    });
    return this;
  }

  assemble(): Buffer {
    const out = Buffer.alloc(this.#words.length * 4);
    this.#words.forEach((word, i) => {
      out.writeUInt32LE((typeof word === 'number' ? word : word()) >>> 0, 4 * i);
    });
    return out;
  }
}
