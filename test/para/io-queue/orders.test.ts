/** The orders against what is proved or computed elsewhere: fluid sharing, the bounds of start-time fair queueing, sorting by deadline. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_DEADLINE_NS, OPERATION_COST } from '#engines/para/io-queue/order.js';
import { MS, SECOND, Simulation, type Started } from './simulation.js';

const COST = OPERATION_COST[0];
const costOf = (one: { bytes: number }) => one.bytes + COST;

/** Bytes of cost a nanosecond. */
const RATE = 0.1;
const serial = (bytes: number) => (bytes + COST) / RATE;

const flow = fc.record({
  weight: fc.integer({ min: 1, max: 1000 }),
  sizes: fc.array(
    fc.integer({ min: 1, max: 256 }).map((sectors) => sectors * 512),
    { minLength: 1, maxLength: 5 },
  ),
});

function cycle<T>(items: T[]): () => T {
  let n = 0;
  return () => items[n++ % items.length];
}

describe('weighted fair queueing', () => {
  it('gives flows that always wait what a fluid gives them, but for one request of each', () => {
    fc.assert(
      fc.property(fc.array(flow, { minLength: 2, maxLength: 6 }), (flows) => {
        const run = new Simulation({
          policy: policyOf(flows.map(({ weight }) => weight)),
          clients: flows.map(({ sizes }, i) => ({ domain: i + 1, depth: 3, bytes: cycle(sizes) })),
          service: serial,
        }).run(60 * MS);
        const largest = flows.map(({ sizes }) => Math.max(...sizes) + COST);
        const weights = flows.reduce((sum, { weight }) => sum + weight, 0);
        const got = flows.map(() => 0);
        let all = 0;
        for (const one of run.started) {
          got[one.domain - 1] += costOf(one);
          all += costOf(one);
          flows.forEach(({ weight }, f) => {
            const fluid = (all * weight) / weights; // GPS: all flows are served at once, each at its share
            const slack = Math.max(...flows.map((m, i) => largest[f] / weight + largest[i] / m.weight)) * weight;
            expect(Math.abs(got[f] - fluid)).toBeLessThanOrEqual(slack + 1e-3);
          });
        }
      }),
      { numRuns: 10 },
    );
  });

  it('is fair between any two flows over any time in which both wait, though others come and go (Goyal et al., theorem 1)', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ flow, from: fc.integer({ min: 0, max: 20 }) }), { minLength: 2, maxLength: 5 }),
        (all) => {
          const run = new Simulation({
            policy: policyOf(all.map(({ flow: { weight } }) => weight)),
            clients: all.map(({ flow: { sizes }, from }, i) => ({
              domain: i + 1,
              depth: 3,
              bytes: cycle(sizes),
              from: 1 + from * MS,
            })),
            service: serial,
          }).run(50 * MS);
          for (let a = 0; a < all.length; a++) {
            for (let b = 0; b < a; b++) expect(unfairness(run, all, a, b)).toBeLessThanOrEqual(1 + 1e-6);
          }
        },
      ),
      { numRuns: 10 },
    );
  });

  it('serves every request as if its flow had its share alone, but for one request of each other (theorem 4)', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ flow, think: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 4 }) }), {
          minLength: 2,
          maxLength: 5,
        }),
        (all) => {
          const run = new Simulation({
            policy: policyOf(all.map(({ flow: { weight } }) => weight)),
            clients: all.map(({ flow: { sizes }, think }, i) => ({
              domain: i + 1,
              depth: 4,
              bytes: cycle(sizes),
              think: cycle(think.map((ms) => ms * MS)),
            })),
            service: serial,
          }).run(50 * MS);
          const weights = all.reduce((sum, { flow: { weight } }) => sum + weight, 0);
          const largest = all.map(({ flow: { sizes } }) => Math.max(...sizes) + COST);
          all.forEach(({ flow: { weight } }, f) => {
            const others = largest.reduce((sum, cost, i) => sum + (i === f ? 0 : cost), 0);
            let expected = 0; // when the one before is done at the flow's own share of the rate
            for (const one of run.finished.filter(({ domain }) => domain === f + 1)) {
              const arrival = Math.max(one.admitted, expected);
              expect(one.done).toBeLessThanOrEqual(arrival + (others + costOf(one)) / RATE + 10);
              expected = arrival + costOf(one) / ((RATE * weight) / weights);
            }
          });
        },
      ),
      { numRuns: 10 },
    );
  });

  it('shares by weight on a device that does many at once', () => {
    const run = new Simulation({
      policy: { ...policyOf([80, 20]), devices: { vbd: { depth: 8 } } },
      clients: [1, 2].map((domain) => ({ domain, depth: 32, bytes: () => 4096 })),
      service: (_, inFlight) => (50 + 20 * inFlight) * 1000,
    }).run(SECOND);
    const share = run.startedBy(1, 100 * MS).length / run.started.filter(({ at }) => at >= 100 * MS).length;
    expect(share).toBeCloseTo(0.8, 2);
  });

  it('charges no flow for the time in which others were alone', () => {
    const run = new Simulation({
      policy: policyOf([1, 1]),
      clients: [
        { domain: 1, depth: 3, bytes: () => 4096 },
        { domain: 2, depth: 3, bytes: () => 4096, from: 100 * MS },
      ],
      service: serial,
    }).run(200 * MS);
    const [one, two] = [1, 2].map((domain) => run.startedBy(domain, 100 * MS).length);
    expect(Math.abs(one - two)).toBeLessThanOrEqual(2);
  });
});

/** Greatest difference of what two flows got by weight over any time since both wait, in units of the theorem's bound. */
function unfairness(
  run: Simulation,
  all: { flow: { weight: number; sizes: number[] }; from: number }[],
  a: number,
  b: number,
): number {
  const [fa, fb] = [all[a].flow, all[b].flow];
  const since = 1 + Math.max(all[a].from, all[b].from) * MS;
  const bound = [fa, fb].reduce((sum, { sizes, weight }) => sum + (Math.max(...sizes) + COST) / weight, 0);
  let [low, high, now, worst] = [0, 0, 0, 0];
  for (const one of run.started.filter(({ at }) => at > since)) {
    if (one.domain === a + 1) now += costOf(one) / fa.weight;
    else if (one.domain === b + 1) now -= costOf(one) / fb.weight;
    low = Math.min(low, now);
    high = Math.max(high, now);
    worst = Math.max(worst, now - low, high - now);
  }
  return worst / bound;
}

const policyOf = (weights: number[]) => ({
  order: 'wfq' as const,
  devices: { vbd: { depth: 1 } },
  domains: Object.fromEntries(weights.map((weight, i) => [`d${i + 1}`, { weight }])),
});

describe('strict priority with ageing', () => {
  const ageingMs = 20;
  const policy = {
    order: 'priority' as const,
    ageingMs,
    devices: { vbd: { depth: 1 } },
    domains: { d1: { class: 0 }, d2: { class: 3 }, d3: { class: 7 } },
  };
  const classes = [0, 0, 3, 7];
  const flood = [1, 2, 3].map((domain) => ({ domain, depth: 4, bytes: () => 4096 }));
  const run = new Simulation({ policy, clients: flood, service: () => MS }).run(3 * SECOND);

  it('starves nobody: whoever has waited as long as all head starts is next', () => {
    const longest = Math.max(...run.started.map(({ at, admitted }) => at - admitted));
    expect(run.startedBy(3).length).toBeGreaterThan(10);
    expect(longest).toBeLessThanOrEqual((7 * ageingMs + 12) * MS); // and then those that are as old: at most 12 of 1 ms
  });

  it('starts a higher class first unless a lower one waits longer by the head start of the classes between', () => {
    const violations = run.started.filter((one) =>
      waitingAt(run, one).some(
        (other) =>
          other.admitted + classes[other.domain] * ageingMs * MS < one.admitted + classes[one.domain] * ageingMs * MS,
      ),
    );
    expect(violations).toEqual([]);
  });

  it('lets a lower class go on at whatever moment the higher ones end, though its thread sleeps', () => {
    for (let end = 5; end < 15; end += 0.05) {
      const run = new Simulation({
        policy: { ...policy, ageingMs: 10_000, devices: { vbd: { depth: 2 } } },
        clients: [
          { domain: 1, depth: 3, bytes: () => 4096, until: end * MS },
          { domain: 3, depth: 3, bytes: () => 4096 },
        ],
        service: () => 0.37 * MS,
      }).run(100 * MS);
      expect(run.startedBy(3, 80 * MS).length, `until ${end} ms`).toBeGreaterThan(10);
    }
  });

  it('is strict where nobody waits for long', () => {
    const strict = new Simulation({
      policy: { ...policy, ageingMs: 10_000 },
      clients: [{ domain: 1, depth: 1, bytes: () => 4096, think: () => 3 * MS }, ...flood.slice(1)],
      service: () => MS,
    }).run(SECOND);
    // No more than the one that the device was busy with, and its own time.
    const latencies = strict.finished.filter(({ domain }) => domain === 1).map(({ done, admitted }) => done - admitted);
    expect(Math.max(...latencies)).toBeLessThanOrEqual(2 * MS);
    expect(latencies.length).toBeGreaterThan(150);
  });
});

/** Requests that waited when `one` was started, and started later. */
const waitingAt = (run: Simulation, one: Started): Started[] =>
  run.started.filter((other) => other.admitted < one.at && other.at > one.at);

describe('deadline', () => {
  it('starts the request whose deadline comes first, whatever the targets', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer({ min: 1, max: 60 })), { minLength: 2, maxLength: 5 }), (targets) => {
        const run = new Simulation({
          policy: {
            order: 'deadline',
            devices: { vbd: { depth: 1 } },
            domains: Object.fromEntries(
              targets.map((ms, i) => [`d${i + 1}`, ms === null ? {} : { latencyTargetMs: ms }]),
            ),
          },
          clients: targets.map((_, i) => ({ domain: i + 1, depth: 2, bytes: () => 4096 })),
          service: () => 2 * MS,
        }).run(300 * MS);
        const deadline = (one: Started) => {
          const ms = targets[one.domain - 1];
          return one.admitted + (ms === null ? DEFAULT_DEADLINE_NS : ms * MS);
        };
        for (const one of run.started) {
          for (const other of waitingAt(run, one)) expect(deadline(one)).toBeLessThanOrEqual(deadline(other));
        }
        expect(new Set(run.started.map(({ domain }) => domain)).size).toBe(targets.length);
      }),
      { numRuns: 10 },
    );
  });
});

describe('first in, first out', () => {
  it('is the order of admission, whatever weights and classes say', () => {
    const run = new Simulation({
      policy: { order: 'fifo', devices: { vbd: { depth: 2 } }, domains: { d1: { class: 0, weight: 1000 } } },
      clients: [1, 2, 3].map((domain) => ({ domain, depth: 5, bytes: () => 4096, think: cycle([0, MS, 3 * MS]) })),
      service: () => MS,
    }).run(300 * MS);
    const admitted = run.started.map((one) => one.admitted);
    expect(admitted).toEqual([...admitted].sort((a, b) => a - b));
    expect(new Set(run.started.map(({ domain }) => domain)).size).toBe(3);
  });
});
