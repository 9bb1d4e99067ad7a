import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IoPolicy } from '#engines/io-policy.js';
import { TOLERANCE_NS } from '#engines/para/io-queue/rate.js';
import { Device } from '#engines/para/io-queue/records.js';
import { MS, SECOND, Simulation } from './simulation.js';

const clients = (bytes: number, device = Device.vbd as 0 | 1) =>
  [1, 2].map((domain) => ({ domain, depth: 16, bytes: () => bytes, device }));
const quick = () => 20_000;
/** Slow enough for those who have no cap. */
const brisk = () => 2 * MS;

/** Greatest and least number in windows of 250 ms, from the start. */
function windows(run: Simulation, value: (from: number, to: number) => number): [number, number] {
  const all = Array.from({ length: Math.floor(run.now / (250 * MS)) }, (_, i) =>
    value(i * 250 * MS, (i + 1) * 250 * MS),
  );
  return [Math.min(...all), Math.max(...all)];
}

describe('caps', () => {
  it.each<[string, IoPolicy, number, (run: Simulation, from: number, to: number) => number]>([
    [
      'operations of a domain',
      { order: 'fifo', domains: { d1: { opsPerSecond: 2000 } } },
      500,
      (run, from, to) => run.startedBy(1, from, to).length,
    ],
    [
      'bytes of a domain, in any order',
      { order: 'wfq', domains: { d1: { bytesPerSecond: 20e6 } } },
      5e6,
      (run, from, to) => run.bytesOf(1, from, to),
    ],
    [
      'operations of the device',
      { order: 'priority', devices: { vbd: { opsPerSecond: 4000 } } },
      1000,
      (run, from, to) => run.started.filter(({ at }) => at >= from && at < to).length,
    ],
    [
      'both of one domain: the one that is reached first',
      { order: 'deadline', domains: { d1: { opsPerSecond: 9000, bytesPerSecond: 8.192e6 } } },
      500,
      (run, from, to) => run.startedBy(1, from, to).length,
    ],
  ])('hold within 5 %%: %s', (_, policy, expected, value) => {
    for (const lateness of [0, 0.3 * MS, 2 * MS]) {
      const run = new Simulation({ policy, clients: clients(4096), service: brisk, lateness: () => lateness }).run(
        2 * SECOND,
      );
      const [least, most] = windows(run, (from, to) => value(run, from, to));
      expect(least).toBeGreaterThanOrEqual(0.95 * expected);
      expect(most).toBeLessThanOrEqual(1.05 * expected);
    }
  });

  it('never let through more than the rate and the tolerance, whatever the sizes and pauses', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 128 }), { minLength: 1, maxLength: 6 }),
        fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 50 }),
        (sectors, pauses, mbps) => {
          let [n, p] = [0, 0];
          const rate = mbps * 1e6;
          const run = new Simulation({
            policy: { order: 'fifo', domains: { d1: { bytesPerSecond: rate } } },
            clients: [
              {
                domain: 1,
                depth: 4,
                bytes: () => sectors[n++ % sectors.length] * 512,
                think: () => pauses[p++ % pauses.length] * MS,
              },
            ],
            service: quick,
          }).run(200 * MS);
          const largest = Math.max(...sectors) * 512;
          // More than rate x time in any interval: how far what was started is ahead of its least lead so far.
          let [sum, least, lead] = [0, 0, 0];
          for (const { bytes, at } of run.started) {
            least = Math.min(least, sum - (rate * at) / 1e9);
            sum += bytes;
            lead = Math.max(lead, sum - (rate * at) / 1e9 - least);
          }
          expect(lead).toBeLessThanOrEqual((rate * TOLERANCE_NS) / 1e9 + largest + 1);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('of one domain leave the other alone', () => {
    const capped = { order: 'fifo', domains: { d1: { opsPerSecond: 500 } } } as const;
    const run = new Simulation({ policy: capped, clients: clients(4096), service: () => MS }).run(SECOND);
    expect(run.startedBy(2).length).toBeGreaterThanOrEqual(16 * 990);
  });

  it('of the link are what domains share by weight', () => {
    const run = new Simulation({
      policy: { order: 'wfq', devices: { vif: { bytesPerSecond: 12.5e6 } }, domains: { d1: { weight: 400 } } },
      clients: [1, 2].map((domain) => ({ domain, depth: 8, bytes: () => 8 * 1514, device: Device.vif })),
      service: quick,
    }).run(SECOND);
    const [one, two] = [run.bytesOf(1), run.bytesOf(2)];
    expect((100 * one) / (one + two)).toBeCloseTo(80, 0);
    expect((one + two) / 12.5e6).toBeCloseTo(1, 1);
  });

  it('change while requests wait', () => {
    const run = new Simulation({
      policy: { order: 'fifo', domains: { d1: { opsPerSecond: 1 } } },
      clients: clients(4096).slice(0, 1),
      service: quick,
    });
    run.at(500 * MS, () => run.apply({ order: 'fifo', domains: { d1: { opsPerSecond: 1000 } } }));
    run.run(1500 * MS);
    expect(run.startedBy(1, 0, 500 * MS).length).toBeLessThanOrEqual(2);
    expect(run.startedBy(1, 500 * MS).length).toBeGreaterThanOrEqual(950);
    expect(run.startedBy(1, 500 * MS).length).toBeLessThanOrEqual(1050);
  });
});
