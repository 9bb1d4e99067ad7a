import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '#engines/full/cpu/hart.js';
import { EVENT } from '#engines/full/cpu/layout.js';
import type { TranslateMode } from '#engines/full/cpu/translator/translator.js';
import { AT, Bench } from './support/boot.js';
import { add, addi, blt, bne, hang, jal, jalr, ld, li, sd, slli } from './support/encode.js';

// Functions that call themselves and each other. Slices end anywhere in them, so regions begin in their middle too. What they
// compute is computed here as well, by functions of JavaScript.

/** f(n): for n <= 0 adds `leaf`; otherwise calls two functions with less, and mixes before, between and after. */
interface Mutual {
  leaf: number;
  first: { callee: number; less: number };
  mixed: number;
  second: { callee: number; less: number };
  last: number;
}

const [RA, SP, N, SUM, SCRATCH, TOTAL, LEFT] = [1, 2, 10, 11, 12, 13, 14];
const CODE = RAM_BASE + 0x4000;
const FUNCTION_WORDS = 32;
const FIRST_FUNCTION = 32;
const STACK = AT.data + 0xff0;
const ret = jalr(0, RA, 0);

const small = fc.integer({ min: -2048, max: 2047 });
const program = fc.integer({ min: 1, max: 3 }).chain((count) => {
  const call = fc.record({ callee: fc.nat(count - 1), less: fc.integer({ min: 1, max: 3 }) });
  const one: fc.Arbitrary<Mutual> = fc.record({ leaf: small, first: call, mixed: small, second: call, last: small });
  return fc.array(one, { minLength: count, maxLength: count });
});

function functionWords({ leaf, first, mixed, second, last }: Mutual, index: number): number[] {
  const words: number[] = [];
  const call = ({ callee, less }: Mutual['first']): void => {
    words.push(addi(N, N, -less));
    words.push(jal(RA, 4 * ((callee - index) * FUNCTION_WORDS - words.length)));
  };
  words.push(blt(0, N, 12), addi(SUM, SUM, leaf), ret, addi(SP, SP, -16), sd(RA, SP, 0), sd(N, SP, 8));
  call(first);
  words.push(ld(N, SP, 8), slli(SCRATCH, SUM, 1), add(SUM, SUM, SCRATCH), addi(SUM, SUM, mixed));
  call(second);
  words.push(ld(RA, SP, 0), addi(SP, SP, 16), addi(SUM, SUM, last), ret);
  return [...words, ...Array.from({ length: FUNCTION_WORDS - words.length }, () => hang)];
}

/** Calls the first function some times, and adds what comes of it. */
function mainWords(n: number, times: number): number[] {
  const start = [...li(SP, BigInt(STACK)), addi(LEFT, 0, times), addi(TOTAL, 0, 0), addi(SUM, 0, 0)];
  const words = [...start, addi(N, 0, n)];
  words.push(jal(RA, 4 * (FIRST_FUNCTION - words.length)));
  words.push(add(TOTAL, TOTAL, SUM), addi(LEFT, LEFT, -1));
  words.push(bne(LEFT, 0, 4 * (start.length - words.length)), hang);
  return [...words, ...Array.from({ length: FIRST_FUNCTION - words.length }, () => hang)];
}

function expected(functions: readonly Mutual[], n: number, times: number): bigint {
  let [sum, total] = [0n, 0n];
  const run = (index: number, left: number): void => {
    const { leaf, first, mixed, second, last } = functions[index];
    if (left <= 0) {
      sum += BigInt(leaf);
      return;
    }
    run(first.callee, left - first.less);
    sum = sum * 3n + BigInt(mixed);
    run(second.callee, left - second.less);
    sum += BigInt(last);
  };
  for (let left = times; left > 0; left--) {
    run(0, n);
    sum = BigInt.asUintN(64, sum);
    total += sum;
  }
  return BigInt.asUintN(64, total);
}

function run(mode: TranslateMode, functions: readonly Mutual[], n: number, times: number, slice: number): Bench {
  const bench = new Bench(mode);
  bench.run([...mainWords(n, times), ...functions.flatMap(functionWords)], CODE);
  for (let turn = 0; turn < 200_000 && bench.hart.state.x(LEFT) !== 0n; turn++) bench.continue(slice);
  return bench;
}

describe.each(['off', 'forced'] as const)('recursive functions, translation %s', (mode) => {
  it('compute what they must, wherever slices end', () => {
    const property = fc.property(
      program,
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 30, max: 3000 }),
      (...how) => {
        const [functions, n, slice] = how;
        const { state } = run(mode, functions, n, 5, slice).hart;
        expect(BigInt.asUintN(64, state.x(TOTAL))).toBe(expected(functions, n, 5));
        expect(state.x(SP)).toBe(BigInt(STACK));
      },
    );
    fc.assert(property, { numRuns: 40 });
  });
});

it('a function that calls itself is executed in one region, where its caller is in it as well', () => {
  const call = { callee: 0, less: 1 };
  const functions = [{ leaf: 1, first: call, mixed: 0, second: call, last: 0 }];
  const { hart } = run('forced', functions, 3, 1000, 100_000);
  expect(hart.state.x(LEFT)).toBe(0n);
  expect(hart.state.count(EVENT.regionChains)).toBeLessThan(100);
});
