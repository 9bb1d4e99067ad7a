import { RAM_BASE } from '#engines/full/cpu/hart.js';
import { codeOf, Program } from './paged-code.js';
import {
  AT,
  BIT,
  CODE,
  CODE_PAGES,
  CONSTANTS,
  DATA,
  DATA_PAGES,
  ENTRIES,
  FUNCTIONS_AT,
  HANDLER,
  IMAGE_BYTES,
  PAGE,
  PATCHES,
  POINTERS,
  REGISTER,
  ROOTS,
  SEEDS,
  TABLES,
  TRAPS,
} from './paged-layout.js';
import { epilogue, handler, prologue } from './paged-machine-mode.js';
import { fill, groups, pick, type Random, randomNumbers, withField, word64 } from './random-program.js';

/**
 * A random program for any RISC-V machine of QEMU's `virt` kind, under paging: it runs in S- and in U-mode and changes
 * between them, through pages that lie scattered, have any permissions, are mapped twice and mapped anew; it patches its
 * own code, calls by pointers, and moves its pointers over page boundaries. A handler in M-mode keeps a sum of all traps
 * and the last of them, and goes on behind the instruction. At the end registers, traps and memory go to the serial port.
 */

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
