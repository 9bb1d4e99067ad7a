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
  ld,
  lui,
  lw,
  rType,
  sd,
  sfenceVma,
  slli,
  sw,
} from './encode.js';
import {
  AT,
  ENTRIES,
  FUNCTION_BYTES,
  FUNCTIONS,
  FUNCTIONS_AT,
  OTHER,
  PAGE,
  PATCH_AT,
  PATCHES,
  POINTERS,
  REGISTER,
  RESERVED,
  ROOTS,
  TEMPORARY,
} from './paged-layout.js';
import { randomFlow } from './random-flow.js';
import { computing, fill, groups, opcode, pick, type Random, withField } from './random-program.js';

/** The instructions that random-paged.ts has executed in S- and in U-mode. */

const halves = (insn: number): number[] => [insn & 0xffff, (insn >>> 16) & 0xffff];
const all = (...words: number[]): number[] => words.flatMap(halves);

const UNCONDITIONAL = groups.atomic.filter(({ name }) => !name.startsWith('sc.'));

export class Program {
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

const RETURN = jalr(0, REGISTER.link, 0);
const ONE_NOP = 1;

function functionOf(program: Program): number[] {
  const code: number[] = [];
  while (code.length < FUNCTION_BYTES / 2 - 10) code.push(...program.plain());
  const nops = FUNCTION_BYTES / 2 - 2 - code.length;
  return [...code, ...Array.from({ length: nops }, () => ONE_NOP), ...halves(RETURN)];
}

export function codeOf(random: Random, instructions: number): number[] {
  const program = new Program(random);
  const nop = addi(0, 0, 0);
  const before = Array.from({ length: FUNCTIONS_AT / 2 }, () => ONE_NOP);
  const functions = Array.from({ length: FUNCTIONS }, () => functionOf(program)).flat();
  const patched = all(...Array.from({ length: PATCHES }, () => nop), RETURN);
  const mixed = [10, 11, 12, 13, 14, 15].flatMap((register) => all(add(register, register, REGISTER.rounds)));
  const main = [
    ...mixed,
    ...randomFlow(
      random,
      instructions,
      () => program.any(),
      () => computing(random),
    ),
  ];
  const again = all(
    addi(REGISTER.rounds, REGISTER.rounds, -1),
    beq(REGISTER.rounds, 0, 8),
    jal(0, -(main.length * 2 + 8)),
    ebreak,
  );
  return [...before, ...functions, ...patched, ...main, ...again];
}
