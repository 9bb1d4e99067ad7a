import { describe, expect, it } from 'vitest';
import { type Comparison, compare, judge } from '#harness/baseline/comparison.js';

const about = { workload: 'cpu/sieve', against: 'glibc', unit: 'units/CPU s', limit: 0.95 };
const comparison = (ratios: number[]): Comparison => ({ ...about, pairs: ratios.map((bare) => ({ bare, other: 1 })) });

describe('the baseline’s judgement', () => {
  it('is slow only where the whole interval is behind', () => {
    expect(judge(comparison([0.8, 0.81, 0.82, 0.8, 0.79, 0.81, 0.83, 0.8, 0.82]))).toBe('slow');
    expect(judge(comparison([0.7, 1.1, 0.94, 0.8, 1.2, 0.93, 1, 0.9, 0.94]))).toBe('undecided');
    expect(judge(comparison([0.97, 0.96, 0.99, 1.01, 0.98, 0.97, 0.98]))).toBe('ok');
  });

  it('measures on, with new processes, while the limit lies in the interval', async () => {
    let renewals = 0;
    const scattered = [0.7, 1.1, 0.94, 0.8, 1.2, 0.93, 1];
    const found = await compare(about, 7, {
      bare: async (round) => scattered[round],
      other: async () => 1,
      renew: async () => {
        renewals++;
      },
    });
    expect(found.pairs).toHaveLength(21);
    expect(renewals).toBe(3);
  });

  it('ends with the first batch that decides', async () => {
    for (const level of [0.5, 1]) {
      const found = await compare(about, 7, { bare: async (round) => level + round / 1000, other: async () => 1 });
      expect(found.pairs).toHaveLength(7);
    }
  });
});
