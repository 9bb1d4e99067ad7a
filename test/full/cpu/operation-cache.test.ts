import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode, toOperation } from '#engines/full/cpu/host/decoder.js';
import { OperationCache } from '#engines/full/cpu/host/operation-cache.js';

const offsets = fc.integer({ min: 0, max: 2047 }).map((half) => half * 2);
const encoding = fc.oneof(
  fc.integer({ min: 0, max: 0xffff }).filter((bits) => (bits & 3) !== 3),
  fc.integer().map((bits) => bits | 3),
  // Branches and jumps, which depend on where they stand.
  fc.integer().map((bits) => (bits & ~0x7f) | 0x63),
  fc.integer().map((bits) => (bits & ~0x7f) | 0x6f),
);

describe('memory of decoded operations', () => {
  it('says what decoding says, the first time and later', () => {
    const cache = new OperationCache();
    fc.assert(
      fc.property(encoding, fc.array(offsets, { minLength: 1, maxLength: 3 }), (insn, places) => {
        for (const offset of places)
          expect(cache.operation(insn, offset)).toMatchObject(toOperation(decode(insn), offset));
      }),
      { numRuns: 3000 },
    );
  });

  it('says so before and after it has grown', () => {
    const cache = new OperationCache();
    const insns = Array.from({ length: 20_000 }, (_, n) => (Math.imul(n, 0x0100_4001) << 7) | 0x13 | (n & 0x60));
    for (const insn of [...insns, ...insns]) {
      expect(cache.operation(insn, 8)).toMatchObject(toOperation(decode(insn), 8));
    }
  });
});
