import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { answers, mix64, tool } from './native.js';

/** What `virtax-guest selftest` says, against other people's answers to the same questions. */
describe('algorithms of the workloads', () => {
  let said: Map<string, string>;
  let text: string;

  beforeAll(async () => {
    text = (await tool(['selftest'])).stdout;
    said = answers(text);
  });

  it('SHA-256 has the digest that FIPS 180-4 gives for "abc"', () => {
    expect(said.get('sha256 abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });

  it('memory moves right from every alignment to every other, overlapping or not', () => {
    expect(text).toContain('memmove wrong=0\n');
  });

  it('CRC-32 has its check value', () => {
    expect(said.get('crc32 check')).toBe('cbf43926');
  });

  it('SHA-256 agrees with OpenSSL around the ends of blocks', () => {
    for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 32768]) {
      const data = Buffer.from(Array.from({ length }, (_, i) => (i * 7 + 3) & 255));
      expect(said.get(`sha256 ${length}`)).toBe(createHash('sha256').update(data).digest('hex'));
    }
  });

  it.skipIf(crc32 === undefined)('CRC-32 agrees with zlib', () => {
    for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 32768]) {
      const data = Buffer.from(Array.from({ length }, (_, i) => (i * 7 + 3) & 255));
      expect(said.get(`crc32 ${length}`)).toBe(crc32(data).toString(16).padStart(8, '0'));
    }
  });

  it('the sieve finds the primes that trial division finds', () => {
    const primes = [2];
    for (let n = 3; n < 1 << 17; n += 2) {
      let k = 0;
      while (primes[k] * primes[k] <= n && n % primes[k] !== 0) k++;
      if (primes[k] * primes[k] > n) primes.push(n);
    }
    expect(primes.length).toBe(12251); // OEIS A007053
    expect(text).toContain(`primes ${primes.length} ${primes.reduce((sum, prime) => sum + prime, 0)}\n`);
  });

  it('nbody has the energies that the benchmark game publishes for 0 and 1000 steps', () => {
    expect(said.get('nbody 0')).toBe('-0.169075164');
    expect(said.get('nbody 1000')).toBe('-0.169087605');
  });

  it('quicksort sorts and loses nothing, with many equal values too', () => {
    expect(text.match(/^quicksort \d+ disorder=0 lost=0$/gm)).toHaveLength(5);
  });

  it('a matrix times the unit matrix is itself', () => {
    expect(text).toContain('matmul wrong=0\n');
  });

  it('points inside the Mandelbrot set never escape, others when they should', () => {
    // 33 steps at -0.75 + 0.1i: known from the count that tends to pi over the distance to the cusp.
    expect(text).toContain('mandelbrot 1000 1 33\n');
  });

  it('a shuffle of block numbers gives each exactly once', () => {
    expect(text.match(/^shuffle \d+ repeated=0$/gm)).toHaveLength(7);
  });

  it('mix64 is the finalizer of splitmix64', () => {
    expect(text).toContain(`mix64 ${'0'.repeat(16)} e220a8397b1dcdaf\n`); // first output of splitmix64 seeded with 0
    expect(mix64(0x9e3779b97f4a7c15n)).toBe(0xe220a8397b1dcdafn);
  });

  it('text is formatted, parsed and matched as in C', () => {
    expect(text).toContain('format   -42|7    |-0042|beef|123456789abcdef|text|c|%|64\n');
    expect(text).toContain('format-cut 9 1234\n');
    expect(text).toContain('number 0 -1 -1 -1\n');
    expect(text).toContain('glob 11010\n');
  });
});
