import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IRQ } from '#engines/full/cpu/layout.js';
import { Clint, clintStateBytes } from '#engines/full/devices/clint.js';
import { Clock } from '#engines/full/machine/clock.js';
import { access, freshState, RecordedLines } from './parts.js';

const HARTS = 3;
const msip = (hart: number) => 4 * hart;
const mtimecmp = (hart: number) => 0x4000 + 8 * hart;
const MTIME = 0xbff8;

function build() {
  const time = { now: 0 };
  const clock = { now: () => time.now, nsUntil: () => 0 } as unknown as Clock;
  const lines = new RecordedLines();
  const clint = new Clint(freshState(clintStateBytes(HARTS)), HARTS, clock, lines);
  clint.reset();
  return { clint, lines, time };
}

function setTimer(clint: Clint, hart: number, tick: number): void {
  clint.write(mtimecmp(hart), 4, tick % 2 ** 32);
  clint.write(mtimecmp(hart) + 4, 4, Math.floor(tick / 2 ** 32));
}

describe('CLINT', () => {
  it('msip is one bit a hart and drives MSIP', () => {
    const { clint, lines } = build();
    clint.write(msip(2), 4, 0xffff_ffff);
    expect(clint.read(msip(2), 4)).toBe(1);
    expect([0, 1, 2].map((hart) => lines.isUp(hart, IRQ.MSIP))).toEqual([false, false, true]);
    clint.write(msip(2), 4, 0);
    expect(lines.isUp(2, IRQ.MSIP)).toBe(false);
  });

  it('raises MTIP when mtime reaches mtimecmp, and lowers it when a later time is written', () => {
    const { clint, lines, time } = build();
    setTimer(clint, 1, 1000);
    time.now = 999;
    expect(clint.checkTimer(1, time.now)).toBe(1000);
    expect(lines.isUp(1, IRQ.MTIP)).toBe(false);
    time.now = 1000;
    expect(clint.checkTimer(1, time.now)).toBe(Number.POSITIVE_INFINITY);
    expect(lines.isUp(1, IRQ.MTIP)).toBe(true);
    setTimer(clint, 1, 2000);
    expect(lines.isUp(1, IRQ.MTIP)).toBe(false);
    expect(lines.timersChanged).toContain(1);
  });

  it('a time that has passed interrupts at once', () => {
    const { clint, lines, time } = build();
    time.now = 5;
    setTimer(clint, 0, 3);
    expect(lines.isUp(0, IRQ.MTIP)).toBe(true);
  });

  it('compares all 64 bits, as unsigned numbers', () => {
    const { clint, lines, time } = build();
    time.now = 2 ** 33;
    setTimer(clint, 0, 2 ** 33 + 1);
    expect(lines.isUp(0, IRQ.MTIP)).toBe(false);
    clint.write(mtimecmp(0) + 4, 4, 0xffff_ffff);
    expect(clint.checkTimer(0, time.now)).toBeGreaterThan(2 ** 60);
    expect(clint.read(mtimecmp(0) + 4, 4)).toBe(0xffff_ffff);
  });

  it('reset leaves no timer to expire', () => {
    const { clint, time } = build();
    time.now = 2 ** 50;
    expect(clint.checkTimer(2, time.now)).toBeGreaterThan(2 ** 60);
  });

  it('the two halves of an 8-byte read of mtime belong together', () => {
    const { clint, time } = build();
    time.now = 2 ** 32 - 1;
    expect(clint.read(MTIME, 4)).toBe(0xffff_ffff);
    time.now = 2 ** 32;
    expect(clint.read(MTIME + 4, 4)).toBe(0);
    expect(clint.read(MTIME + 4, 4)).toBe(1);
  });

  it('follows the host’s monotonic clock at 10 MHz', () => {
    const before = process.hrtime.bigint();
    const clock = new Clock(process.hrtime());
    const ticks = clock.now();
    const after = process.hrtime.bigint();
    expect(ticks).toBeGreaterThanOrEqual(0);
    expect(ticks).toBeLessThanOrEqual(Number(after - before) / 100);
    expect(new Clock([process.hrtime()[0] - 100, 0]).now()).toBeGreaterThanOrEqual(1_000_000_000);
  });

  it('never throws, whatever is accessed', () => {
    const step = fc.record({
      write: fc.boolean(),
      offset: fc.oneof(fc.nat(0xfffc), fc.integer({ min: 0x4000, max: 0x4020 }), fc.nat(16)),
      size: fc.constantFrom(1 as const, 2 as const, 4 as const),
      value: fc.nat(0xffff_ffff),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { clint } = build();
        for (const s of steps) access(clint, s);
        for (let hart = 0; hart < HARTS; hart++) clint.checkTimer(hart, 0);
      }),
    );
  });
});
