import { describe, expect, it } from 'vitest';
import { HartExit, IRQ } from '#engines/full/cpu/hart.js';
import { SupervisorTimer } from '#engines/full/cpu/host/supervisor-timer.js';
import { OFFSET } from '#engines/full/cpu/layout.js';
import { AT, Bench } from './support/boot.js';
import { CSR, csrrs, csrrw, hang, li } from './support/encode.js';

// "Sstc" extension 1.0, chapter 2: cases computed by hand.

const STCE = 1n << 63n;
const TM = 2n;
const STIP = BigInt(IRQ.STIP);
const SIE = 1n << 1n;
const TIMER_INTERRUPT = (1n << 63n) | 5n;

/** A bench whose clock stands at 1000. */
function bench(stce = true): Bench {
  const made = new Bench();
  made.machine.ticks = 1000;
  if (stce) made.setCsr(CSR.menvcfg, STCE);
  return made;
}

const stip = (b: Bench): bigint => b.csr(CSR.mip) & STIP;

function timerOf(b: Bench): SupervisorTimer {
  const i32 = new Int32Array(b.machine.memory.buffer);
  return new SupervisorTimer(i32, 0x1_0000 >> 2);
}

describe('Sstc', () => {
  it('menvcfg has STCE', () => {
    expect(bench().csr(CSR.menvcfg)).toBe(STCE);
  });

  it.each([
    [999n, STIP],
    [1000n, STIP],
    [1001n, 0n],
    [-1n, 0n],
    [1n << 32n, 0n],
  ])('STIP says whether time has reached stimecmp: %d at 1000', (compare, expected) => {
    const b = bench();
    b.setCsr(CSR.stimecmp, compare);
    expect(stip(b)).toBe(expected);
    expect(b.csr(CSR.stimecmp)).toBe(BigInt.asUintN(64, compare));
  });

  it('a later stimecmp takes the interrupt back', () => {
    const b = bench();
    b.setCsr(CSR.stimecmp, 0n);
    expect(stip(b)).toBe(STIP);
    b.setCsr(CSR.stimecmp, 2000n);
    expect(stip(b)).toBe(0n);
  });

  it('rises when the clock comes there, and is told once', () => {
    const b = bench();
    b.setCsr(CSR.stimecmp, 1500n);
    const timer = timerOf(b);
    expect(timer.check(1499)).toBe(1500);
    expect(stip(b)).toBe(0n);
    expect(timer.check(1500)).toBe(0);
    expect(stip(b)).toBe(STIP);
    expect(timer.check(1501)).toBe(Number.POSITIVE_INFINITY);
  });

  it('with STCE, STIP in mip is read-only; without, it is M-mode’s to write and stimecmp means nothing', () => {
    const on = bench();
    on.setCsr(CSR.stimecmp, -1n);
    on.setCsr(CSR.mip, STIP);
    expect(stip(on)).toBe(0n);
    const off = bench(false);
    off.setCsr(CSR.stimecmp, 0n);
    expect(stip(off)).toBe(0n);
    off.setCsr(CSR.mip, STIP);
    expect(stip(off)).toBe(STIP);
    expect(timerOf(off).check(1e6)).toBe(Number.POSITIVE_INFINITY);
  });

  it('turning it on drops what M-mode has put into mip, turning it off lowers the line', () => {
    const b = bench(false);
    b.setCsr(CSR.stimecmp, 5000n);
    b.setCsr(CSR.mip, STIP);
    b.setCsr(CSR.menvcfg, STCE);
    expect(stip(b)).toBe(0n);
    b.setCsr(CSR.stimecmp, 0n);
    expect(stip(b)).toBe(STIP);
    b.setCsr(CSR.menvcfg, 0n);
    expect(stip(b)).toBe(0n);
  });

  it.each([
    ['STCE and TM', STCE, TM, true],
    ['no STCE', 0n, TM, false],
    ['no TM', STCE, 0n, false],
  ] as const)('S reaches stimecmp with %s: %o', (_name, stce, tm, allowed) => {
    const b = bench(false);
    b.setCsr(CSR.menvcfg, stce);
    b.setCsr(CSR.mcounteren, tm);
    b.enter(1, [...li(10, 7777n), csrrw(0, CSR.stimecmp, 10), csrrs(11, CSR.stimecmp, 0), hang]);
    if (allowed) expect(b.hart.state.x(11)).toBe(7777n);
    else expect(b.machineTrap.cause).toBe(2n);
  });

  it('interrupts S, delegated, as soon as it is set to the past', () => {
    const b = bench();
    b.setCsr(CSR.mcounteren, TM);
    b.setCsr(CSR.mideleg, STIP);
    b.setCsr(CSR.mie, STIP);
    b.enter(1, [...li(10, 1n), csrrw(0, CSR.stimecmp, 10), hang], SIE);
    expect(b.supervisorTrap).toMatchObject({ cause: TIMER_INTERRUPT, at: BigInt(AT.supervisorTrap) });
  });

  it('ends a wait', () => {
    const b = bench();
    b.setCsr(CSR.mie, STIP);
    b.setCsr(CSR.stimecmp, 2000n);
    b.machine.code([0x10500073, hang], AT.code); // wfi
    b.hart.state.pc = BigInt(AT.code);
    expect(b.hart.run(100)).toBe(HartExit.Wfi);
    expect(timerOf(b).check(2000)).toBe(0);
    expect(b.hart.state.get(OFFSET.irqLines) & STIP).toBe(STIP);
    expect(b.hart.lines.attentive).toBe(true);
  });
});
