import { RAM_BASE } from '#engines/full/cpu/hart.js';
import type { Definition } from '#engines/full/cpu/isa/definition.js';
import { COMPRESSED, DEFINITIONS } from '#engines/full/cpu/isa/table.js';
import { FINISHER, UART } from './bare-hart.js';
import { addi, beq, bne, CSR, csrrs, csrrw, fld, fsd, iType, jal, lbu, ld, li, mret, sb, sd, sw } from './encode.js';
import { FLOW, randomFlow } from './random-flow.js';

/**
 * A random program for any RISC-V machine of QEMU's `virt` kind: it fills all registers, executes random instructions
 * (a handler logs every trap and goes on behind it; no ebreak, for which QEMU 7.2 leaves mtval 0), and sends log, registers and memory over the serial port.
 */

const HANDLER = RAM_BASE + 0x400;
const CODE = RAM_BASE + 0x1000;
const SEEDS = RAM_BASE + 0x1_0000;
const DUMP = RAM_BASE + 0x1_1000;
const SCRATCH = DUMP + 0x400;
const LOG = DUMP + 0x800;
export const DUMP_BYTES = 0x2000;
const IMAGE_BYTES = 0x1_1000;

/** Registers that random instructions do not write: pointers into scratch memory, and to the log. */
const POINTERS = { stack: 2, popular: 8, memory: 30, log: 31 } as const;
const RESERVED: readonly number[] = [...Object.values(POINTERS), ...Object.values(FLOW)];

/** A small generator of random numbers (mulberry32), the same for the same seed. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return Math.floor((((x ^ (x >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

export type Random = (below: number) => number;
const anyWord = (random: Random): number => (random(0x10000) << 16) | random(0x10000) | 0;

export const withField = (insn: number, at: number, value: number): number => (insn & ~(31 << at)) | (value << at);

function notReserved(random: Random): number {
  for (;;) {
    const register = random(32);
    if (!RESERVED.includes(register)) return register;
  }
}

export function fill(random: Random, { match, mask }: Pick<Definition, 'match' | 'mask'>): number {
  return match | (anyWord(random) & ~mask);
}

export const opcode = (definition: Definition): number => definition.match & 0x7f;
const MEMORY = [0x03, 0x07, 0x23, 0x27];
/** QEMU 7.2 is wrong about ctzw of a word 0 (it counts on in the upper half). */
const excluded = ['jalr', 'auipc', 'jal', 'fence.i', 'pause', 'fence', 'ctzw'];
export const groups = {
  integer: DEFINITIONS.filter((each) => each.pure && !excluded.includes(each.name)),
  float: DEFINITIONS.filter((each) => [0x43, 0x47, 0x4b, 0x4f, 0x53].includes(opcode(each))),
  memory: DEFINITIONS.filter((each) => MEMORY.includes(opcode(each))),
  atomic: DEFINITIONS.filter((each) => opcode(each) === 0x2f),
  branch: DEFINITIONS.filter((each) => each.flow === 'branch'),
  csr: DEFINITIONS.filter((each) => each.name.startsWith('csr')),
  compressed: COMPRESSED.filter(
    (each) => !['c.j', 'c.jr', 'c.jalr', 'c.beqz', 'c.bnez', 'c.ebreak'].includes(each.name),
  ),
};

export const pick = <T>(random: Random, from: readonly T[]): T => from[random(from.length)];
const safeTarget = (random: Random, insn: number): number => withField(insn, 7, notReserved(random));

/** One random instruction as half-words. */
function instruction(random: Random): number[] {
  const word = (insn: number): number[] => [insn & 0xffff, (insn >>> 16) & 0xffff];
  const make = (definition: Definition): number => fill(random, definition);
  switch (random(12)) {
    case 0:
    case 1:
    case 2:
      return word(safeTarget(random, make(pick(random, groups.integer))));
    case 3:
    case 4:
    case 5:
    case 6:
      return word(safeTarget(random, make(pick(random, groups.float))));
    case 7: {
      const definition = pick(random, groups.memory);
      const near = withField(make(definition), 15, POINTERS.memory);
      // Offsets from -256 to 255; a load's target is in the bits of a store's offset.
      const small = ((near << 3) >> 3) & ~(0x7 << 29) & ~(1 << 28);
      const signed = random(2) ? small | (0xf << 28) : small;
      const store = opcode(definition) === 0x23 || opcode(definition) === 0x27;
      return word(store ? signed : safeTarget(random, signed));
    }
    case 8: {
      const insn = safeTarget(random, make(pick(random, groups.atomic)));
      return word(withField(insn, 15, POINTERS.memory));
    }
    case 9: {
      // To +8, over one instruction: nothing may be entered in its middle.
      const skipped = safeTarget(random, make(pick(random, groups.integer)));
      return [...word((make(pick(random, groups.branch)) & ~0xfe000f80) | (8 << 7)), ...word(skipped)];
    }
    case 10: {
      const csr = pick(random, [CSR.fflags, CSR.frm, CSR.fcsr, CSR.sscratch, CSR.fcsr, 0x5c0, CSR.stval]);
      return word(safeTarget(random, (make(pick(random, groups.csr)) & 0xfffff) | (csr << 20)));
    }
    default:
      return compressed(random);
  }
}

/** An integer operation in a few registers, so that several depend on one another. */
export function computing(random: Random): number[] {
  const few = (insn: number, at: number): number => withField(insn, at, 10 + random(6));
  const made = fill(random, pick(random, groups.integer));
  const rs2 = (made & 0x7f) === 0x33 ? few(made, 20) : made;
  const insn = few(few(rs2, 15), 7);
  return [insn & 0xffff, (insn >>> 16) & 0xffff];
}

function compressed(random: Random): number[] {
  for (;;) {
    const each = pick(random, groups.compressed);
    const insn = (each.match | (random(0x10000) & ~each.mask)) & 0xffff;
    if (each.legal !== undefined && !each.legal(insn)) continue;
    const { rd, rs1 } = each.operands(insn);
    const memory = /^(l|s|fl|fs)[dw]$/.test(each.expandsTo);
    const fine = memory ? RESERVED.includes(rs1) && rs1 !== POINTERS.log : true;
    if (fine && !RESERVED.includes(rd)) return [insn];
  }
}

/** Logs mcause, mtval and mepc, and goes on behind the instruction. x5 and x6 are kept. */
function handler(): number[] {
  const lhu = iType(0x03, 5);
  const log = POINTERS.log;
  return [
    csrrw(0, CSR.mscratch, 5),
    csrrs(5, CSR.mcause, 0),
    sd(5, log, 0),
    csrrs(5, CSR.mtval, 0),
    sd(5, log, 8),
    csrrs(5, CSR.mepc, 0),
    sd(5, log, 16),
    addi(log, log, 24),
    sd(6, log, 0),
    lhu(6, 5, 0),
    iType(0x13, 7)(6, 6, 3),
    addi(6, 6, -3),
    bne(6, 0, 8),
    addi(5, 5, 2),
    addi(5, 5, 2),
    csrrw(0, CSR.mepc, 5),
    ld(6, log, 0),
    sd(0, log, 0),
    csrrs(5, CSR.mscratch, 0),
    mret,
  ];
}

function prologue(): number[] {
  const words = [
    ...li(5, BigInt(HANDLER)),
    csrrw(0, CSR.mtvec, 5),
    ...li(5, 3n << 13n),
    csrrs(0, CSR.mstatus, 5),
    csrrw(0, CSR.fcsr, 0),
    ...li(1, BigInt(SEEDS)),
  ];
  for (let register = 0; register < 32; register++) words.push(fld(register, 1, 256 + register * 8));
  for (let register = 31; register >= 1; register--) words.push(ld(register, 1, register * 8));
  return words;
}

/** Registers into the dump, the dump to the serial port, then power off. */
function epilogue(): number[] {
  const words = [sd(5, POINTERS.log, 8), ...li(5, BigInt(DUMP))];
  for (let register = 0; register < 32; register++) words.push(sd(register, 5, register * 8));
  for (let register = 0; register < 32; register++) words.push(fsd(register, 5, 256 + register * 8));
  words.push(csrrs(6, CSR.fcsr, 0), sd(6, 5, 512));
  words.push(...li(6, BigInt(DUMP + DUMP_BYTES)), ...li(7, BigInt(UART)));
  const wait = [lbu(9, 7, 5), iType(0x13, 7)(9, 9, 0x20), beq(9, 0, -8)];
  const body = [...wait, lbu(9, 5, 0), sb(9, 7, 0), addi(5, 5, 1)];
  words.push(...body, bne(5, 6, -4 * body.length));
  words.push(...li(5, BigInt(FINISHER)), ...li(6, 0x5555n), sw(6, 5, 0), jal(0, 0));
  return words;
}

export const word64 = (random: Random, float: boolean): bigint => {
  const raw = (BigInt(anyWord(random) >>> 0) << 32n) | BigInt(anyWord(random) >>> 0);
  const kind = random(8);
  if (!float) return kind < 3 ? raw >> BigInt(random(64)) : kind === 3 ? BigInt.asUintN(64, -(raw >> 40n)) : raw;
  if (kind < 3) return 0xffffffff00000000n | (raw & 0xffffffffn);
  if (kind < 5) return (raw & 0x800fffffffffffffn) | (BigInt(0x3f0 + random(32)) << 52n);
  return raw;
};

/** The image for RAM_BASE; it sends DUMP_BYTES over the serial port. */
export function randomProgram(seed: number, instructions: number): Uint8Array {
  const random = randomNumbers(seed);
  const values = randomNumbers(~seed); // of their own, so that a shorter program starts from the same
  const image = new DataView(new ArrayBuffer(IMAGE_BYTES));
  const put = (address: number, words: readonly number[]): void => {
    words.forEach((insn, index) => {
      image.setUint32(address - RAM_BASE + index * 4, insn >>> 0, true);
    });
  };
  const start = prologue();
  const enter = RAM_BASE + start.length * 4;
  put(RAM_BASE, [...start, jal(0, CODE - enter)]);
  put(HANDLER, handler());
  let at = CODE - RAM_BASE;
  const halves = randomFlow(
    random,
    instructions,
    () => instruction(random),
    () => computing(random),
  );
  for (const half of halves) {
    image.setUint16(at, half, true);
    at += 2;
  }
  if (at % 4 !== 0) {
    image.setUint16(at, 1, true); // c.nop
    at += 2;
  }
  put(RAM_BASE + at, epilogue());
  const seeds = SEEDS - RAM_BASE;
  const pointers: Record<number, number> = {
    [POINTERS.stack]: SCRATCH,
    [POINTERS.popular]: SCRATCH + 64,
    [POINTERS.memory]: SCRATCH + 512,
    [POINTERS.log]: LOG,
  };
  for (let register = 0; register < 32; register++) {
    const pointer = pointers[register];
    image.setBigUint64(seeds + register * 8, pointer === undefined ? word64(values, false) : BigInt(pointer), true);
    image.setBigUint64(seeds + 256 + register * 8, word64(values, true), true);
  }
  return new Uint8Array(image.buffer);
}
