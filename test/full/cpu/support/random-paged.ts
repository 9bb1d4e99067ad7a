import { RAM_BASE } from '#engines/full/cpu/hart.js';
import { FINISHER, UART } from './bare-hart.js';
import {
  add,
  addi,
  and,
  auipc,
  beq,
  bne,
  CSR,
  csrrc,
  csrrs,
  csrrw,
  ebreak,
  ecall,
  fenceI,
  fld,
  fsd,
  iType,
  jal,
  jalr,
  lbu,
  ld,
  li,
  lui,
  lw,
  mret,
  rType,
  sb,
  sd,
  sfenceVma,
  slli,
  sw,
  wfi,
} from './encode.js';
import { FLOW, randomFlow } from './random-flow.js';
import { fill, groups, opcode, pick, type Random, randomNumbers, withField, word64 } from './random-program.js';

/**
 * A random program for any RISC-V machine of QEMU's `virt` kind, under paging: it runs in S- and in U-mode and changes
 * between them, through pages that lie scattered, have any permissions, are mapped twice and mapped anew; it patches its
 * own code, calls by pointers, and moves its pointers over page boundaries. A handler in M-mode keeps a sum of all traps
 * and the last of them, and goes on behind the instruction. At the end registers, traps and memory go to the serial port.
 */

const PAGE = 4096;
const HANDLER = RAM_BASE + 0x800;
const SEEDS = RAM_BASE + 0x1_0000;
const DUMP = RAM_BASE + 0x1_1000;
const TRAPS = DUMP + 0x400;
const DATA_PAGES = 8;
const DATA = DUMP + PAGE;
export const PAGED_DUMP_BYTES = (1 + DATA_PAGES) * PAGE;
const CONSTANTS = DATA + DATA_PAGES * PAGE;
const CODE_PAGES = 32;
const CODE = RAM_BASE + 0x2_0000;
const TABLES = RAM_BASE + 0x6_0000;
const IMAGE_BYTES = 0x8_0000;

/** Virtual addresses, all of them within one table of the lowest level. */
const AT = {
  data: 0x4_0000,
  dataPages: 16,
  table: 0x8_0000,
  constants: 0x8_1000,
  code: 0x10_0000,
  /** The same code for U-mode, and to be written to. */
  user: 0x14_0000,
  patch: 0x18_0000,
} as const;
const TO_OTHER_MODE = AT.code ^ AT.user;

const BIT = { V: 1, R: 2, W: 4, X: 8, U: 16, A: 64, D: 128 } as const;
const ENTRIES = 16;
const ROOTS = 2;
const PATCHES = 16;
const FUNCTIONS = 4;
const FUNCTION_BYTES = 64;

/** Registers that random instructions do not write. */
const REGISTER = {
  link: 3,
  rounds: 4,
  items: 23,
  functions: 24,
  entry: 25,
  constants: 26,
  base: 27,
  mask: 28,
  traps: 31,
};
const POINTERS = [2, 8, 9, 30];
const RESERVED: readonly number[] = [...Object.values(REGISTER), ...Object.values(FLOW), ...POINTERS];
const TEMPORARY = 5;
const OTHER = 6;

const halves = (insn: number): number[] => [insn & 0xffff, (insn >>> 16) & 0xffff];
const all = (...words: number[]): number[] => words.flatMap(halves);

const UNCONDITIONAL = groups.atomic.filter(({ name }) => !name.startsWith('sc.'));

class Program {
  constructor(private readonly random: Random) {}

  /** One random instruction, or a few that belong together, as half-words. */
  any(): number[] {
    const { random } = this;
    switch (random(20)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return halves(this.target(fill(random, pick(random, groups.integer))));
      case 4:
      case 5:
        return halves(this.target(fill(random, pick(random, groups.float))));
      case 6:
      case 7:
      case 8:
      case 9:
        return this.access();
      case 10:
        return this.atomic();
      case 11:
      case 12:
        return this.newPointer();
      case 13:
        return halves(addi(pick(random, POINTERS), pick(random, POINTERS), random(64) - 32));
      case 14:
        return this.array();
      case 15:
        return random(2) ? this.csr() : this.privileged();
      case 16:
        return this.callByPointer();
      default:
        return this.compressed();
    }
  }

  /** Of instructions alone, without calls and loops. */
  plain(): number[] {
    return random2(this.random) ? this.access() : this.compressed();
  }

  notReserved(): number {
    for (;;) {
      const register = this.random(32);
      if (!RESERVED.includes(register)) return register;
    }
  }

  private target(insn: number): number {
    return withField(insn, 7, this.notReserved());
  }

  private access(): number[] {
    const { random } = this;
    const definition = pick(random, groups.memory);
    const insn = withField(fill(random, definition), 15, pick(random, POINTERS));
    const offset = random(3) === 0 ? random(4096) : (random(64) - 32) & 0xfff;
    if ([0x23, 0x27].includes(opcode(definition))) {
      return halves((insn & ~0xfe000f80) | ((offset >> 5) << 25) | ((offset & 31) << 7));
    }
    return halves(this.target((insn & 0xfffff) | (offset << 20)));
  }

  /** Aligned: QEMU 7.2 has cause 4 for AMOs that are not. */
  private atomic(): number[] {
    const { random } = this;
    const pointer = pick(random, POINTERS);
    const aligned = iType(0x13, 7)(pointer, pointer, -8);
    if (random(3) === 0) return all(aligned, ...this.conditional(pointer));
    return all(aligned, withField(this.target(fill(random, pick(random, UNCONDITIONAL))), 15, pointer));
  }

  /** A store-conditional only where its load went well: whether one that is bound to fail faults is the machine's choice. */
  private conditional(pointer: number): number[] {
    const { random } = this;
    const between = this.target(fill(random, pick(random, groups.integer)));
    const [load, store] = pick(random, [
      [0x1000202f, 0x1800202f],
      [0x1000302f, 0x1800302f],
    ]);
    return [
      ...[addi(7, 0, -7), addi(OTHER, 0, -7), load | (OTHER << 7) | (pointer << 15)],
      ...[beq(OTHER, 7, 12), random(2) ? between : addi(0, 0, 0)],
      store | (TEMPORARY << 7) | (pointer << 15) | (random(32) << 20),
    ];
  }

  private newPointer(): number[] {
    const pointer = pick(this.random, POINTERS);
    const aligned = this.random(2) ? [iType(0x13, 7)(TEMPORARY, TEMPORARY, -8)] : [];
    return all(
      and(TEMPORARY, this.random(32), REGISTER.mask),
      ...aligned,
      add(pointer, TEMPORARY, REGISTER.base),
      ...(this.random(3) === 0 ? [addi(pointer, pointer, -8)] : []),
    );
  }

  /** A counted loop over an array or two. */
  private array(): number[] {
    const { random } = this;
    const [from, to] = [pick(random, POINTERS), pick(random, POINTERS)];
    const step = pick(random, [1, 2, 4, 8, 8, 8, 16, -8]);
    const doubles = random(2) === 0;
    const body = doubles ? this.doubles(from, to) : this.words(from, to);
    const words = [
      ...body,
      addi(from, from, step),
      ...(from === to || random(4) === 0 ? [] : [addi(to, to, step)]),
      addi(REGISTER.items, REGISTER.items, -1),
    ];
    return all(
      addi(REGISTER.items, 0, 1 + random(random(4) ? 30 : 300)),
      ...words,
      bne(REGISTER.items, 0, -4 * words.length),
    );
  }

  private doubles(from: number, to: number): number[] {
    const { random } = this;
    const arithmetic = [0x01, 0x05, 0x09].map((funct7) => rType(0x53, 7, funct7));
    const f = (): number => random(6);
    return [
      ...[fld(f(), from, 8 * random(3)), fld(f(), to, 0)].slice(random(2)),
      ...Array.from({ length: 1 + random(3) }, () => pick(random, arithmetic)(f(), f(), f())),
      fsd(f(), to, random(4) ? 0 : 8),
    ];
  }

  private words(from: number, to: number): number[] {
    const { random } = this;
    const value = 10 + random(6);
    const sum = 10 + random(6);
    return [
      iType(0x03, random(7))(value, from, random(16) - 8),
      ...[add(sum, sum, value), rType(0x33, 4, 0)(value, value, sum)].slice(random(3)),
      (sw(value, to, random(16)) & ~0x7000) | (random(4) << 12),
    ];
  }

  private csr(): number[] {
    const { random } = this;
    const csr = pick(random, [CSR.fflags, CSR.frm, CSR.fcsr, CSR.sscratch, CSR.stval, 0x5c0, CSR.mscratch]);
    const insn = fill(random, pick(random, groups.csr));
    return halves(this.target((insn & 0xfffff) | (csr << 20)));
  }

  private privileged(): number[] {
    const { random } = this;
    const entry = random(AT.dataPages);
    const constant = (index: number): number => ld(TEMPORARY, REGISTER.constants, index * 8);
    const flush = random(2) ? [sfenceVma(0, 0)] : [lui(OTHER, AT.data + entry * PAGE), sfenceVma(OTHER, 0)];
    const patch = AT.patch + PATCH_AT + random(PATCHES) * 4;
    switch (random(8)) {
      case 0:
      case 1:
        return all(ecall);
      case 2:
      case 3:
        return all(constant(random(ENTRIES)), sd(TEMPORARY, REGISTER.entry, entry * 8), ...flush);
      case 4:
        return all(constant(ENTRIES + random(ROOTS)), csrrw(0, CSR.satp, TEMPORARY), sfenceVma(0, 0));
      case 5:
        // SUM, MXR, FS
        return all(
          lui(TEMPORARY, pick(random, [1 << 18, 1 << 19, 3 << 18, 3 << 18, 3 << 13])),
          pick(random, [csrrs, csrrc])(0, CSR.sstatus, TEMPORARY),
        );
      case 6:
        return all(
          lw(TEMPORARY, REGISTER.constants, 8 * (ENTRIES + ROOTS) + 4 * random(PATCHES)),
          ...[lui(OTHER, patch & ~0xfff), iType(0x13, 6)(OTHER, OTHER, patch & 0x7ff)],
          // An immediate of 11 bits and more would be negative.
          ...(patch & 0x800 ? [addi(7, 0, 1), slli(7, 7, 11), add(OTHER, OTHER, 7)] : []),
          ...[sw(TEMPORARY, OTHER, 0), fenceI],
        );
      default:
        return halves(pick(random, [fenceI, sfenceVma(0, 0), auipc(this.notReserved(), random(16) << 12)]));
    }
  }

  /** Of one of the functions, of the patched lines, or where nothing can be executed. */
  private callByPointer(): number[] {
    const { random } = this;
    if (random(6) === 0) return all(jalr(REGISTER.link, pick(random, POINTERS), 0));
    if (random(4) === 0) return all(jalr(REGISTER.link, REGISTER.functions, FUNCTIONS * FUNCTION_BYTES));
    const index = iType(0x13, 7)(TEMPORARY, random(32), (FUNCTIONS - 1) * FUNCTION_BYTES);
    return all(index, add(TEMPORARY, TEMPORARY, REGISTER.functions), jalr(REGISTER.link, TEMPORARY, 0));
  }

  private compressed(): number[] {
    for (;;) {
      const each = pick(this.random, groups.compressed);
      const insn = (each.match | (this.random(0x10000) & ~each.mask)) & 0xffff;
      if (each.legal !== undefined && !each.legal(insn)) continue;
      const { rd, rs1 } = each.operands(insn);
      const memory = /^(l|s|fl|fs)[dw]$/.test(each.expandsTo);
      if ((!memory || POINTERS.includes(rs1)) && !RESERVED.includes(rd)) return [insn];
    }
  }
}

const random2 = (random: Random): boolean => random(2) === 0;

/** The code begins with functions and lines that are patched; these cross from its first page into its second. */
const FUNCTIONS_AT = PAGE - FUNCTIONS * FUNCTION_BYTES - 6;
const PATCH_AT = FUNCTIONS_AT + FUNCTIONS * FUNCTION_BYTES;
const MAIN_AT = PATCH_AT + (PATCHES + 1) * 4;

const RETURN = jalr(0, REGISTER.link, 0);
const ONE_NOP = 1;

function functionOf(program: Program): number[] {
  const code: number[] = [];
  while (code.length < FUNCTION_BYTES / 2 - 10) code.push(...program.plain());
  const nops = FUNCTION_BYTES / 2 - 2 - code.length;
  return [...code, ...Array.from({ length: nops }, () => ONE_NOP), ...halves(RETURN)];
}

function codeOf(random: Random, instructions: number): number[] {
  const program = new Program(random);
  const nop = addi(0, 0, 0);
  const before = Array.from({ length: FUNCTIONS_AT / 2 }, () => ONE_NOP);
  const functions = Array.from({ length: FUNCTIONS }, () => functionOf(program)).flat();
  const patched = all(...Array.from({ length: PATCHES }, () => nop), RETURN);
  const mixed = [10, 11, 12, 13, 14, 15].flatMap((register) => all(add(register, register, REGISTER.rounds)));
  const main = [...mixed, ...randomFlow(random, instructions, () => program.any())];
  const again = all(
    addi(REGISTER.rounds, REGISTER.rounds, -1),
    beq(REGISTER.rounds, 0, 8),
    jal(0, -(main.length * 2 + 8)),
    ebreak,
  );
  return [...before, ...functions, ...patched, ...main, ...again];
}

/** Adds up cause, value and address of each trap; keeps the last 32 of them. x5, x6 and x7 are kept. */
function handler(end: number): number[] {
  const { traps } = REGISTER;
  const xor = rType(0x33, 4, 0);
  const mixIn = (register: number): number[] => [slli(7, 6, 5), add(6, 6, 7), xor(6, 6, register)];
  const start = [
    ...[csrrw(0, CSR.mscratch, 5), sd(6, traps, 0), sd(7, traps, 8), csrrs(5, CSR.mcause, 0)],
    ...[addi(6, 0, 3), bne(5, 6, 8), jal(0, 0)], // to the end, by a breakpoint
  ];
  start[start.length - 1] = jal(0, end - (HANDLER + (start.length - 1) * 4));
  const kept = [
    ...[ld(7, traps, 24), addi(6, 7, 1), sd(6, traps, 24), iType(0x13, 7)(7, 7, 31), slli(7, 7, 5), add(7, 7, traps)],
    ...[sd(5, 7, 64), csrrs(6, CSR.mtval, 0), sd(6, 7, 72), csrrs(6, CSR.mepc, 0), sd(6, 7, 80)],
    ...[csrrs(6, CSR.mstatus, 0), sd(6, 7, 88), ld(6, traps, 16), ...mixIn(5)],
    ...[csrrs(5, CSR.mtval, 0), ...mixIn(5), csrrs(5, CSR.mepc, 0), ...mixIn(5), sd(6, traps, 16)],
  ];
  const back = [csrrw(0, CSR.mepc, 5), ld(6, traps, 0), ld(7, traps, 8), csrrs(5, CSR.mscratch, 0), mret];
  const otherMode = [
    ...[csrrs(6, CSR.mstatus, 0), addi(7, 0, 1), slli(7, 7, 11), xor(6, 6, 7), csrrw(0, CSR.mstatus, 6)],
  ];
  const called = [lui(7, TO_OTHER_MODE), xor(5, 5, 7), addi(5, 5, 4), ...otherMode, ...back];
  // An address of the other mode's code, or of data, which sends the caller back.
  const fetched = [
    ...[
      iType(0x13, 5)(6, 5, 18),
      addi(6, 6, -(AT.code >> 18)),
      iType(0x13, 3)(6, 6, 2),
      bne(6, 0, 8 + back.length * 4),
    ],
    ...[addi(5, REGISTER.link, 0), ...back, ...otherMode, ...back],
  ];
  fetched[3] = bne(6, 0, (1 + 1 + back.length) * 4);
  // Reads what was executed as that mode sees it: MPRV and MXR.
  const skipped = [
    ...[csrrs(7, CSR.mstatus, 0), lui(6, 0xa0000), csrrs(0, CSR.mstatus, 6), iType(0x03, 5)(6, 5, 0)],
    ...[csrrw(0, CSR.mstatus, 7), iType(0x13, 7)(6, 6, 3), addi(6, 6, -3), bne(6, 0, 8), addi(5, 5, 2), addi(5, 5, 2)],
    ...back,
  ];
  const isCall = [csrrs(6, CSR.mcause, 0), iType(0x13, 7)(7, 6, -2), addi(7, 7, -8), bne(7, 0, 4 + called.length * 4)];
  const isFetch = [...[addi(7, 6, -12), beq(7, 0, 12), addi(7, 6, -1), bne(7, 0, 4 + fetched.length * 4)]];
  return [...start, ...kept, ...isCall, ...called, ...isFetch, ...fetched, ...skipped];
}

function prologue(rounds: number, mode: bigint, user: boolean): number[] {
  const words = [
    // On one hart QEMU's AMOs are a load and a store; of two, the second sleeps.
    ...[csrrs(5, CSR.mhartid, 0), beq(5, 0, 12), wfi, jal(0, -4)],
    ...[...li(5, BigInt(HANDLER)), csrrw(0, CSR.mtvec, 5)],
    ...[...li(5, -1n), csrrw(0, CSR.pmpaddr0, 5), addi(5, 0, 0x1f), csrrw(0, CSR.pmpcfg0, 5)],
    ...[...li(5, (3n << 13n) | (user ? 0n : 1n << 11n)), csrrw(0, CSR.mstatus, 5), csrrw(0, CSR.fcsr, 0)],
    ...[...li(5, (mode << 60n) | BigInt(TABLES / PAGE)), csrrw(0, CSR.satp, 5)],
    ...[...li(5, BigInt((user ? AT.user : AT.code) + MAIN_AT)), csrrw(0, CSR.mepc, 5)],
    ...li(1, BigInt(SEEDS)),
  ];
  for (let register = 0; register < 32; register++) words.push(fld(register, 1, 256 + register * 8));
  for (let register = 31; register >= 1; register--) words.push(ld(register, 1, register * 8));
  words.push(addi(REGISTER.rounds, 0, rounds), mret);
  return words;
}

/** Registers into the dump, the dump to the serial port, then power off. Entered with x5 in mscratch. */
function epilogue(): number[] {
  const { traps } = REGISTER;
  const words = [ld(6, traps, 0), ld(7, traps, 8), csrrs(5, CSR.mscratch, 0)];
  words.push(...[sd(5, traps, 32), ...li(5, 3n << 13n), csrrs(0, CSR.mstatus, 5), ...li(5, BigInt(DUMP))]);
  for (let register = 0; register < 32; register++) words.push(sd(register, 5, register * 8));
  for (let register = 0; register < 32; register++) words.push(fsd(register, 5, 256 + register * 8));
  words.push(csrrs(6, CSR.fcsr, 0), sd(6, 5, 512), csrrs(6, CSR.sscratch, 0), sd(6, 5, 520));
  words.push(...li(6, BigInt(DUMP + PAGED_DUMP_BYTES)), ...li(7, BigInt(UART)));
  const wait = [lbu(9, 7, 5), iType(0x13, 7)(9, 9, 0x20), beq(9, 0, -8)];
  const body = [...wait, lbu(9, 5, 0), sb(9, 7, 0), addi(5, 5, 1)];
  words.push(...body, bne(5, 6, -4 * body.length));
  words.push(...li(5, BigInt(FINISHER)), ...li(6, 0x5555n), sw(6, 5, 0), jal(0, 0));
  return words;
}

function shuffled(random: Random, count: number): number[] {
  const list = Array.from({ length: count }, (_, index) => index);
  for (let at = count - 1; at > 0; at--) {
    const other = random(at + 1);
    [list[at], list[other]] = [list[other], list[at]];
  }
  return list;
}

/** A data page's entry: mostly readable and writable in both modes when SUM is set, sometimes anything. */
function dataEntry(random: Random): bigint {
  const page = DATA + random(DATA_PAGES) * PAGE;
  const permissions = random(4)
    ? BIT.R | BIT.W | BIT.A | BIT.D
    : pick(random, [BIT.R, 0, BIT.R | BIT.W, BIT.W]) | BIT.A;
  const valid = random(8) ? BIT.V : 0;
  return (BigInt(page) >> 2n) | BigInt(permissions | valid | (random(2) ? BIT.U : 0));
}

/** The image for RAM_BASE; it sends PAGED_DUMP_BYTES over the serial port. rounds: below 2048. */
export function randomPaged(seed: number, instructions: number, rounds = 20): Uint8Array {
  const random = randomNumbers(seed);
  const values = randomNumbers(~seed);
  const image = new DataView(new ArrayBuffer(IMAGE_BYTES));
  const put = (address: number, words: readonly number[]): number => {
    words.forEach((insn, index) => {
      image.setUint32(address - RAM_BASE + index * 4, insn >>> 0, true);
    });
    return address + words.length * 4;
  };
  const set64 = (address: number, value: bigint): void =>
    image.setBigUint64(address - RAM_BASE, BigInt.asUintN(64, value), true);
  const mode = pick(values, [8n, 8n, 9n, 10n]);
  put(RAM_BASE, prologue(rounds, mode, values(2) === 0));
  const end = HANDLER + 0x400;
  put(HANDLER, handler(end));
  put(end, epilogue());

  const codePages = shuffled(values, CODE_PAGES);
  const levels = Number(mode) - 5;
  for (let root = 0; root < ROOTS; root++) {
    const tables = TABLES + root * levels * PAGE;
    for (let level = 0; level < levels - 1; level++) {
      set64(tables + level * PAGE, (BigInt(tables + (level + 1) * PAGE) >> 2n) | BigInt(BIT.V));
    }
    const leaf = tables + (levels - 1) * PAGE;
    const map = (virtual: number, physical: number, flags: number): void =>
      set64(leaf + (virtual / PAGE) * 8, (BigInt(physical) >> 2n) | BigInt(flags | BIT.V | BIT.A | BIT.D));
    for (let page = 0; page < AT.dataPages; page++) set64(leaf + (AT.data / PAGE + page) * 8, dataEntry(values));
    map(AT.table, leaf, BIT.R | BIT.W);
    map(AT.constants, CONSTANTS, BIT.R);
    codePages.forEach((physical, page) => {
      map(AT.code + page * PAGE, CODE + physical * PAGE, BIT.R | BIT.X);
      map(AT.user + page * PAGE, CODE + physical * PAGE, BIT.X | BIT.U);
      map(AT.patch + page * PAGE, CODE + physical * PAGE, BIT.R | BIT.W);
    });
    set64(CONSTANTS + (ENTRIES + root) * 8, (mode << 60n) | BigInt(tables / PAGE));
  }
  for (let index = 0; index < ENTRIES; index++) set64(CONSTANTS + index * 8, dataEntry(values));
  const program = new Program(values);
  put(
    CONSTANTS + (ENTRIES + ROOTS) * 8,
    Array.from({ length: PATCHES }, () =>
      withField(fill(values, pick(values, groups.integer)), 7, program.notReserved()),
    ),
  );

  const code = codeOf(random, instructions);
  if (code.length * 2 > CODE_PAGES * PAGE) throw new Error(`${code.length * 2} bytes of code are too many`);
  code.forEach((half, index) => {
    const at = index * 2;
    image.setUint16(CODE - RAM_BASE + codePages[Math.floor(at / PAGE)] * PAGE + (at % PAGE), half, true);
  });
  for (let at = DATA; at < DATA + DATA_PAGES * PAGE; at += 8) set64(at, word64(values, values(2) === 0));
  const fixed: Record<number, number> = {
    ...Object.fromEntries(POINTERS.map((pointer) => [pointer, AT.data + values(AT.dataPages * PAGE - 64)])),
    [REGISTER.functions]: AT.code + FUNCTIONS_AT,
    [REGISTER.entry]: AT.table + (AT.data / PAGE) * 8,
    [REGISTER.constants]: AT.constants,
    [REGISTER.base]: AT.data,
    [REGISTER.mask]: AT.dataPages * PAGE - 1,
    [REGISTER.traps]: TRAPS,
  };
  for (let register = 0; register < 32; register++) {
    const known = fixed[register];
    set64(SEEDS + register * 8, known === undefined ? word64(values, false) : BigInt(known));
    set64(SEEDS + 256 + register * 8, word64(values, true));
  }
  return new Uint8Array(image.buffer);
}
