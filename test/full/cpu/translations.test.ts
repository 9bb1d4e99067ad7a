import { describe, expect, it } from 'vitest';
import { HartExit, IRQ, RAM_BASE } from '#engines/full/cpu/hart.js';
import { EVENT } from '#engines/full/cpu/layout.js';
import type { TranslateMode } from '#engines/full/cpu/translator/translator.js';
import { BareMachine } from './support/bare-hart.js';
import { AT, Bench, PTE } from './support/boot.js';
import {
  add,
  addi,
  and,
  bne,
  CSR,
  csrrs,
  ecall,
  fenceI,
  hang,
  jal,
  jalr,
  ld,
  li,
  sfenceVma,
  sw,
  wfi,
} from './support/encode.js';

// Code that changes under its translations: another page where a called function was, other instructions in it; and
// interrupts in the middle of loops that never leave translated code by themselves.

const { V, R, W, X, A, D } = PTE;
const CODE = 0x10_0000n;
const FUNCTION = 0x10_1000n;
const [FIRST, SECOND] = [RAM_BASE + 0x20_0000, RAM_BASE + 0x21_0000];
const EXECUTABLE = V | R | X | A;
const ret = jalr(0, 1, 0);
/** Adds to x11, and counts in x14. */
const adds = (amount: number): number[] => [addi(14, 14, 1), addi(11, 11, amount), ret];

/** Calls FUNCTION 200 times, executes `between`, and so on for ever. */
const callsForEver = (between: number): number[] => [
  addi(12, 0, 200),
  jalr(1, 13, 0),
  addi(12, 12, -1),
  bne(12, 0, -8),
  between,
  jal(0, -20),
];

/** The first of 8 pages; the one behind them has bit 15 set. */
const MANY = 0x11_0000n;
/** Calls 8 functions in turn, in a page each, 200 times, executes sfence.vma, and so on for ever. */
const roundAndRound: number[] = [
  addi(12, 0, 200),
  jalr(1, 13, 0),
  add(13, 13, 16),
  and(13, 13, 18),
  addi(12, 12, -1),
  bne(12, 0, -16),
  sfenceVma(0, 0),
  jal(0, -28),
];

const DATA = 0x20_0000n;
/** Forgets the page of x23, reads from x22 2000 times, and goes to M-mode. */
const readsOften: number[] = [
  sfenceVma(23, 0),
  addi(12, 0, 2000),
  ld(21, 22, 0),
  addi(12, 12, -1),
  bne(12, 0, -8),
  ecall,
];

function calling(mode: TranslateMode, between: number): Bench {
  const bench = new Bench(mode);
  bench.map(CODE, AT.code, EXECUTABLE);
  bench.map(FUNCTION, FIRST, EXECUTABLE);
  bench.machine.code(adds(1), FIRST);
  bench.machine.code(adds(100), SECOND);
  bench.page();
  bench.hart.state.setX(13, FUNCTION);
  bench.enter(1, callsForEver(between), 0n, CODE);
  return bench;
}

/** What a call adds to x11 on average, over many calls. */
function addedPerCall(bench: Bench): number {
  const { state } = bench.hart;
  const [sum, calls] = [state.x(11), state.x(14)];
  bench.hart.run(200_000);
  const made = Number(state.x(14) - calls);
  expect(made).toBeGreaterThan(20_000);
  return Math.round((Number(state.x(11) - sum) / made) * 100) / 100;
}

describe.each(['off', 'on', 'forced'] as const)('translations %s', (mode) => {
  it('a page that is mapped elsewhere is executed there after sfence.vma', () => {
    const bench = calling(mode, sfenceVma(0, 0));
    bench.hart.run(200_000);
    expect(addedPerCall(bench)).toBe(1);
    bench.map(FUNCTION, SECOND, EXECUTABLE);
    bench.hart.run(2000);
    expect(addedPerCall(bench)).toBe(100);
  });

  it('a page of a page table that is changed under a single address is executed there after its sfence.vma', () => {
    const bench = calling(mode, sfenceVma(13, 0));
    bench.hart.run(200_000);
    bench.map(FUNCTION, SECOND, EXECUTABLE);
    bench.hart.run(2000);
    expect(addedPerCall(bench)).toBe(100);
    bench.map(FUNCTION, FIRST, EXECUTABLE);
    bench.hart.run(2000);
    expect(addedPerCall(bench)).toBe(1);
  });

  it('a page that is mapped no more faults after sfence.vma, with the calls before counted', () => {
    const bench = calling(mode, sfenceVma(0, 0));
    bench.hart.run(200_000);
    bench.map(FUNCTION, FIRST, 0);
    bench.hart.run(2000);
    expect(bench.machineTrap).toMatchObject({ cause: 12n, tval: FUNCTION, epc: FUNCTION });
    expect(bench.hart.state.x(11)).toBe(bench.hart.state.x(14));
  });

  it('other instructions are executed after fence.i', () => {
    const bench = calling(mode, fenceI);
    bench.hart.run(200_000);
    expect(addedPerCall(bench)).toBe(1);
    bench.machine.set32(FIRST + 4, addi(11, 11, 7));
    bench.hart.run(2000);
    expect(addedPerCall(bench)).toBe(7);
    bench.machine.set32(FIRST + 4, addi(11, 11, -3));
    bench.hart.run(2000);
    expect(addedPerCall(bench)).toBe(-3);
  });

  it('other instructions are executed after sfence.vma: there are guests without fence.i, for on QEMU stores show at once', () => {
    const bench = calling(mode, sfenceVma(0, 0));
    bench.hart.run(200_000);
    expect(addedPerCall(bench)).toBe(1);
    bench.machine.set32(FIRST + 4, addi(11, 11, 7));
    bench.hart.run(2000);
    expect(addedPerCall(bench)).toBe(7);
  });

  it('pages that are entered from other regions, too many to be foreseen, are mapped elsewhere', () => {
    const bench = new Bench(mode);
    bench.map(CODE, AT.code, EXECUTABLE);
    const mapAll = (target: number): void => {
      for (let page = 0; page < 8; page++) bench.map(MANY + BigInt(page * 4096), target + page * 4096, EXECUTABLE);
    };
    for (let page = 0; page < 8; page++) {
      bench.machine.code(adds(1), FIRST + page * 4096);
      bench.machine.code(adds(100), SECOND + page * 4096);
    }
    mapAll(FIRST);
    bench.page();
    const { state } = bench.hart;
    for (const [register, value] of [
      [13, MANY],
      [16, 4096n],
      [18, ~0x8000n],
    ] as const)
      state.setX(register, value);
    bench.enter(1, roundAndRound, 0n, CODE);
    bench.hart.run(400_000);
    expect(addedPerCall(bench)).toBe(1);
    mapAll(SECOND);
    bench.hart.run(4000);
    expect(addedPerCall(bench)).toBe(100);
  });

  it.each([
    ['itself', 0n],
    ['the page behind it', 4096n],
    ['the page before it', -4096n],
  ])(
    'data of a page that is mapped elsewhere is read there after its sfence.vma, when %s was read before',
    (_, away) => {
      const bench = new Bench(mode);
      bench.map(CODE, AT.code, EXECUTABLE);
      const mapData = (page: bigint, target: number): void => bench.map(page, target, V | R | W | A | D);
      for (let page = -1; page <= 1; page++) {
        mapData(DATA + BigInt(page * 4096), FIRST + page * 4096);
        bench.machine.set64(FIRST + page * 4096, BigInt(page));
      }
      bench.machine.set64(SECOND, 77n);
      bench.page();
      const { state } = bench.hart;
      const read = (address: bigint): bigint => {
        state.setX(22, address);
        state.setX(23, DATA);
        bench.enter(1, readsOften, 0n, CODE);
        for (let budget = 10_000; budget > 0 && state.privilege !== 3; budget -= 500) bench.hart.run(500);
        return BigInt.asIntN(64, state.x(21));
      };
      for (let time = 0; time < 250; time++) expect(read(DATA + away)).toBe(away / 4096n);
      mapData(DATA, SECOND);
      expect(read(DATA)).toBe(77n);
      mapData(DATA, FIRST);
      expect(read(DATA)).toBe(0n);
    },
  );

  it('an interrupt is taken in a loop, between two instructions of it', () => {
    const bench = new Bench(mode);
    bench.map(CODE, AT.code, EXECUTABLE);
    bench.map(FUNCTION, FIRST, V | R | W | X | A | D);
    bench.machine.code([addi(11, 11, 1), ret], FIRST);
    bench.setCsr(CSR.mcounteren, 2n);
    bench.setCsr(CSR.mie, BigInt(IRQ.MTIP));
    bench.page();
    bench.hart.state.setX(13, FUNCTION);
    let reads = 0;
    bench.machine.time = () => {
      if (++reads === 20_000) bench.hart.lines.raise(IRQ.MTIP);
      return reads;
    };
    const rdtime = csrrs(15, 0xc01, 0);
    bench.enter(1, [rdtime, jalr(1, 13, 0), jal(0, -8)], 0n, CODE);
    bench.hart.run(300_000);
    const { cause, epc } = bench.machineTrap;
    expect(cause).toBe((1n << 63n) | 7n);
    expect([CODE, CODE + 4n, CODE + 8n, FUNCTION, FUNCTION + 4n]).toContain(epc);
    // 5 instructions a round: at the latest a slice later.
    expect(reads).toBeLessThan(20_000 + 600 / 5);
    expect(Math.abs(reads - Number(bench.hart.state.x(11)))).toBeLessThanOrEqual(1);
  });

  it('a loop ends with its budget', () => {
    const bench = calling(mode, sfenceVma(0, 0));
    const before = bench.hart.state.instret;
    bench.hart.run(100_000);
    const done = bench.hart.state.instret - before;
    expect(done).toBeGreaterThanOrEqual(100_000);
    expect(done).toBeLessThan(100_000 + 1000);
  });
});

it('code that runs only for a moment between two waits is translated too', () => {
  const bench = new Bench('on');
  // 64 instructions, and no slice of the interpreter ends in them unless it goes on after a wait.
  bench.machine.code([addi(12, 0, 20), addi(11, 11, 1), addi(12, 12, -1), bne(12, 0, -8), wfi, jal(0, -20)], AT.code);
  bench.hart.reset(AT.code, 0, 0);
  for (let waits = 0; waits < 12_000; waits++) expect(bench.hart.run(100_000)).toBe(HartExit.Wfi);
  expect(bench.hart.state.count(EVENT.translations)).toBeGreaterThan(0);
  expect(bench.hart.state.x(11)).toBe(20n * 12_000n);
});

// Not when forced: regions are made of what will be executed, too.
it.each(['off', 'on'] as const)(
  'what is written and then executed for the first time is as written, without any fence, translation %s',
  (mode) => {
    const machine = new BareMachine(1, mode);
    const made = RAM_BASE + 0x100;
    const [one, two] = [addi(11, 11, 1), addi(11, 11, 2)].map((insn) => li(6, BigInt(insn >>> 0)));
    const start = [...li(5, BigInt(made)), ...one, sw(6, 5, 0), ...two, sw(6, 5, 40)];
    machine.code([...start, jal(0, 0x100 - start.length * 4)]);
    machine.code([...Array<number>(11).fill(addi(0, 0, 0)), hang], made);
    machine.hart.run(start.length + 20);
    expect(machine.hart.state.x(11)).toBe(3n);
  },
);
