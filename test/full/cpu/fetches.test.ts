import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '#engines/full/cpu/hart.js';
import { OFFSET } from '#engines/full/cpu/layout.js';
import { AT, Bench, PTE } from './support/boot.js';
import { addi, fenceI, hang, jal, jalr, nop } from './support/encode.js';

// Code that is changed in many pages at once, and instructions that lie in two: in the interpreter, where fetches fill the TLB.

const { V, R, X, A } = PTE;
const PAGE = 4096;
const CODE = 0x10_0000n;
const CHAIN = 0x20_0020_0000n;
const PAGES = RAM_BASE + 0x20_0000;

/** A page adds `amount` to x11, in an instruction that lies half in the page before (compressed nops lead to it), and goes to the next one. */
function writeChain(bench: Bench, pages: number, amount: (page: number) => number): void {
  for (let page = 0; page < pages; page++) {
    bench.machine.code([jal(0, PAGE - 6)], PAGES + page * PAGE + 4);
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(addi(11, 11, amount(page)) | 0);
    bench.machine.bytes(PAGES + (page + 1) * PAGE - 2, 4).set(bytes);
    // Behind the second half: to the jump, which is reached by a compressed nop.
    bench.machine.bytes(PAGES + (page + 1) * PAGE + 2, 2).set([1, 0]);
  }
  bench.machine.code([jalr(0, 1, 0)], PAGES + pages * PAGE + 4);
}

const callChain = (...between: number[]): number[] => [...between, jalr(1, 13, 0), nop, hang];

/** Sums before and after the code was changed. */
function sums(mode: 'M' | 'S', pages: number, fence: number): [bigint, bigint] {
  const bench = new Bench('off');
  const { state } = bench.hart;
  const start = mode === 'M' ? BigInt(PAGES) : CHAIN;
  bench.map(CODE, AT.code, V | R | X | A);
  for (let page = 0; page <= pages; page++) bench.map(CHAIN + BigInt(page * PAGE), PAGES + page * PAGE, V | R | X | A);
  writeChain(bench, pages, () => 1);
  bench.page();
  const go = (words: number[]): bigint => {
    state.setX(11, 0n);
    state.setX(13, start + 4n);
    if (mode === 'M') bench.run(words, AT.code);
    else bench.enter(1, words, 0n, CODE);
    bench.continue(pages * 4 + 100);
    return state.x(11);
  };
  const before = go(callChain());
  writeChain(bench, pages, (page) => page + 2);
  state.set(OFFSET.privilege, (state.get(OFFSET.privilege) & ~0xffff_ffffn) | 3n);
  return [before, go(callChain(fence))];
}

describe.each(['M', 'S'] as const)('code in %s-mode', (mode) => {
  it.each([3, 60, 70, 200])(
    'that was changed in %i pages, in instructions that lie in two, is executed after fence.i',
    (pages) => {
      const changed = (pages * (pages - 1)) / 2 + 2 * pages;
      expect(sums(mode, pages, fenceI)).toEqual([BigInt(pages), BigInt(changed)]);
    },
  );
});
