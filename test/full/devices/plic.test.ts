import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IRQ } from '#engines/full/cpu/layout.js';
import { Plic, plicStateBytes } from '#engines/full/devices/plic.js';
import { access, freshState, RecordedLines } from './parts.js';

const HARTS = 2;
const priority = (source: number) => 4 * source;
const enable = (context: number, word: number) => 0x2000 + 0x80 * context + 4 * word;
const threshold = (context: number) => 0x20_0000 + 0x1000 * context;
const claim = (context: number) => threshold(context) + 4;
const PENDING = 0x1000;
/** Contexts of hart 1. */
const M1 = 2;
const S1 = 3;

function build() {
  const lines = new RecordedLines();
  const plic = new Plic(freshState(plicStateBytes(HARTS)), HARTS, lines);
  plic.reset();
  return { plic, lines };
}

/** Source enabled for a context at a priority. */
function route(plic: Plic, source: number, context: number, level = 1): void {
  plic.write(priority(source), 4, level);
  const at = enable(context, source >> 5);
  plic.write(at, 4, (plic.read(at, 4) | (1 << (source & 31))) >>> 0);
}

describe('PLIC', () => {
  it('drives SEIP of the hart whose S context enables the source, and nothing else', () => {
    const { plic, lines } = build();
    route(plic, 10, S1);
    plic.setLevel(10, true);
    expect(lines.isUp(1, IRQ.SEIP)).toBe(true);
    expect(lines.isUp(1, IRQ.MEIP)).toBe(false);
    expect(lines.levels[0]).toBe(0);
  });

  it('drives MEIP for the M context', () => {
    const { plic, lines } = build();
    route(plic, 33, M1);
    plic.setLevel(33, true);
    expect(lines.isUp(1, IRQ.MEIP)).toBe(true);
  });

  it('a claim takes the request, lowers the line, and a second claim finds nothing', () => {
    const { plic, lines } = build();
    route(plic, 10, S1);
    plic.setLevel(10, true);
    expect(plic.read(PENDING, 4)).toBe(1 << 10);
    expect(plic.read(claim(S1), 4)).toBe(10);
    expect(plic.read(PENDING, 4)).toBe(0);
    expect(lines.isUp(1, IRQ.SEIP)).toBe(false);
    expect(plic.read(claim(S1), 4)).toBe(0);
  });

  it('forwards no second request before completion, and one at completion while the level stays', () => {
    const { plic, lines } = build();
    route(plic, 10, S1);
    plic.setLevel(10, true);
    plic.read(claim(S1), 4);
    plic.setLevel(10, false);
    plic.setLevel(10, true);
    expect(plic.read(PENDING, 4)).toBe(0);
    plic.write(claim(S1), 4, 10);
    expect(lines.isUp(1, IRQ.SEIP)).toBe(true);
    expect(plic.read(claim(S1), 4)).toBe(10);
    plic.setLevel(10, false);
    plic.write(claim(S1), 4, 10);
    expect(lines.isUp(1, IRQ.SEIP)).toBe(false);
  });

  it('keeps a request that was forwarded when the line falls before the claim', () => {
    const { plic } = build();
    route(plic, 10, S1);
    plic.setLevel(10, true);
    plic.setLevel(10, false);
    expect(plic.read(claim(S1), 4)).toBe(10);
  });

  it('a source of events makes no request of what the handler has left, and one of what came meanwhile', () => {
    const lines = new RecordedLines();
    const plic = new Plic(freshState(plicStateBytes(HARTS)), HARTS, lines, [10]);
    plic.reset();
    route(plic, 10, S1);
    plic.setLevel(10, true);
    expect(plic.read(claim(S1), 4)).toBe(10);
    plic.write(claim(S1), 4, 10);
    expect(lines.isUp(1, IRQ.SEIP)).toBe(false);

    plic.setLevel(10, true);
    expect(plic.read(claim(S1), 4)).toBe(10);
    plic.setLevel(10, true);
    expect(lines.isUp(1, IRQ.SEIP)).toBe(false);
    expect(plic.read(claim(S1), 4)).toBe(0);
    plic.write(claim(S1), 4, 10);
    expect(lines.isUp(1, IRQ.SEIP)).toBe(true);
    plic.setLevel(10, false);
    expect(lines.isUp(1, IRQ.SEIP)).toBe(false);
  });

  it('claims by priority, the lowest number first among equals', () => {
    const { plic } = build();
    route(plic, 40, S1, 3);
    route(plic, 5, S1, 2);
    route(plic, 6, S1, 2);
    for (const source of [6, 5, 40]) plic.setLevel(source, true);
    const claims = [1, 2, 3, 4].map(() => plic.read(claim(S1), 4));
    expect(claims).toEqual([40, 5, 6, 0]);
  });

  it('a threshold hides requests from the line, not from a claim; priority 0 never interrupts', () => {
    const { plic, lines } = build();
    plic.write(threshold(S1), 4, 2);
    route(plic, 10, S1, 2);
    plic.setLevel(10, true);
    expect(lines.isUp(1, IRQ.SEIP)).toBe(false);
    plic.write(threshold(S1), 4, 1);
    expect(lines.isUp(1, IRQ.SEIP)).toBe(true);
    plic.write(priority(10), 4, 0);
    expect(lines.isUp(1, IRQ.SEIP)).toBe(false);
    expect(plic.read(claim(S1), 4)).toBe(0);
  });

  it('ignores a completion by a context that has not enabled the source', () => {
    const { plic, lines } = build();
    route(plic, 10, S1);
    plic.setLevel(10, true);
    plic.read(claim(S1), 4);
    plic.write(claim(M1), 4, 10);
    expect(lines.isUp(1, IRQ.SEIP)).toBe(false);
  });

  it('lets only one of two contexts claim a request', () => {
    const { plic, lines } = build();
    route(plic, 10, S1);
    route(plic, 10, 1);
    plic.setLevel(10, true);
    expect([lines.isUp(0, IRQ.SEIP), lines.isUp(1, IRQ.SEIP)]).toEqual([true, true]);
    expect(plic.read(claim(1), 4)).toBe(10);
    expect(plic.read(claim(S1), 4)).toBe(0);
    expect([lines.isUp(0, IRQ.SEIP), lines.isUp(1, IRQ.SEIP)]).toEqual([false, false]);
  });

  it('a request that waits moves with the enable bits: a driver gives a source to another hart', () => {
    const { plic, lines } = build();
    const S0 = 1;
    route(plic, 35, S0);
    plic.setLevel(35, true);
    expect([lines.isUp(0, IRQ.SEIP), lines.isUp(1, IRQ.SEIP)]).toEqual([true, false]);
    plic.write(enable(S0, 1), 4, 0);
    route(plic, 35, S1);
    expect([lines.isUp(0, IRQ.SEIP), lines.isUp(1, IRQ.SEIP)]).toEqual([false, true]);
    plic.write(threshold(S1), 4, 7);
    expect(lines.isUp(1, IRQ.SEIP)).toBe(false);
    plic.write(threshold(S1), 4, 0);
    expect(plic.read(claim(S0), 4)).toBe(0);
    expect(plic.read(claim(S1), 4)).toBe(35);
    plic.write(claim(S1), 4, 35);
    expect([lines.isUp(0, IRQ.SEIP), lines.isUp(1, IRQ.SEIP)]).toEqual([false, true]);
  });

  it('has 96 sources and 3 bits of priority', () => {
    const { plic } = build();
    plic.write(priority(96), 4, 0xffff_ffff);
    plic.write(priority(97), 4, 7);
    plic.write(enable(0, 0), 4, 0xffff_ffff);
    expect(plic.read(priority(96), 4)).toBe(7);
    expect(plic.read(priority(97), 4)).toBe(0);
    expect(plic.read(enable(0, 0), 4)).toBe(0xffff_fffe);
  });

  it('never throws, whatever is accessed, and answers within the access', () => {
    const step = fc.record({
      write: fc.boolean(),
      offset: fc.oneof(fc.nat(0x5f_fffc), fc.nat(0x3000), fc.integer({ min: 0x20_0000, max: 0x20_4000 })),
      size: fc.constantFrom(1 as const, 2 as const, 4 as const),
      value: fc.nat(0xffff_ffff),
      source: fc.integer({ min: 1, max: 96 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { plic } = build();
        for (const s of steps) {
          access(plic, s);
          plic.setLevel(s.source, s.write);
        }
      }),
    );
  });
});
