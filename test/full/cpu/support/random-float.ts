import { RAM_BASE } from '#engines/full/cpu/hart.js';
import type { Definition } from '#engines/full/cpu/isa/definition.js';
import { DEFINITIONS } from '#engines/full/cpu/isa/table.js';
import { FINISHER, UART } from './bare-hart.js';
import { addi, beq, bne, CSR, csrrs, csrrw, fld, fsd, iType, jal, lbu, li, sb, sd, sw } from './encode.js';
import { randomNumbers } from './random-program.js';

/**
 * Many short sequences of random floating-point instructions in one program for any RISC-V machine of QEMU's `virt` kind.
 * Each begins with registers and fcsr of its own and writes down what it leaves; the program sends it all over the serial port.
 */

const CODE = RAM_BASE;
const INPUTS = RAM_BASE + 0x8_0000;
const OUTPUTS = RAM_BASE + 0x10_0000;
const F_REGISTERS = 16;
const X_REGISTERS = [8, 9, 10, 11, 12, 13, 14, 15];
const [INPUT, OUTPUT] = [1, 2];
const INPUT_WORDS = F_REGISTERS + X_REGISTERS.length;
/** What a sequence leaves: f registers, x registers, fcsr. */
export const OUTCOME_WORDS = INPUT_WORDS + 1;
export const MOST_SEQUENCES = 500;
const INSTRUCTIONS = 12;
/** Never translated: sequences do not end up in each other's regions. */
const SFENCE_VMA = 0x12000073;

type Random = (below: number) => number;

const opcode = ({ match }: Definition): number => match & 0x7f;
const COMPUTING = DEFINITIONS.filter((each) => [0x43, 0x47, 0x4b, 0x4f, 0x53].includes(opcode(each)));
const field = (insn: number, at: number, value: number): number => (insn & ~(31 << at)) | (value << at);
const fromX = ({ name }: Definition): boolean => /^fcvt\.[sd]\.|^fmv\.[wd]\.x/.test(name) && !/\.[sd]$/.test(name);
const hasRounding = ({ mask }: Definition): boolean => (mask & 0x7000) === 0;

function computation(random: Random): number {
  const definition = COMPUTING[random(COMPUTING.length)];
  const { match, mask, writesX } = definition;
  let insn = match | (((random(0x10000) << 16) | random(0x10000)) & ~mask);
  const xRegister = (): number => X_REGISTERS[random(X_REGISTERS.length)];
  if (hasRounding(definition)) insn = (insn & ~0x7000) | ([0, 0, 0, 1, 2, 3, 4, 7, 7, 7, 7][random(11)] << 12);
  // x0 now and then: flags alone are left.
  const xTarget = random(8) === 0 ? 0 : xRegister();
  insn = field(insn, 7, writesX ? xTarget : random(F_REGISTERS));
  insn = field(insn, 15, fromX(definition) ? xRegister() : random(F_REGISTERS));
  // rs2, and rs3 beside the format, where they are operands.
  if ((mask & (31 << 20)) === 0) insn = field(insn, 20, random(F_REGISTERS));
  if (opcode(definition) !== 0x53) insn = (insn & ~(31 << 27)) | (random(F_REGISTERS) << 27);
  return insn >>> 0;
}

/** Accesses that leave a rounding mode which exists. */
function csrAccess(random: Random): number {
  const make = (funct3: number, csr: number, rs1: number): number =>
    (0x73 | (X_REGISTERS[random(X_REGISTERS.length)] << 7) | (funct3 << 12) | (rs1 << 15) | (csr << 20)) >>> 0;
  const register = X_REGISTERS[random(X_REGISTERS.length)];
  switch (random(7)) {
    case 0:
      return make(5, CSR.frm, random(5));
    case 1:
      return make(1 + random(3), CSR.fflags, register);
    case 2:
      return make(5 + random(3), CSR.fflags, random(32));
    case 3:
      return make(3, CSR.fcsr, register);
    case 4:
      return make(5 + random(3), CSR.fcsr, random(32));
    case 5:
      return make(2, [CSR.fflags, CSR.frm, CSR.fcsr][random(3)], 0);
    default:
      return make(1, CSR.fflags, 0);
  }
}

function sequence(random: Random): number[] {
  const words: number[] = [];
  for (let register = 0; register < F_REGISTERS; register++) words.push(fld(register, INPUT, register * 8));
  for (const [index, register] of X_REGISTERS.entries())
    words.push(iType(0x03, 3)(register, INPUT, (F_REGISTERS + index) * 8));
  const flags = random(2) === 0 ? random(32) : random(2);
  words.push(...li(5, BigInt((random(5) << 5) | flags)), csrrw(0, CSR.fcsr, 5));
  for (let count = 0; count < INSTRUCTIONS; count++) {
    words.push(random(6) === 0 ? csrAccess(random) : computation(random));
  }
  words.push(csrrs(5, CSR.fcsr, 0));
  for (let register = 0; register < F_REGISTERS; register++) words.push(fsd(register, OUTPUT, register * 8));
  for (const [index, register] of X_REGISTERS.entries()) words.push(sd(register, OUTPUT, (F_REGISTERS + index) * 8));
  words.push(sd(5, OUTPUT, INPUT_WORDS * 8));
  words.push(addi(INPUT, INPUT, INPUT_WORDS * 8), addi(OUTPUT, OUTPUT, OUTCOME_WORDS * 8), SFENCE_VMA);
  return words;
}

function input(random: Random): bigint {
  const word = (BigInt(random(2 ** 32)) << 32n) | BigInt(random(2 ** 32));
  const single = (bits: bigint): bigint => 0xffffffff00000000n | bits;
  const low = word & 0xffffffffn;
  switch (random(9)) {
    case 0:
      return word;
    case 1: // integers and short fractions: much is exact
      return (word & (1n << 63n)) | (BigInt(0x3fe + random(12)) << 52n) | (BigInt(random(16)) << 48n);
    case 2: // near 1
      return (word & 0x800fffffffffffffn) | (BigInt(0x3f0 + random(32)) << 52n);
    case 3: // near the ends of what is normal
      return (word & 0x800fffffffffffffn) | (BigInt([0, 1, 2, 0x7fd, 0x7fe, 0x200, 0x5ff][random(7)]) << 52n);
    case 4:
      return single((low & 0x807fffffn) | (BigInt(0x78 + random(16)) << 23n));
    case 5:
      return single((low & 0x807fffffn) | (BigInt([0, 1, 2, 0xfd, 0xfe, 0x40, 0xbf][random(7)]) << 23n));
    case 6:
      return single((low & (1n << 31n)) | (BigInt(0x7e + random(12)) << 23n) | (BigInt(random(16)) << 19n));
    case 7: {
      const special = [
        0n,
        1n << 63n,
        0x7ffn << 52n,
        0xfffn << 52n,
        0x7ff8n << 48n,
        0x7ff4n << 48n,
        1n,
        (1n << 52n) - 1n,
      ];
      return special[random(special.length)];
    }
    default: {
      const special = [0n, 1n << 31n, 0xffn << 23n, 0x1ffn << 23n, 0x7fcn << 20n, 0x7fan << 20n, 1n, (1n << 23n) - 1n];
      return single(special[random(special.length)]);
    }
  }
}

function epilogue(bytes: number): number[] {
  const words = [...li(5, BigInt(OUTPUTS)), ...li(6, BigInt(OUTPUTS + bytes)), ...li(7, BigInt(UART))];
  const wait = [lbu(9, 7, 5), iType(0x13, 7)(9, 9, 0x20), beq(9, 0, -8)];
  const body = [...wait, lbu(9, 5, 0), sb(9, 7, 0), addi(5, 5, 1)];
  words.push(...body, bne(5, 6, -4 * body.length));
  words.push(...li(5, BigInt(FINISHER)), ...li(6, 0x5555n), sw(6, 5, 0), jal(0, 0));
  return words;
}

/** The image for RAM_BASE; it sends OUTCOME_WORDS words a sequence. At most MOST_SEQUENCES. */
export function randomFloatProgram(seed: number, sequences: number): Uint8Array {
  const random = randomNumbers(seed);
  const image = new DataView(new ArrayBuffer(OUTPUTS - RAM_BASE));
  const words = [...li(5, 3n << 13n), csrrs(0, CSR.mstatus, 5)];
  words.push(...li(INPUT, BigInt(INPUTS)), ...li(OUTPUT, BigInt(OUTPUTS)));
  for (let count = 0; count < sequences; count++) words.push(...sequence(random));
  words.push(...epilogue(sequences * OUTCOME_WORDS * 8));
  words.forEach((insn, index) => {
    image.setUint32(CODE - RAM_BASE + index * 4, insn >>> 0, true);
  });
  for (let index = 0; index < sequences * INPUT_WORDS; index++) {
    image.setBigUint64(INPUTS - RAM_BASE + index * 8, input(random), true);
  }
  return new Uint8Array(image.buffer);
}
