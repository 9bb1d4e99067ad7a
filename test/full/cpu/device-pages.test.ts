import { describe, expect, it } from 'vitest';
import { DEVICE, UART } from './support/bare-hart.js';
import { AT, Bench, PTE } from './support/boot.js';
import { addi, CSR, csrrc, ecall, li, lw, sfenceVma, sw } from './support/encode.js';

// Translations of devices' pages that were used before: whatever flushes them, or forbids the access, counts at the next one.

const { V, R, W, X, U, A, D } = PTE;
const CODE = 0x10_0000n;
const PAGE = 0x40_0000n;
const REGISTERS = V | R | W | A | D;
const ENTRY = 0x50_0000n;
const SUM = 18;
const LOAD_PAGE_FAULT = 13n;
const STORE_PAGE_FAULT = 15n;
const ECALL_FROM_S = 9n;

/** S-mode code; its leaf tables are mapped, writable, at ENTRY, and `then` are the words after two stores to PAGE. */
function run(flags: number, then: number[], { satp = 8n, level = 0, status = 0n } = {}): Bench {
  const bench = new Bench();
  bench.map(CODE, AT.code, V | R | X | A);
  bench.map(PAGE, DEVICE, flags, level);
  if (level === 0) bench.map(ENTRY, leafTable(bench, PAGE), V | R | W | A | D);
  bench.page(satp);
  const stores = [...li(5, PAGE), addi(6, 0, 1), sw(6, 5, 0), sw(6, 5, 4)];
  bench.enter(1, [...stores, ...then, ecall], status, CODE);
  bench.continue(200);
  return bench;
}

const leafTable = (bench: Bench, virtual: bigint): number => {
  let table: number = AT.tables;
  for (const shift of [30n, 21n])
    table = Number(bench.machine.get64(table + Number((virtual >> shift) & 511n) * 8) >> 10n) * 4096;
  return table;
};

/** The entry of PAGE, which is 512 of 4 KiB on from a boundary of its table. */
const entryAt = ENTRY + ((PAGE >> 12n) & 511n) * 8n;
/** Makes the low word of PAGE's entry lead to `physical` with `flags`. */
const remap = (physical: number, flags: number): number[] => [
  ...li(7, entryAt),
  ...li(8, (BigInt(physical) >> 2n) | BigInt(flags)),
  sw(8, 7, 0),
];
const writes = (bench: Bench): string[] => bench.machine.accesses.filter((access) => access.startsWith('w'));
const TWICE = [`w4 ${DEVICE.toString(16)} 1`, `w4 ${(DEVICE + 4).toString(16)} 1`];

describe("devices' pages that were used before", () => {
  it('are found again, and a page written may not be one that can be read', () => {
    const bench = run(REGISTERS, [lw(10, 5, 4)]);
    expect(writes(bench)).toEqual(TWICE);
    expect(bench.hart.state.x(10)).toBe(0x01234567n);
    expect(bench.machineTrap.cause).toBe(ECALL_FROM_S);
  });

  it.each([
    ['its address', sfenceVma(5, 0)],
    ['all addresses', sfenceVma(0, 0)],
  ])('lead elsewhere after sfence.vma for %s', (_name, fence) => {
    const bench = run(REGISTERS, [...remap(UART, REGISTERS), fence, sw(6, 5, 0)]);
    expect(writes(bench)).toEqual([...TWICE, `w4 ${UART.toString(16)} 1`]);
  });

  it('are forbidden where the new entry forbids them', () => {
    const bench = run(REGISTERS, [...remap(DEVICE, V | R | A), sfenceVma(5, 0), sw(6, 5, 0)]);
    expect(bench.machineTrap).toMatchObject({ cause: STORE_PAGE_FAULT, tval: PAGE });
  });

  it('a large one is forgotten by a flush of any of its addresses', () => {
    const bench = new Bench();
    bench.map(CODE, AT.code, V | R | X | A);
    bench.map(PAGE, DEVICE, REGISTERS, 1);
    bench.page();
    const stores = [...li(5, PAGE), addi(6, 0, 1), sw(6, 5, 0)];
    bench.enter(1, [...stores, ecall], 0n, CODE);
    bench.map(PAGE, UART & ~0x1f_ffff, REGISTERS, 1);
    const again = [...li(7, PAGE + 0x8000n), sfenceVma(7, 0), ...li(5, PAGE), sw(6, 5, 0), ecall];
    bench.enter(1, again, 0n, CODE);
    bench.continue(200);
    expect(writes(bench)).toEqual([TWICE[0], `w4 ${UART.toString(16)} 1`]);
  });

  it("a user's page is not the supervisor's without SUM", () => {
    const clear = [...li(7, 1n << BigInt(SUM)), csrrc(0, CSR.sstatus, 7)];
    const bench = run(REGISTERS | U, [...clear, lw(10, 5, 0)], { status: 1n << BigInt(SUM) });
    expect(writes(bench)).toEqual(TWICE);
    expect(bench.machineTrap).toMatchObject({ cause: LOAD_PAGE_FAULT, tval: PAGE });
    const stored = run(REGISTERS | U, [...clear, sw(6, 5, 0)], { status: 1n << BigInt(SUM) });
    expect(writes(stored)).toEqual(TWICE);
    expect(stored.machineTrap).toMatchObject({ cause: STORE_PAGE_FAULT, tval: PAGE });
  });

  it('a page that was read may not be written for that', () => {
    const bench = new Bench();
    bench.map(CODE, AT.code, V | R | X | A);
    bench.map(PAGE, DEVICE, V | R | A);
    bench.page();
    bench.enter(1, [...li(5, PAGE), lw(6, 5, 0), sw(6, 5, 0), ecall], 0n, CODE);
    expect(bench.machineTrap).toMatchObject({ cause: STORE_PAGE_FAULT, tval: PAGE });
  });

  it('another hart life begins with none', () => {
    const bench = run(REGISTERS, []);
    bench.hart.reset(0x8000_0000, 0, 0);
    bench.use(0);
    bench.map(PAGE, UART, REGISTERS);
    bench.page();
    bench.enter(1, [...li(5, PAGE), addi(6, 0, 1), sw(6, 5, 0), ecall], 0n, CODE);
    expect(writes(bench).at(-1)).toBe(`w4 ${UART.toString(16)} 1`);
  });
});
