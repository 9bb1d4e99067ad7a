/** A policy that changes while requests wait: none is lost, none is done twice, and what waited is in the new order. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type IoPolicy, ORDERS } from '#engines/io-policy.js';
import { deviceWord, QUEUE, QUEUE_HEADER_WORD } from '#engines/para/hypervisor-memory.js';
import { Device, REC } from '#engines/para/io-queue/records.js';
import { MS, SECOND, Simulation } from './simulation.js';

const DOMAINS = 3;
const policies: fc.Arbitrary<IoPolicy> = fc.record({
  order: fc.constantFrom(...ORDERS),
  devices: fc.record({ vbd: fc.record({ depth: fc.integer({ min: 1, max: 6 }) }) }),
  domains: fc.dictionary(
    fc.constantFrom('d1', 'd2', '3'),
    fc.record(
      {
        class: fc.integer({ min: 0, max: 7 }),
        weight: fc.integer({ min: 1, max: 1000 }),
        opsPerSecond: fc.constantFrom(undefined, 200, 5000),
        latencyTargetMs: fc.constantFrom(undefined, 1, 20),
      },
      { requiredKeys: [] },
    ),
  ),
});

describe('changing the policy under load', () => {
  it('loses no request and does none twice', () => {
    fc.assert(
      fc.property(fc.array(policies, { minLength: 2, maxLength: 6 }), (changes) => {
        const clients = Array.from({ length: DOMAINS }, (_, i) => ({
          ...{ domain: i + 1, depth: 6, bytes: () => 4096, until: 200 * MS },
        }));
        const run = new Simulation({ policy: changes[0], clients, service: (_, n) => n * 300_000 });
        changes.slice(1).forEach((policy, i) => {
          run.at((i + 1) * 23 * MS, () => run.apply(policy));
        });
        run.at(200 * MS, () => run.apply({ order: 'fifo' })); // no cap holds anything back to the end of time
        run.run(SECOND);
        expect(run.finished.length).toBe(run.admissions);
        expect(new Set(run.started.map(({ slot, admitted, at }) => `${slot} ${admitted} ${at}`)).size).toBe(
          run.admissions,
        );
        expect(run.hv.i32[deviceWord(Device.vbd) + REC.inFlight]).toBe(0);
        expect(run.hv.i32[QUEUE_HEADER_WORD + QUEUE.waiting]).toBe(0);
        const perDomain = [1, 2, 3].map((domain) => run.started.filter((one) => one.domain === domain));
        for (const started of perDomain) {
          const order = started.map(({ admitted }) => admitted);
          expect(order).toEqual([...order].sort((a, b) => a - b));
        }
      }),
      { numRuns: 25 },
    );
  });

  it('puts what waits already into the new order', () => {
    const run = new Simulation({
      policy: { order: 'fifo', devices: { vbd: { depth: 1 } } },
      clients: [1, 2].map((domain) => ({ domain, depth: 20, bytes: () => 4096, until: 2 })),
      service: () => MS,
    });
    const first = { order: 'priority', devices: { vbd: { depth: 1 } }, domains: { d2: { class: 0 } } } as const;
    run.at(1 + 4.5 * MS, () => run.apply(first));
    run.run(SECOND);
    const order = run.started.map(({ domain }) => domain);
    expect(order.slice(0, 5)).toEqual([1, 1, 1, 1, 1]);
    expect(order.slice(5, 25)).toEqual(Array(20).fill(2));
    expect(order.slice(25)).toEqual(Array(15).fill(1));
  });
});

describe('latency targets', () => {
  /** Each request more in the device makes all of them slower, as a disk's channels are shared. */
  const service = (_: number, inFlight: number) => (100 + 100 * inFlight) * 1000;
  const clients = [
    { domain: 1, depth: 1, bytes: () => 4096 },
    { domain: 2, depth: 32, bytes: () => 4096, from: 100 * MS, until: 2 * SECOND },
  ];
  const policy = (target: object): IoPolicy => ({
    order: 'priority',
    devices: { vbd: { depth: 16 } },
    domains: { d1: { class: 0, ...target } },
  });
  const p99 = (run: Simulation, from: number, to: number) => {
    const all = run.finished.filter(({ domain, done }) => domain === 1 && done >= from && done < to);
    const latencies = all.map(({ done, admitted }) => done - admitted).sort((a, b) => a - b);
    return latencies[Math.floor(latencies.length * 0.99)];
  };

  it('hold others back until the target is met, and not below one request', () => {
    const free = new Simulation({ policy: policy({}), clients, service }).run(3 * SECOND);
    const held = new Simulation({ policy: policy({ latencyTargetMs: 0.6 }), clients, service }).run(3 * SECOND);
    expect(p99(free, SECOND, 2 * SECOND)).toBeGreaterThan(1.5 * MS);
    expect(p99(held, SECOND, 2 * SECOND)).toBeLessThan(0.75 * MS);
    expect(held.startedBy(2, SECOND, 2 * SECOND).length).toBeGreaterThan(500);
  });

  it('that nobody can meet starve nobody', () => {
    const run = new Simulation({ policy: policy({ latencyTargetMs: 0.001 }), clients, service }).run(SECOND);
    expect(run.startedBy(2, 500 * MS).length).toBeGreaterThan(500);
  });

  it('give back what they took when they are met again', () => {
    const [first, flood] = clients;
    const run = new Simulation({
      policy: policy({ latencyTargetMs: 0.6 }),
      clients: [
        { ...first, until: SECOND },
        { ...flood, until: 3 * SECOND },
      ],
      service,
    }).run(3 * SECOND);
    const depths = run.startedBy(2, 2.9 * SECOND).length / (0.1 * SECOND);
    const alone = 16 / service(0, 16);
    expect(depths / alone).toBeGreaterThan(0.9);
  });
});
