import { describe, expect, it } from 'vitest';
import { type CompileService, HartLines, RAM_BASE } from '#engines/full/cpu/hart.js';
import { EVENT } from '#engines/full/cpu/layout.js';
import { type CompiledRegion, RegionCompiler, type RegionRequest } from '#engines/full/cpu/translator/compiler.js';
import type { TranslateMode } from '#engines/full/cpu/translator/translator.js';
import type { CompilerOf } from './support/bare-hart.js';
import { AT, Bench, PTE } from './support/boot.js';
import { add, addi, auipc, bne, ecall, fenceI, jal, jalr, nop, sfenceVma, sw } from './support/encode.js';

// The same code at several virtual addresses: what it finds out about its own place must be true at each of them.

const { V, R, W, X, U, A, D } = PTE;
const EXECUTABLE = V | R | X | A;
const CODE = 0x10_0000n;
/** Where the function is seen; so far apart, and from its callers, that it is always a region of its own. */
const [HERE, THERE] = [0x20_0020_0000n, 0x30_1234_5000n];
const WRITABLE = 0x40_0000n;
const [FIRST, SECOND, OTHER] = [RAM_BASE + 0x20_0000, RAM_BASE + 0x21_0000, RAM_BASE + 0x22_0000];
const PAGE = 4096;
const ROUNDS = 200;
const CALLS = 200;

/** Adds its address to x11, counts in x14, and calls what is at the start of the next page twice: that is known the second time. */
const FUNCTION = [
  auipc(5, 0),
  add(11, 11, 5),
  addi(14, 14, 1),
  addi(6, 1, 0),
  jal(1, PAGE - 16),
  jal(1, PAGE - 20),
  jalr(0, 6, 0),
];
const LINKS = [20n, 24n];
/** Adds its address to x15, where it was called from to x16, and `amount` to x20. */
const callee = (amount: number): number[] => [
  auipc(7, 0),
  add(15, 15, 7),
  add(16, 16, 1),
  addi(20, 20, amount),
  jalr(0, 1, 0),
];

/** x19 times: calls x13 200 times, executes `between`, and changes x13 for x17. Then goes to M-mode. */
const driver = (between = nop): number[] => [
  addi(12, 0, CALLS),
  jalr(1, 13, 0),
  addi(12, 12, -1),
  bne(12, 0, -8),
  between,
  addi(18, 13, 0),
  addi(13, 17, 0),
  addi(17, 18, 0),
  addi(19, 19, -1),
  bne(19, 0, -36),
  ecall,
];

/** The function's two pages, which need not be neighbours in RAM. */
function mapAt(bench: Bench, address: bigint, second = SECOND, user = 0): void {
  bench.map(address, FIRST, EXECUTABLE | user);
  bench.map(address + BigInt(PAGE), second, EXECUTABLE | user);
}

function prepared(mode: TranslateMode, harts = 1, compiler?: CompilerOf): Bench {
  const bench = new Bench(mode, harts, compiler);
  bench.map(CODE, AT.code, EXECUTABLE);
  for (const address of [HERE, THERE]) mapAt(bench, address);
  bench.map(WRITABLE, FIRST, V | R | W | A | D);
  bench.machine.code(FUNCTION, FIRST);
  bench.machine.code(callee(1), SECOND);
  bench.machine.code(callee(100), OTHER);
  return bench;
}

interface Sums {
  own: bigint;
  next: bigint;
  links: bigint;
  added: bigint;
}

const REGISTERS = { own: 11, next: 15, links: 16, added: 20 } as const;

/** Until M-mode, where it hangs. */
function runToTrap({ hart }: Bench): void {
  for (let budget = ROUNDS * CALLS * 40; budget > 0 && hart.state.privilege !== 3; budget -= 2000) hart.run(2000);
}

/** Calls the function at two addresses in turn; what it has added up. */
function call(bench: Bench, first: bigint, second: bigint, between = nop): Sums {
  const { state } = bench.hart;
  for (const register of [...Object.values(REGISTERS), 14]) state.setX(register, 0n);
  state.setX(13, first);
  state.setX(17, second);
  state.setX(19, BigInt(ROUNDS));
  bench.page();
  bench.enter(1, driver(between), 0n, CODE);
  runToTrap(bench);
  expect(state.x(19)).toBe(0n);
  expect(state.x(14)).toBe(BigInt(ROUNDS * CALLS));
  return {
    own: state.x(REGISTERS.own),
    next: state.x(REGISTERS.next),
    links: state.x(REGISTERS.links),
    added: state.x(REGISTERS.added),
  };
}

/** The same, by the definitions of auipc and jal. */
function expected(first: bigint, second: bigint, amount = 1n): Sums {
  const calls = BigInt(ROUNDS * CALLS);
  const own = ((first + second) * calls) / 2n;
  return {
    own,
    next: 2n * (own + BigInt(PAGE) * calls),
    links: 2n * own + (LINKS[0] + LINKS[1]) * calls,
    added: 2n * amount * calls,
  };
}

/** Part of what a hart does meanwhile that translated code does. */
function translatedPart({ hart }: Bench, meanwhile: () => void): number {
  const counted = () => [hart.state.instret, hart.state.count(EVENT.translatedInstructions)];
  const [all, translated] = counted();
  meanwhile();
  const [allNow, translatedNow] = counted();
  return (translatedNow - translated) / (allNow - all);
}

describe.each(['off', 'on', 'forced'] as const)('the same code at several addresses, translations %s', (mode) => {
  it('is right at two addresses in turn', () => {
    const bench = prepared(mode);
    expect(call(bench, HERE, THERE)).toEqual(expected(HERE, THERE));
  });

  it('is not translated for each of them', () => {
    if (mode === 'off') return;
    const bench = prepared(mode);
    const translations = () => bench.hart.state.count(EVENT.translations);
    for (let time = 0; time < 8; time++) call(bench, HERE, HERE);
    const before = translations();
    const part = translatedPart(bench, () => call(bench, HERE, HERE));
    const again = translations();
    const there = translatedPart(bench, () => expect(call(bench, THERE, THERE)).toEqual(expected(THERE, THERE)));
    expect(there).toBeCloseTo(part, 2);
    // Some are the test's own, which writes code to set registers.
    expect(translations() - again).toBeLessThanOrEqual(again - before);
  });

  it('is right at two addresses on two harts at once', () => {
    const bench = prepared(mode, 2);
    for (const [hart, address] of [HERE, THERE, HERE].entries()) {
      bench.use(hart % 2);
      expect(call(bench, address, address)).toEqual(expected(address, address));
    }
  });

  it('calls what is behind it in virtual memory, whatever that was when it was translated', () => {
    const bench = prepared(mode);
    for (let time = 0; time < 6; time++) expect(call(bench, HERE, HERE)).toEqual(expected(HERE, HERE));
    mapAt(bench, HERE, OTHER);
    expect(call(bench, HERE, HERE, sfenceVma(0, 0))).toEqual(expected(HERE, HERE, 100n));
    expect(call(bench, THERE, THERE)).toEqual(expected(THERE, THERE));
    expect(call(bench, HERE, HERE)).toEqual(expected(HERE, HERE, 100n));
  });

  it('calls what is behind it at each of two addresses', () => {
    const bench = prepared(mode);
    mapAt(bench, THERE, OTHER);
    const both = { ...expected(HERE, THERE), added: 101n * BigInt(ROUNDS * CALLS) };
    expect(call(bench, HERE, THERE)).toEqual(both);
  });

  it('faults where its next page is not mapped, though it was elsewhere', () => {
    const bench = prepared(mode);
    call(bench, HERE, HERE);
    bench.map(THERE + BigInt(PAGE), SECOND, 0);
    const { state } = bench.hart;
    state.setX(13, THERE);
    bench.enter(1, driver(), 0n, CODE);
    bench.hart.run(1000);
    expect(bench.machineTrap).toMatchObject({ cause: 12n, tval: THERE + BigInt(PAGE), epc: THERE + BigInt(PAGE) });
    expect(state.x(1)).toBe(THERE + LINKS[0]);
  });

  it('faults where the mode must not execute it, though another one may', () => {
    const bench = prepared(mode);
    call(bench, HERE, HERE);
    mapAt(bench, THERE, SECOND, U);
    const { state } = bench.hart;
    state.setX(13, THERE);
    bench.enter(1, driver(), 0n, CODE);
    bench.hart.run(1000);
    expect(bench.machineTrap).toMatchObject({ cause: 12n, tval: THERE, epc: THERE });
  });

  it('is changed through another mapping of its page', () => {
    const bench = prepared(mode);
    call(bench, HERE, THERE);
    const { state } = bench.hart;
    state.setX(21, BigInt(addi(14, 14, 3)));
    state.setX(22, WRITABLE);
    const before = state.x(14);
    const calls = [addi(12, 0, CALLS), jalr(1, 13, 0), addi(12, 12, -1), bne(12, 0, -8)];
    state.setX(13, HERE);
    bench.enter(1, [sw(21, 22, 8), fenceI, ...calls, addi(13, 17, 0), ...calls, ecall], 0n, CODE);
    runToTrap(bench);
    expect(state.x(14) - before).toBe(BigInt(3 * 2 * CALLS));
  });

  it('goes on over the end of its page, with an instruction that lies in both', () => {
    const bench = prepared(mode);
    const start = PAGE - 10;
    // Two half-words of c.nop, then auipc, an addi in both pages, and the way back.
    const words = [0x0001_0001, auipc(5, 0), addi(20, 20, 5), add(11, 11, 5), jalr(0, 1, 0)];
    const across = (second: number): void => {
      const bytes = Buffer.alloc(words.length * 4);
      for (const [index, word] of words.entries()) bytes.writeUInt32LE(word >>> 0, index * 4);
      bench.machine.bytes(FIRST + start, 10).set(bytes.subarray(0, 10));
      bench.machine.bytes(second, words.length * 4 - 10).set(bytes.subarray(10));
      bench.hart.invalidateCode();
    };
    across(SECOND);
    const places = [HERE, THERE].map((address) => address + BigInt(start));
    const { state } = bench.hart;
    for (const address of [...places, ...places]) {
      for (const register of [11, 20]) state.setX(register, 0n);
      state.setX(13, address);
      state.setX(17, address);
      state.setX(19, BigInt(ROUNDS));
      bench.page();
      bench.enter(1, driver(), 0n, CODE);
      runToTrap(bench);
      expect(state.x(19)).toBe(0n);
      expect(state.x(20)).toBe(BigInt(5 * ROUNDS * CALLS));
      expect(state.x(11)).toBe((address + 4n) * BigInt(ROUNDS * CALLS));
    }
  });
});

describe('a compiler for several harts', () => {
  /** Compiles at once, as the machine's main thread would a little later. */
  class Service {
    readonly answers: CompiledRegion[] = [];
    private compiler: RegionCompiler | undefined;

    of(memory: WebAssembly.Memory, state: number): CompileService {
      this.compiler ??= new RegionCompiler(memory, false);
      const { answers, compiler } = this;
      const open: CompiledRegion[] = [];
      const request = (wanted: RegionRequest): void => {
        const answer = compiler.compile(wanted);
        answers.push(answer);
        open.push(answer);
        new HartLines(memory, state).compiled();
      };
      return { request, take: () => open.shift() };
    }

    get modules(): number {
      return new Set(this.answers.flatMap(({ module }) => module ?? [])).size;
    }
  }

  it('makes the same code once, wherever it is seen', () => {
    const service = new Service();
    const bench = prepared('on', 2, (memory, state) => service.of(memory, state));
    for (const [hart, address] of [HERE, THERE].entries()) {
      bench.use(hart);
      for (let time = 0; time < 8; time++) expect(call(bench, address, address)).toEqual(expected(address, address));
    }
    const [first, second] = bench.machine.harts.map(({ state }) => state.count(EVENT.translations));
    expect(Math.min(first, second)).toBeGreaterThan(2);
    // At its second address nothing is new but what one hart has had occasion to translate and the other has not.
    expect(service.modules).toBeLessThan(first + second);
    expect(service.modules).toBeGreaterThan(0);
  });

  it('makes changed code anew, and knows it when it is changed back', () => {
    const service = new Service();
    const bench = prepared('on', 1, (memory, state) => service.of(memory, state));
    const run = (amount: number): void => {
      bench.machine.code(callee(amount), SECOND);
      for (let time = 0; time < 8; time++)
        expect(call(bench, HERE, HERE)).toEqual(expected(HERE, HERE, BigInt(amount)));
    };
    run(1);
    run(100);
    const made = service.modules;
    run(1);
    expect(service.modules).toBeLessThan(made + 3);
  });
});
