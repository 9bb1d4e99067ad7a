import { addi, auipc, CSR, csrrs, csrrw, iType, ld, lui, mret, rType, slli } from './cpu/support/encode.js';
import { randomNumbers } from './cpu/support/random-program.js';

/**
 * A guest that means harm: random instructions with random CSRs and device registers, over random page tables, in all
 * modes and on all harts. Any trap leads on somewhere else with other registers, so that it never settles. Whatever it
 * destroys of itself is part of it.
 */

const RAM = 0x8000_0000;
const BYTES = 0x30_0000;
const REGISTERS = 0x1000;
const SETS = 64;
const CODE = 0x1_0000;
const CODE_END = 0x1_8000;
const TABLES = 0x10_0000;
const TABLES_END = 0x14_0000;
const HANDLER = 0x80;

/** Places of devices, and how much of each is looked at. */
const DEVICES: readonly [number, number][] = [
  ...([
    [0x10_1000, 0x28],
    [0x200_0000, 0x1_0000],
    [0x300_0000, 0x400],
    [0xc00_0000, 0x100],
    [0xc00_1000, 0x20],
  ] as const),
  ...([
    [0xc00_2000, 0x200],
    [0xc20_0000, 0x4000],
    [0x1000_0000, 8],
    [0x1000_1000, 0x8000],
    [0x3000_0000, 0x100],
  ] as const),
  ...([
    [0x3000_8000, 0x100],
    [0x3001_0000, 0x100],
    [0x3004_0000, 0x1000],
    [0x4000_0000, 0x1_0000],
  ] as const),
  ...([
    [0x4100_0000, 0x1000],
    [0x1000, 0x1000],
  ] as const),
].map(([base, bytes]) => [base, bytes]);
const CSRS = [
  ...[CSR.satp, CSR.satp, 0x3a0, 0x3a2, 0x3b0, 0x3b1, 0x3b2, CSR.mstatus, CSR.sstatus, CSR.medeleg, CSR.mideleg],
  ...[CSR.mie, CSR.mip, CSR.sie, CSR.sip, CSR.stvec, CSR.stimecmp, CSR.menvcfg, CSR.mcounteren, CSR.scounteren],
  ...[
    CSR.sepc,
    CSR.mepc,
    1,
    2,
    3,
    CSR.cycle,
    CSR.mcycle,
    CSR.minstret,
    CSR.sscratch,
    0x7a0,
    0x10a,
    CSR.mhartid,
    CSR.misa,
  ],
];
const AMOS = [0, 1, 2, 3, 4, 8, 12, 16, 20, 24, 28];
const BRANCHES = [0, 1, 4, 5, 6, 7];
/** mret, sret, ecall, ebreak, pause, wfi, fence.i, sfence.vma */
const SYSTEM = [0x3020_0073, 0x1020_0073, 0x73, 0x10_0073, 0x100_000f, 0x1050_0073, 0x100f, 0x1200_0073];

type Random = (below: number) => number;
const any = (random: Random): number => random(0x1_0000) * 0x1_0000 + random(0x1_0000);

function registerValue(random: Random): bigint {
  const kind = random(10);
  if (kind < 4) {
    const [base, bytes] = DEVICES[random(DEVICES.length)];
    return BigInt(base + (random(bytes) & (random(4) ? ~3 : ~0)));
  }
  if (kind < 6) return BigInt(RAM + CODE + random(BYTES - CODE)) & (random(3) ? ~7n : ~0n);
  if (kind === 6) return (BigInt([8, 9, 10, 0][random(4)]) << 60n) | BigInt(RAM / 4096 + TABLES / 4096 + random(64));
  if (kind === 7) return BigInt(random(4096));
  return BigInt.asUintN(64, (BigInt(any(random)) << BigInt(random(33))) | BigInt(random(256)));
}

function instruction(random: Random): number {
  const [kind, rd, rs1, rs2] = [random(100), random(31), 1 + random(30), random(31)];
  const near = random(4) ? random(16) << 2 : any(random);
  if (kind < 22) return iType(0x03, random(7))(rd, rs1, near);
  if (kind < 46) return (iType(0x23, random(4))(near & 31, rs1, ((near >> 5) & 0x7f) << 5) | (rs2 << 20)) >>> 0;
  if (kind < 60)
    return iType(0x73, [1, 1, 2, 3, 5, 6, 7][random(7)])(
      rd,
      rs1,
      random(40) ? CSRS[random(CSRS.length)] : random(4096),
    );
  if (kind < 66) return rType(0x2f, 2 + random(2), (AMOS[random(AMOS.length)] << 2) | random(4))(rd, rs1, rs2);
  // wfi seldom: a hart that sleeps does no harm.
  if (kind < 74) return random(10) ? SYSTEM[[0, 1, 2, 3, 4, 6, 7][random(7)]] : SYSTEM[5];
  if (kind < 80) return branch(random, rs1, rs2);
  if (kind < 82) return iType(0x67, 0)(rd, rs1, random(64));
  if (kind < 94) return iType(0x13, random(8))(rd, rs1, any(random));
  return any(random);
}

function branch(random: Random, rs1: number, rs2: number): number {
  const d = (random(64) - 40) * 4;
  const immediate =
    (((d >> 12) & 1) << 31) | (((d >> 5) & 0x3f) << 25) | (((d >> 1) & 0xf) << 8) | (((d >> 11) & 1) << 7);
  return (immediate | (rs2 << 20) | (rs1 << 15) | (BRANCHES[random(6)] << 12) | 0x63) >>> 0;
}

/** Where traps lead: by mcycle to other code with other registers. */
function handler(): number[] {
  const add = rType(0x33, 0, 0);
  const [xor, and] = [rType(0x33, 4, 0), rType(0x33, 7, 0)];
  return [
    ...[
      auipc(1, 0),
      csrrs(2, CSR.mcycle, 0),
      slli(3, 2, 14),
      xor(3, 3, 2),
      lui(4, 0x7000),
      addi(4, 4, -4),
      and(3, 3, 4),
    ],
    ...[lui(4, CODE), add(3, 3, 4), add(3, 3, 1), addi(3, 3, -HANDLER), csrrw(0, CSR.mepc, 3)],
    ...[iType(0x13, 7)(3, 2, SETS - 1), slli(3, 3, 8), add(3, 3, 1), lui(4, REGISTERS), add(31, 3, 4)],
    ...Array.from({ length: 30 }, (_, index) => ld(index + 1, 31, (index + 1) * 8 - HANDLER)),
    mret,
  ];
}

function tableEntry(random: Random): bigint {
  const kind = random(8);
  const page =
    kind < 4
      ? (RAM + TABLES) / 4096 + random(64)
      : kind < 6
        ? RAM / 4096 + random(BYTES / 4096)
        : kind === 6
          ? DEVICES[random(DEVICES.length)][0] >>> 12
          : any(random);
  const flags = kind < 3 ? 1 : random(4) ? 0xcf | (random(2) << 4) : random(1024);
  const high = random(50) ? 0n : BigInt(any(random)) << 32n;
  return BigInt.asUintN(64, (BigInt(page) << 10n) | BigInt(flags) | high);
}

/** The image for RAM's beginning. */
export function hostileGuest(seed: number): Buffer {
  const random = randomNumbers(seed);
  const image = Buffer.alloc(BYTES);
  const put = (at: number, words: readonly number[]): void => {
    words.forEach((word, index) => {
      image.writeUInt32LE(word >>> 0, at + index * 4);
    });
  };
  const start = [auipc(1, 0), addi(1, 1, HANDLER), csrrw(0, CSR.mtvec, 1), addi(2, 0, -1), csrrw(0, CSR.pmpaddr0, 2)];
  put(0, [...start, addi(2, 0, 0x1f), csrrw(0, CSR.pmpcfg0, 2), lui(5, 0x6000), csrrs(0, CSR.mstatus, 5)]);
  for (let at = 0x24; at < HANDLER; at += 4) put(at, [addi(0, 0, 0)]);
  put(HANDLER, handler());
  for (let index = 0; index < SETS * 32; index++) image.writeBigUInt64LE(registerValue(random), REGISTERS + index * 8);
  for (let at = CODE; at < CODE_END; at += 4) put(at, [instruction(random)]);
  for (let at = TABLES; at < TABLES_END; at += 8) image.writeBigUInt64LE(tableEntry(random), at);
  return image;
}
