import { describe, expect, it } from 'vitest';
import { foldChecksums, wrongAnswers } from '#harness/checksums.js';
import { clockDriftPct, figure, NoFigure, windowNs } from '#harness/figures.js';
import { timedSample } from '#harness/sample.js';
import type { SampleResult } from '../../engines/engine.js';
import { mockSpec, VirtualClock } from '../support/mock-engine.mjs';

const HOUR = 3_600_000_000_000n; // far from 0: stamps are times since boot
function result(startMs: number, stopMs: number, over: Partial<SampleResult> = {}): SampleResult {
  return {
    startNs: HOUR + BigInt(startMs * 1e6),
    stopNs: HOUR + BigInt(stopMs * 1e6),
    guestNs: (stopMs - startMs) * 1e6,
    units: 1,
    ops: 100,
    checksum: '00000000000000aa',
    errors: 0,
    cpuSeconds: 0.1,
    counters: {},
    ...over,
  };
}

describe('figure', () => {
  it('of throughput: all operations over the window from the first start to the last stop', () => {
    const vms = [result(0, 250, { ops: 100 }), result(50, 500, { ops: 300 })];
    expect(windowNs(vms)).toBe(500e6);
    expect(windowNs([...vms].reverse())).toBe(500e6);
    expect(figure(mockSpec(), vms)).toBeCloseTo(800, 9);
    expect(figure(mockSpec({ scale: 1e-6, unit: 'MB/s' }), vms)).toBeCloseTo(0.0008, 12);
  });

  it('of time per operation: the VMs’ own time over all their operations', () => {
    const spec = mockSpec({ metric: 'time-per-op', unit: 'ns' });
    expect(figure(spec, [result(0, 1)])).toBe(10_000);
    expect(figure(spec, [result(0, 1, { ops: 100 }), result(5, 7, { ops: 300 })])).toBe(7500);
  });

  it('of reported times: their mean, weighted by operations', () => {
    const spec = mockSpec({ metric: 'reported', unit: 'ns' });
    const vms = [result(0, 1, { ops: 1, reportedNs: 100 }), result(0, 1, { ops: 3, reportedNs: 200 })];
    expect(figure(spec, vms)).toBe(175);
    expect(() => figure(spec, [result(0, 1)])).toThrow(NoFigure);
  });

  it('is none where nothing was done or no time passed', () => {
    expect(() => figure(mockSpec(), [result(0, 1, { ops: 0 })])).toThrow(/not one operation/);
    expect(() => figure(mockSpec(), [result(0, 0)])).toThrow(/no time/);
    expect(() => figure(mockSpec(), [result(2, 1)])).toThrow(NoFigure);
    expect(() => figure(mockSpec(), [result(0, 1, { ops: Number.NaN })])).toThrow(NoFigure);
  });
});

it('drift is the worst VM’s, with its sign', () => {
  const vms = [result(0, 100, { guestNs: 100.2e6 }), result(0, 100, { guestNs: 99e6 })];
  expect(clockDriftPct(vms)).toBeCloseTo(-1, 9);
  expect(clockDriftPct([result(0, 0)])).toBe(0);
});

describe('wrongAnswers', () => {
  it('compares VM by VM with the preferred engine that took part', () => {
    const answers = new Map([
      ['full', ['a', 'b']],
      ['bare', ['a', 'c']],
      ['para', ['a', 'c']],
    ]);
    expect([...wrongAnswers(answers, ['bare']).keys()]).toEqual(['full']);
    expect(wrongAnswers(answers, ['bare']).get('full')).toMatch(/checksum b, where bare has c \(VM 1/);
    expect([...wrongAnswers(answers, ['nobody']).keys()]).toEqual(['bare', 'para']);
    expect(wrongAnswers(new Map(), ['bare']).size).toBe(0);
  });

  it('folds the answers of several VMs in their order', () => {
    const [a, b] = [result(0, 1, { checksum: '0000000000000001' }), result(0, 1, { checksum: '0000000000000002' })];
    expect(foldChecksums([a])).toBe('0000000000000001');
    expect(foldChecksums([a, b])).toMatch(/^[0-9a-f]{16}$/);
    expect(foldChecksums([a, b])).not.toBe(foldChecksums([b, a]));
  });
});

describe('timedSample', () => {
  it('is timed by the doorbells, whatever the clock of the harness does meanwhile', async () => {
    const clock = new VirtualClock();
    const sample = await timedSample('x', clock, async () => {
      clock.ns += 77_000_000_000n;
      return [result(0, 250), result(1, 251.5)];
    });
    expect(sample.windowNs).toBeCloseTo(251.5e6, 3);
    expect(sample.results).toHaveLength(2);
  });

  it('takes one sample, and hands a failure on as it is', async () => {
    let taken = 0;
    const error = new Error('gone');
    const failing = timedSample('x', new VirtualClock(), () => {
      taken++;
      return Promise.reject(error);
    });
    await expect(failing).rejects.toBe(error);
    expect(taken).toBe(1);
  });
});
