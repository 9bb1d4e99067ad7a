import type { Compressed, Operands } from './definition.js';
import { bits } from './formats.js';

/** The C extension of RV64 with F and D (unprivileged specification, chapter 16): each expands to one definition. */

const X0 = 0;
const RA = 1;
const SP = 2;

const full = (insn: number): number => bits(insn, 11, 7);
const second = (insn: number): number => bits(insn, 6, 2);
/** The 3-bit register fields name x8 to x15. */
const popular1 = (insn: number): number => 8 + bits(insn, 9, 7);
const popular2 = (insn: number): number => 8 + bits(insn, 4, 2);
const signExtend = (value: number, width: number): number => (value << (32 - width)) >> (32 - width);

const make = (rd: number, rs1: number, rs2: number, imm: number): Operands => ({ rd, rs1, rs2, rs3: 0, imm });

const imm6 = (insn: number): number => signExtend((bits(insn, 12, 12) << 5) | bits(insn, 6, 2), 6);
const shamt = (insn: number): number => (bits(insn, 12, 12) << 5) | bits(insn, 6, 2);
const offsetW = (insn: number): number => (bits(insn, 5, 5) << 6) | (bits(insn, 12, 10) << 3) | (bits(insn, 6, 6) << 2);
const offsetD = (insn: number): number => (bits(insn, 6, 5) << 6) | (bits(insn, 12, 10) << 3);
const stackLoadW = (insn: number): number =>
  (bits(insn, 3, 2) << 6) | (bits(insn, 12, 12) << 5) | (bits(insn, 6, 4) << 2);
const stackLoadD = (insn: number): number =>
  (bits(insn, 4, 2) << 6) | (bits(insn, 12, 12) << 5) | (bits(insn, 6, 5) << 3);
const stackStoreW = (insn: number): number => (bits(insn, 8, 7) << 6) | (bits(insn, 12, 9) << 2);
const stackStoreD = (insn: number): number => (bits(insn, 9, 7) << 6) | (bits(insn, 12, 10) << 3);
const addi4spn = (insn: number): number =>
  (bits(insn, 10, 7) << 6) | (bits(insn, 12, 11) << 4) | (bits(insn, 5, 5) << 3) | (bits(insn, 6, 6) << 2);
const addi16sp = (insn: number): number =>
  signExtend(
    (bits(insn, 12, 12) << 9) |
      (bits(insn, 4, 3) << 7) |
      (bits(insn, 5, 5) << 6) |
      (bits(insn, 2, 2) << 5) |
      (bits(insn, 6, 6) << 4),
    10,
  );
const jumpOffset = (insn: number): number =>
  signExtend(
    (bits(insn, 12, 12) << 11) |
      (bits(insn, 8, 8) << 10) |
      (bits(insn, 10, 9) << 8) |
      (bits(insn, 6, 6) << 7) |
      (bits(insn, 7, 7) << 6) |
      (bits(insn, 2, 2) << 5) |
      (bits(insn, 11, 11) << 4) |
      (bits(insn, 5, 3) << 1),
    12,
  );
const branchOffset = (insn: number): number =>
  signExtend(
    (bits(insn, 12, 12) << 8) |
      (bits(insn, 6, 5) << 6) |
      (bits(insn, 2, 2) << 5) |
      (bits(insn, 11, 10) << 3) |
      (bits(insn, 4, 3) << 1),
    9,
  );

const c = (
  name: string,
  match: number,
  mask: number,
  expandsTo: string,
  operands: Compressed['operands'],
  legal?: Compressed['legal'],
): Compressed => ({ name, match, mask, expandsTo, operands, ...(legal && { legal }) });

const loadD = (insn: number) => make(popular2(insn), popular1(insn), 0, offsetD(insn));
const storeD = (insn: number) => make(0, popular1(insn), popular2(insn), offsetD(insn));

const QUADRANT0: Compressed[] = [
  // A zero immediate is reserved; the all-zero word is the defined illegal instruction.
  c(
    'c.addi4spn',
    0x0000,
    0xe003,
    'addi',
    (i) => make(popular2(i), SP, 0, addi4spn(i)),
    (i) => addi4spn(i) !== 0,
  ),
  c('c.fld', 0x2000, 0xe003, 'fld', loadD),
  c('c.lw', 0x4000, 0xe003, 'lw', (i) => make(popular2(i), popular1(i), 0, offsetW(i))),
  c('c.ld', 0x6000, 0xe003, 'ld', loadD),
  c('c.fsd', 0xa000, 0xe003, 'fsd', storeD),
  c('c.sw', 0xc000, 0xe003, 'sw', (i) => make(0, popular1(i), popular2(i), offsetW(i))),
  c('c.sd', 0xe000, 0xe003, 'sd', storeD),
];

const shift = (i: number) => make(popular1(i), popular1(i), 0, shamt(i));
const pair = (i: number) => make(popular1(i), popular1(i), popular2(i), 0);
const conditional = (i: number) => make(0, popular1(i), X0, branchOffset(i));

const QUADRANT1: Compressed[] = [
  c('c.addi', 0x0001, 0xe003, 'addi', (i) => make(full(i), full(i), 0, imm6(i))),
  c(
    'c.addiw',
    0x2001,
    0xe003,
    'addiw',
    (i) => make(full(i), full(i), 0, imm6(i)),
    (i) => full(i) !== 0,
  ),
  c('c.li', 0x4001, 0xe003, 'addi', (i) => make(full(i), X0, 0, imm6(i))),
  c(
    'c.addi16sp',
    0x6101,
    0xef83,
    'addi',
    (i) => make(SP, SP, 0, addi16sp(i)),
    (i) => addi16sp(i) !== 0,
  ),
  c(
    'c.lui',
    0x6001,
    0xe003,
    'lui',
    (i) => make(full(i), 0, 0, imm6(i) << 12),
    (i) => full(i) !== SP && imm6(i) !== 0,
  ),
  c('c.srli', 0x8001, 0xec03, 'srli', shift),
  c('c.srai', 0x8401, 0xec03, 'srai', shift),
  c('c.andi', 0x8801, 0xec03, 'andi', (i) => make(popular1(i), popular1(i), 0, imm6(i))),
  c('c.sub', 0x8c01, 0xfc63, 'sub', pair),
  c('c.xor', 0x8c21, 0xfc63, 'xor', pair),
  c('c.or', 0x8c41, 0xfc63, 'or', pair),
  c('c.and', 0x8c61, 0xfc63, 'and', pair),
  c('c.subw', 0x9c01, 0xfc63, 'subw', pair),
  c('c.addw', 0x9c21, 0xfc63, 'addw', pair),
  c('c.j', 0xa001, 0xe003, 'jal', (i) => make(X0, 0, 0, jumpOffset(i))),
  c('c.beqz', 0xc001, 0xe003, 'beq', conditional),
  c('c.bnez', 0xe001, 0xe003, 'bne', conditional),
];

const notX0 = (i: number): boolean => full(i) !== X0;

const QUADRANT2: Compressed[] = [
  c('c.slli', 0x0002, 0xe003, 'slli', (i) => make(full(i), full(i), 0, shamt(i))),
  c('c.fldsp', 0x2002, 0xe003, 'fld', (i) => make(full(i), SP, 0, stackLoadD(i))),
  c('c.lwsp', 0x4002, 0xe003, 'lw', (i) => make(full(i), SP, 0, stackLoadW(i)), notX0),
  c('c.ldsp', 0x6002, 0xe003, 'ld', (i) => make(full(i), SP, 0, stackLoadD(i)), notX0),
  c('c.jr', 0x8002, 0xf07f, 'jalr', (i) => make(X0, full(i), 0, 0), notX0),
  c(
    'c.mv',
    0x8002,
    0xf003,
    'add',
    (i) => make(full(i), X0, second(i), 0),
    (i) => second(i) !== 0,
  ),
  c('c.ebreak', 0x9002, 0xffff, 'ebreak', () => make(0, 0, 0, 0)),
  c('c.jalr', 0x9002, 0xf07f, 'jalr', (i) => make(RA, full(i), 0, 0), notX0),
  c(
    'c.add',
    0x9002,
    0xf003,
    'add',
    (i) => make(full(i), full(i), second(i), 0),
    (i) => second(i) !== 0,
  ),
  c('c.fsdsp', 0xa002, 0xe003, 'fsd', (i) => make(0, SP, second(i), stackStoreD(i))),
  c('c.swsp', 0xc002, 0xe003, 'sw', (i) => make(0, SP, second(i), stackStoreW(i))),
  c('c.sdsp', 0xe002, 0xe003, 'sd', (i) => make(0, SP, second(i), stackStoreD(i))),
];

export const COMPRESSED: readonly Compressed[] = [...QUADRANT0, ...QUADRANT1, ...QUADRANT2];
