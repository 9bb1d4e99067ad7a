import { describe, expect, it } from 'vitest';
import { HART_STATE_BYTES, RAM_BASE } from '#engines/full/cpu/hart.js';
import { EVENT } from '#engines/full/cpu/layout.js';
import { DEVICE } from './support/bare-hart.js';
import { AT, Bench, PTE } from './support/boot.js';
import { addi, CSR, csrrs, hang, lb, ld, li, lw, nop, rType, sb, sd, sfenceVma, sw } from './support/encode.js';

// Paging, protection, misaligned and device accesses: cases computed by hand from the specifications.

const { V, R, W, X, U, A, D } = PTE;
const PAGE = 0x40_0000n;
const CODE = 0x10_0000n;
const MXR = 1n << 19n;
const SUM = 1n << 18n;
const MPRV = 1n << 17n;
const USER_CODE = V | R | X | U | A;
const amoadd = rType(0x2f, 3, 0);
const lrD = (rd: number, rs1: number) => rType(0x2f, 3, 0x08)(rd, rs1, 0);
const scD = rType(0x2f, 3, 0x0c);

/** A bench with paging: code at CODE, runs `words` in a mode. */
function paged(mode: 0 | 1, prepare: (bench: Bench) => void, words: number[], status = 0n, satpMode = 8n): Bench {
  const bench = new Bench();
  const levels = Number(satpMode) - 5;
  bench.map(CODE, AT.code, (USER_CODE & ~(mode === 1 ? U : 0)) | V, 0, levels);
  prepare(bench);
  bench.page(satpMode);
  bench.enter(mode, words, status, CODE);
  return bench;
}

const load = [...li(10, PAGE + 8n), ld(11, 10, 0), hang];
const store = [...li(10, PAGE + 8n), sd(10, 10, 0), hang];
const jump = [...li(10, PAGE), 0x00050067, hang];
const AT_ACCESS = CODE + 4n * 15n;

describe('Sv39', () => {
  it('translates loads, stores and fetches, and sets A and D', () => {
    const bench = paged(
      0,
      (b) => {
        b.map(PAGE, AT.data, V | R | W | U);
        b.machine.set64(AT.data + 8, 0x1122334455667788n);
      },
      [...li(10, PAGE + 8n), ld(11, 10, 0), hang],
    );
    expect(bench.hart.state.x(11)).toBe(0x1122334455667788n);
    expect(bench.entry(PAGE) & 0xffn).toBe(BigInt(V | R | W | U | A));
    bench.machine.code([sd(11, 10, 8), hang], AT.code);
    bench.hart.state.pc = CODE;
    bench.continue();
    expect(bench.machine.get64(AT.data + 16)).toBe(0x1122334455667788n);
    expect(bench.entry(PAGE) & 0xffn).toBe(BigInt(V | R | W | U | A | D));
  });

  const reserved = 1 << 8; // bits 9:8 are software's: allowed
  it.each([
    ['a load of what is not mapped', 0, 0, load, 13],
    ['a load without R', 0, V | X | U, load, 13],
    ['a store without W', 0, V | R | U | D, store, 15],
    ['a store with W but not R, which is reserved', 0, V | W | U, store, 15],
    ['a fetch without X', 0, V | R | W | U, jump, 12],
    ['a user load of a supervisor page', 0, V | R | W, load, 13],
    ['a supervisor load of a user page', 1, V | R | W | U, load, 13],
    ['a supervisor fetch of a user page', 1, V | R | X | U, jump, 12],
  ] as const)('%s faults', (_name, mode, flags, words, cause) => {
    const bench = paged(mode, (b) => b.map(PAGE, AT.data, flags | reserved), [...words]);
    const tval = words === jump ? PAGE : PAGE + 8n;
    const epc = words === jump ? PAGE : AT_ACCESS;
    expect(bench.machineTrap).toEqual({ cause: BigInt(cause), tval, epc, at: BigInt(AT.machineTrap) });
  });

  it.each([
    ['SUM lets S read user pages', 1, V | R | U, SUM],
    ['MXR makes executable pages readable', 0, V | X | U, MXR],
  ] as const)('%s', (_name, mode, flags, status) => {
    const bench = paged(mode, (b) => b.map(PAGE, AT.data, flags), [...load], status);
    expect(bench.hart.state.pc).toBe(AT_ACCESS + 4n);
  });

  it('SUM never lets S execute user pages', () => {
    const bench = paged(1, (b) => b.map(PAGE, AT.data, V | R | X | U), [...jump], SUM);
    expect(bench.machineTrap.cause).toBe(12n);
  });

  it.each([
    ['a large page', 1, 0x20_0000n, 0],
    ['a page of 1 GiB', 2, 0x4000_0000n, 0],
    ['a large page that is not aligned', 1, 0x20_0000n, 13],
  ] as const)('%s', (_name, level, virtual, cause) => {
    const at = 0x2000n + (level === 2 ? 0n : 0n);
    const physical = cause !== 0 ? RAM_BASE + 0x1000 : RAM_BASE;
    const bench = paged(
      0,
      (b) => {
        b.map(virtual, physical, V | R | W | U, level);
        b.machine.set64(AT.data, 77n);
      },
      [...li(10, virtual + at), ld(11, 10, 0), hang],
    );
    if (cause === 0) expect(bench.hart.state.x(11)).toBe(77n);
    else expect(bench.machineTrap).toMatchObject({ cause: 13n, tval: virtual + at });
  });

  it.each([
    ['an address that is not canonical', 1n << 38n],
    ['one whose low part is mapped', (1n << 40n) | PAGE],
  ])('%s faults', (_name, address) => {
    const bench = paged(0, (b) => b.map(PAGE, AT.data, V | R | U), [...li(10, address), ld(11, 10, 0), hang]);
    expect(bench.machineTrap).toMatchObject({ cause: 13n, tval: address });
  });

  it('reserved bits of an entry fault; a table outside of RAM is an access fault', () => {
    const wrong = (entry: bigint) =>
      paged(0, (b) => b.machine.set64(AT.tables + 8, entry), [...li(10, 0x4000_0000n), ld(11, 10, 0), hang]);
    const leaf = (BigInt(RAM_BASE) >> 2n) | BigInt(V | R | U | A);
    expect(wrong(leaf).machineTrap.cause).not.toBe(13n);
    expect(wrong(leaf | (1n << 54n)).machineTrap.cause).toBe(13n);
    expect(wrong(leaf | (1n << 63n)).machineTrap.cause).toBe(13n);
    expect(wrong((0x1000n << 10n) | BigInt(V)).machineTrap.cause).toBe(5n);
    expect(wrong((BigInt(AT.tables) >> 2n) | BigInt(V | A)).machineTrap.cause).toBe(13n);
  });

  it('a changed entry counts from sfence.vma on', () => {
    const words = [...load.slice(0, -1), ...li(12, 0x77n), sfenceVma(10, 0), ld(13, 10, 0), hang];
    const bench = new Bench();
    bench.map(CODE, AT.code, V | R | X | A);
    bench.map(PAGE, AT.data, V | R);
    bench.machine.set64(AT.data + 8, 1n);
    bench.machine.set64(AT.data + 0x1008, 2n);
    bench.page();
    bench.enter(1, [...words.slice(0, 16), hang], 0n, CODE);
    expect(bench.hart.state.x(11)).toBe(1n);
    bench.map(PAGE, AT.data + 0x1000, V | R);
    bench.machine.code(words, AT.code);
    bench.hart.state.pc = CODE + 4n * 16n;
    bench.continue();
    expect(bench.hart.state.x(13)).toBe(2n);
  });

  it('MPRV lends M-mode the eyes of MPP for loads, not for fetches', () => {
    const bench = new Bench();
    bench.map(PAGE, AT.data, V | R | U);
    bench.machine.set64(AT.data + 8, 99n);
    bench.page();
    bench.run([...li(10, PAGE + 8n), ...li(5, MPRV), csrrs(0, CSR.mstatus, 5), ld(11, 10, 0), hang], AT.code);
    expect(bench.hart.state.x(11)).toBe(99n);
  });
});

describe.each([
  [9n, 4, 1n << 47n],
  [10n, 5, 1n << 56n],
])('satp mode %d', (mode, levels, beyond) => {
  it('has its number of levels', () => {
    const far = beyond >> 1n;
    const bench = paged(
      0,
      (b) => {
        b.map(far + PAGE, AT.data, V | R | U, 0, levels);
        b.machine.set64(AT.data + 8, 5n);
      },
      [...li(10, far + PAGE + 8n), ld(11, 10, 0), ...li(10, beyond), ld(12, 10, 0), hang],
      0n,
      mode,
    );
    expect(bench.hart.state.x(11)).toBe(5n);
    expect(bench.machineTrap).toMatchObject({ cause: 13n, tval: beyond });
  });
});

describe('misaligned and device accesses', () => {
  const across = PAGE + 0xffdn;

  it('cross pages that lie apart', () => {
    const bench = paged(
      0,
      (b) => {
        b.map(PAGE, AT.data + 0x3000, V | R | W | U);
        b.map(PAGE + 0x1000n, AT.data, V | R | W | U);
      },
      [...li(10, across), ...li(11, 0x1122334455667788n), sd(11, 10, 0), ld(12, 10, 0), lw(13, 10, 1), hang],
    );
    expect(bench.hart.state.x(12)).toBe(0x1122334455667788n);
    expect(bench.hart.state.x(13)).toBe(0x44556677n);
    expect([...bench.machine.bytes(AT.data + 0x3ffd, 3)]).toEqual([0x88, 0x77, 0x66]);
    expect([...bench.machine.bytes(AT.data, 5)]).toEqual([0x55, 0x44, 0x33, 0x22, 0x11]);
  });

  it('are done without the host where they lie in one page', () => {
    const code = [
      ...li(10, PAGE + 0xff7n),
      ...li(11, 0x1122334455667788n),
      sd(11, 10, 0),
      ld(12, 10, 1),
      lw(13, 10, 3),
      hang,
    ];
    const bench = paged(0, (b) => b.map(PAGE, AT.data, V | R | W | U), code);
    expect(bench.hart.state.x(12)).toBe(0x11223344556677n);
    expect(bench.hart.state.x(13)).toBe(0x22334455n);
    const before = bench.hart.state.count(EVENT.tlbMisses);
    bench.machine.set64(AT.data + 0xff8, 0n);
    bench.hart.state.pc = CODE;
    bench.continue();
    expect(bench.hart.state.x(12)).toBe(0x11223344556677n);
    expect(bench.hart.state.count(EVENT.tlbMisses)).toBe(before);
  });

  it('fault on the second page before the first is written', () => {
    const bench = paged(0, (b) => b.map(PAGE, AT.data, V | R | W | U), [...li(10, across), sd(10, 10, 0), hang]);
    expect(bench.machineTrap).toMatchObject({ cause: 15n, tval: PAGE + 0x1000n });
    expect([...bench.machine.bytes(AT.data + 0xffd, 3)]).toEqual([0, 0, 0]);
  });

  it('are not for LR, SC and AMOs', () => {
    const bench = new Bench();
    bench.run([...li(10, BigInt(AT.data + 4)), lrD(11, 10), hang], AT.code);
    expect(bench.machineTrap).toMatchObject({ cause: 4n, tval: BigInt(AT.data + 4) });
    bench.run([...li(10, BigInt(AT.data + 4)), amoadd(11, 10, 10), hang], AT.code);
    expect(bench.machineTrap).toMatchObject({ cause: 6n, tval: BigInt(AT.data + 4) });
  });

  it('reach devices in pieces of at most 4 bytes', () => {
    const bench = new Bench();
    const words = [...li(10, BigInt(DEVICE)), ld(11, 10, 0), lb(12, 10, 4), sd(11, 10, 0), sb(11, 10, 1), hang];
    bench.run(words, AT.code);
    expect(bench.hart.state.x(11)).toBe(0x0123456789abcdefn);
    expect(bench.machine.accesses).toEqual([
      'r4 20000000',
      'r4 20000004',
      'r1 20000004',
      'w4 20000000 89abcdef',
      'w4 20000004 1234567',
      'w1 20000001 ef',
    ]);
  });

  it.each([
    ['load', lw(11, 10, 0), 5],
    ['store', sw(11, 10, 0), 7],
    ['AMO', amoadd(11, 10, 11), 7],
  ])('a %s that no device takes is an access fault', (_name, insn, cause) => {
    const bench = new Bench();
    bench.run([...li(10, 0x3000_0000n), insn, hang], AT.code);
    expect(bench.machineTrap).toMatchObject({ cause: BigInt(cause), tval: 0x3000_0000n });
  });

  it('end with RAM', () => {
    const end = BigInt(RAM_BASE + (4 << 20));
    const bench = new Bench();
    bench.run([...li(10, end - 8n), ld(11, 10, 0), ld(12, 10, 4), hang], AT.code);
    expect(bench.machineTrap).toMatchObject({ cause: 5n, tval: end });
  });

  it('a fetch from a device or from nowhere is an access fault', () => {
    const bench = new Bench();
    bench.run([...li(10, BigInt(DEVICE)), 0x00050067, hang], AT.code);
    expect(bench.machineTrap).toMatchObject({ cause: 1n, tval: BigInt(DEVICE), epc: BigInt(DEVICE) });
  });

  it('an instruction may lie in two pages', () => {
    const bench = paged(0, (b) => b.map(PAGE, AT.data, USER_CODE), [...li(10, PAGE + 0xffen), 0x00050067]);
    expect(bench.machineTrap).toMatchObject({ cause: 2n }); // zeros: a compressed illegal instruction
    const two = new Bench();
    two.map(PAGE, AT.data + 0x4000, USER_CODE);
    two.map(PAGE + 0x1000n, AT.data, USER_CODE);
    const insn = addi(11, 0, 321);
    two.machine.bytes(AT.data + 0x4ffe, 2).set([insn & 0xff, (insn >> 8) & 0xff]);
    two.machine.bytes(AT.data, 2).set([(insn >> 16) & 0xff, insn >>> 24]);
    two.map(CODE, AT.code, USER_CODE);
    two.page();
    two.enter(0, [...li(10, PAGE + 0xffen), 0x00050067], 0n, CODE);
    expect(two.hart.state.x(11)).toBe(321n);
    two.map(PAGE + 0x1000n, 0, 0);
    two.setCsr(CSR.satp, (8n << 60n) | (BigInt(AT.tables) >> 12n));
    two.enter(0, [...li(10, PAGE + 0xffen), 0x00050067], 0n, CODE);
    expect(two.machineTrap).toMatchObject({ cause: 12n, tval: PAGE + 0x1000n, epc: PAGE + 0xffen });
  });
});

describe('LR and SC', () => {
  it('succeed on what was reserved, once, and fail when it changed', () => {
    const bench = new Bench();
    const at = BigInt(AT.data);
    bench.machine.set64(AT.data, 5n);
    bench.run([...li(10, at), lrD(11, 10), addi(11, 11, 1), scD(12, 10, 11), scD(13, 10, 11), hang], AT.code);
    expect([bench.hart.state.x(12), bench.hart.state.x(13)]).toEqual([0n, 1n]);
    expect(bench.machine.get64(AT.data)).toBe(6n);
    bench.run([lrD(11, 10), sd(0, 10, 0), scD(12, 10, 11), hang], AT.code);
    expect(bench.hart.state.x(12)).toBe(1n);
    expect(bench.machine.get64(AT.data)).toBe(0n);
  });
});

describe('PMP', () => {
  const NAPOT = 3n << 3n;
  const TOR = 1n << 3n;
  const NA4 = 2n << 3n;
  const LOCK = 1n << 7n;
  const RWX = 7n;
  const address = (at: number): bigint => BigInt(at) >> 2n;

  /** Entries (config, address) before one that allows everything. */
  function protectedBench(entries: [bigint, bigint][], rest = true): Bench {
    const bench = new Bench();
    const all = rest ? [...entries, [NAPOT | RWX, (1n << 54n) - 1n] as [bigint, bigint]] : entries;
    for (const [index, [, at]] of all.entries()) bench.setCsr(CSR.pmpaddr0 + index, at);
    bench.setCsr(
      CSR.pmpcfg0,
      all.reduce((bits, [config], index) => bits | (config << BigInt(8 * index)), 0n),
    );
    return bench;
  }
  const access = (insn: number, at: number): number[] => [...li(10, BigInt(at)), insn, hang];

  it('denies S and U what no entry allows', () => {
    const bench = protectedBench([], false);
    bench.enter(1, [nop, hang]);
    expect(bench.machineTrap).toMatchObject({ cause: 1n, tval: BigInt(AT.code) });
  });

  it.each([
    ['NA4: the word itself', NA4 | 1n, address(AT.data + 8), sw(0, 10, 0), 8, 7],
    ['NA4: the word after it', NA4 | 1n, address(AT.data + 8), sw(0, 10, 0), 12, 0],
    [
      'NA4: a double that it cuts, although its other half is free',
      NA4 | 7n,
      address(AT.data + 8),
      ld(11, 10, 0),
      8,
      5,
    ],
    ['NAPOT 8 bytes: a load without R', NAPOT | 0n, address(AT.data + 16), ld(11, 10, 0), 16, 5],
    ['NAPOT 32 bytes: its last byte', NAPOT | 0n, address(AT.data) | 3n, lb(11, 10, 0), 31, 5],
    ['NAPOT 32 bytes: the next byte', NAPOT | 0n, address(AT.data) | 3n, lb(11, 10, 0), 32, 0],
    ['NAPOT 4 KiB', NAPOT | 1n, address(AT.data) | 0x1ffn, sw(0, 10, 0), 0xffc, 7],
  ] as const)('%s', (_name, config, at, insn, offset, cause) => {
    const bench = protectedBench([[config, at]]);
    bench.enter(0, access(insn, AT.data + offset));
    if (cause === 0) expect(bench.hart.state.pc).toBe(BigInt(AT.code) + 64n);
    else expect(bench.machineTrap).toMatchObject({ cause: BigInt(cause), tval: BigInt(AT.data + offset) });
  });

  it('TOR reaches from the entry below; the first match counts', () => {
    const entries: [bigint, bigint][] = [
      [0n, address(AT.data)],
      [TOR | 1n, address(AT.data + 0x40)],
    ];
    const denied = protectedBench(entries);
    denied.enter(0, access(sw(0, 10, 0), AT.data + 0x3c));
    expect(denied.machineTrap.cause).toBe(7n);
    const allowed = protectedBench(entries);
    allowed.enter(0, access(sw(0, 10, 0), AT.data + 0x40));
    expect(allowed.hart.state.pc).toBe(BigInt(AT.code) + 64n);
  });

  it('binds M-mode only when locked; a locked entry cannot be changed', () => {
    const open = protectedBench([[NAPOT, address(AT.data) | 0x1ffn]]);
    open.run(access(lw(11, 10, 0), AT.data), AT.code);
    expect(open.hart.state.pc).toBe(BigInt(AT.code) + 64n);
    const locked = protectedBench([[NAPOT | LOCK, address(AT.data) | 0x1ffn]]);
    locked.run(access(lw(11, 10, 0), AT.data), AT.code);
    expect(locked.machineTrap).toMatchObject({ cause: 5n, tval: BigInt(AT.data) });
    locked.setCsr(CSR.pmpcfg0, 0n);
    locked.setCsr(CSR.pmpaddr0, 0n);
    expect(locked.csr(CSR.pmpcfg0) & 0xffn).toBe(NAPOT | LOCK);
    expect(locked.csr(CSR.pmpaddr0)).toBe(address(AT.data) | 0x1ffn);
  });

  it('is asked for page tables as well', () => {
    const bench = protectedBench([[NAPOT, (BigInt(AT.tables) >> 2n) | 0x1fffn]]);
    bench.map(CODE, AT.code, V | R | X);
    bench.page();
    bench.enter(1, [nop], 0n, CODE);
    expect(bench.machineTrap).toMatchObject({ cause: 1n, tval: CODE });
  });

  it('divides code pages by the instruction', () => {
    const bench = protectedBench([[NA4 | 1n, address(AT.code + 8)]]);
    bench.enter(0, [addi(11, 0, 1), addi(11, 11, 1), addi(11, 11, 1), hang]);
    expect(bench.machineTrap).toMatchObject({ cause: 1n, tval: BigInt(AT.code + 8), epc: BigInt(AT.code + 8) });
    expect(bench.hart.state.x(11)).toBe(2n);
  });

  it('divides a page whose code has been executed before', () => {
    const words = [addi(11, 0, 1), addi(11, 11, 1), addi(11, 11, 1), hang];
    const bench = protectedBench([[0n, 0n]]);
    bench.enter(0, words);
    expect(bench.hart.state.x(11)).toBe(3n);
    bench.csr(CSR.mstatus); // back in M-mode
    bench.setCsr(CSR.pmpaddr0, address(AT.code + 8));
    bench.setCsr(CSR.pmpcfg0, NA4 | 1n | ((NAPOT | RWX) << 8n));
    bench.enter(0, words);
    expect(bench.machineTrap).toMatchObject({ cause: 1n, tval: BigInt(AT.code + 8), epc: BigInt(AT.code + 8) });
    expect(bench.hart.state.x(11)).toBe(2n);
  });
});

it('a hart reserves some MiB, of which it takes what its code needs', () => {
  expect(HART_STATE_BYTES).toBeLessThan(24 << 20);
});
