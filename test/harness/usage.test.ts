import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, formatFigure } from '#harness/format.js';
import {
  formatSize,
  globMatches,
  parseCounts,
  parseSize,
  parseWords,
  selectByGlobs,
  UsageError,
  unknownName,
} from '#harness/usage.js';

describe('sizes', () => {
  it.each([
    ['4096', 4096],
    ['64K', 65536],
    ['128M', 2 ** 27],
    ['128MiB', 2 ** 27],
    ['1g', 2 ** 30],
    ['1.5G', 3 * 2 ** 29],
    ['2TB', 2 ** 41],
  ])('%s are %i bytes', (text, bytes) => expect(parseSize(text, '--x')).toBe(bytes));

  it.each(['', '0', '-1', 'M', '1X', '1..5G', '0x10', '1e3', '1.0000001K', '99999999999T', 'NaN', '1 0'])(
    '%s is none',
    (text) => expect(() => parseSize(text, '--memory')).toThrow(/^--memory: .*is no size/),
  );

  it('are written as they are read', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1023 }), fc.constantFrom('K', 'M', 'G'), (n, unit) => {
        expect(parseSize(formatSize(parseSize(`${n}${unit}`, 'x')).replace(' ', ''), 'x')).toBe(
          parseSize(`${n}${unit}`, 'x'),
        );
      }),
    );
  });
});

describe('lists', () => {
  it('of counts are sorted, each once', () => expect(parseCounts('4,1,2,1', '--vms')).toEqual([1, 2, 4]));
  it.each(['', '0', '33', '1,', '1;2', '1.5', 'one', '-1'])('of counts: %j is refused', (text) =>
    expect(() => parseCounts(text, '--vms')).toThrow(UsageError),
  );
  it('of words have no empty one', () => {
    expect(parseWords('a, b,a', 'x')).toEqual(['a', 'b']);
    expect(() => parseWords('a,,b', 'x')).toThrow(UsageError);
  });
});

describe('globs', () => {
  it('match whole names, and nothing else is special in them', () => {
    expect(globMatches('cpu/*', 'cpu/sieve')).toBe(true);
    expect(globMatches('cpu', 'cpu/sieve')).toBe(false);
    expect(globMatches('block/randread-4k-qd?', 'block/randread-4k-qd1')).toBe(true);
    expect(globMatches('block/randread-4k-qd?', 'block/randread-4k-qd32')).toBe(false);
    expect(globMatches('a.b(', 'a.b(')).toBe(true);
    expect(globMatches('a.b', 'axb')).toBe(false);
  });
  it('that match nothing are an error', () => {
    expect(selectByGlobs(['b*', 'a'], ['a', 'b', 'c'], 'workload', 'x')).toEqual(['a', 'b']);
    expect(() => selectByGlobs(['a', 'z*'], ['a', 'b'], 'workload', 'x')).toThrow(/unknown workload "z\*"/);
  });
});

it('a wrong name is answered with the nearest ones', () => {
  const known = ['cpu/sieve', 'cpu/sha256', 'net/udp-rr'];
  expect(unknownName('workload', 'seive', known).message).toMatch(/did you mean cpu\/sieve\?/);
  expect(unknownName('workload', 'net/udp_rr', known).message).toMatch(/did you mean net\/udp-rr\?/);
  expect(unknownName('workload', 'qqqqqqqqqqqq', known).message).toMatch(/known: cpu\/sieve, cpu\/sha256, net\/udp-rr/);
});

it('figures have four significant digits, times minutes and seconds', () => {
  expect([1234567, 1234.5, 56.784, 0.012345, 0, null].map(formatFigure)).toEqual([
    '1 234 567',
    '1 235',
    '56.78',
    '0.01235',
    '0',
    '–',
  ]);
  expect([0, 59_600, 83_000, 3_723_000].map(formatDuration)).toEqual(['0:00', '1:00', '1:23', '1:02:03']);
});
