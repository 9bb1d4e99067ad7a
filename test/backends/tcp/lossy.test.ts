import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bench, type Packet, SYN } from './bench.js';
import { Peer } from './peer.js';

const MS = 1e6;
const bytesOf = (length: number, seed: number): number[] =>
  Array.from({ length }, (_, i) => ((i * 7919 + seed * 31) >>> 3) & 0xff);

interface Scenario {
  toGuest: number;
  toHost: number;
  loss: number;
  duplicate: number;
  reorder: number;
  blocked: number;
  ring: number;
  window: number;
  mss: number;
  iss: number;
  seed: number;
}

/** A random number generator of the test's own: the whole run follows from the scenario (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Runs a whole connection over a wire that loses, doubles and delays; what each side got. */
function run(scenario: Scenario) {
  const random = randomOf(scenario.seed);
  const bench = new Bench({ iss: scenario.iss, send: scenario.ring, receive: scenario.ring, mss: scenario.mss });
  const events: { at: number; run: () => void }[] = [];
  const carry = (packet: Packet, deliver: (packet: Packet) => void): void => {
    if (random() < scenario.loss) return;
    const copies = random() < scenario.duplicate ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const delay = random() < scenario.reorder ? 50 * MS * random() : 1 * MS;
      events.push({ at: bench.now + delay, run: () => deliver(packet) });
    }
  };
  const peer = new Peer((packet) => carry(packet, toEndpoint), {
    iss: scenario.iss ^ 0x55555555,
    mss: scenario.mss,
    window: scenario.window,
  });
  const { endpoint } = bench;
  const data = bytesOf(scenario.toGuest, scenario.seed);
  const got: number[] = [];
  let given = 0;
  let opened = false;
  const serve = (): void => {
    bench.wireRoom = random() < scenario.blocked ? 1 : 1000;
    got.push(...bench.read());
    const piece = data.slice(given, given + (endpoint.isOpen ? endpoint.room : 0));
    given += piece.length;
    for (const packet of piece.length > 0 ? bench.write(piece) : bench.output())
      carry(packet, (it) => peer.receive(it));
    if (endpoint.isOpen && given === data.length)
      for (const packet of bench.finish()) carry(packet, (it) => peer.receive(it));
  };
  const toEndpoint = (packet: Packet): void => {
    if (packet.flags & SYN && !opened) endpoint.accept(Bench.segment(packet));
    else endpoint.receive(Bench.segment(packet), bench.now);
    opened = true;
    serve();
  };
  peer.connect();
  peer.write(bytesOf(scenario.toHost, ~scenario.seed));
  peer.close();
  let tick = bench.now;
  for (let steps = 0; steps < 20_000 && !(peer.done && peer.finReceived); steps++) {
    events.sort((a, b) => a.at - b.at);
    const next = Math.min(events[0]?.at ?? Number.POSITIVE_INFINITY, tick + 300 * MS);
    bench.now = Math.max(bench.now, next);
    if (events[0] !== undefined && events[0].at <= next) events.shift()?.run();
    else {
      tick = bench.now;
      peer.retransmit();
    }
    if (endpoint.deadline <= bench.now) {
      endpoint.expire(bench.now);
      for (const packet of bench.taken()) carry(packet, (it) => peer.receive(it));
    }
    serve();
  }
  return { bench, peer, got, data };
}

describe('a connection over a bad wire', () => {
  const scenarios = fc.record<Scenario>({
    toGuest: fc.nat(20_000),
    toHost: fc.nat(20_000),
    loss: fc.constantFrom(0, 0.02, 0.1),
    duplicate: fc.constantFrom(0, 0.1, 0.5),
    reorder: fc.constantFrom(0, 0.1, 0.9),
    blocked: fc.constantFrom(0, 0.5),
    ring: fc.constantFrom(1024, 4096, 65536),
    window: fc.constantFrom(100, 3000, 65535),
    mss: fc.constantFrom(100, 536, 1460),
    iss: fc.integer({ min: 0, max: 0xffffffff }),
    seed: fc.integer(),
  });

  it('gives up at most, but mixes nothing up, where every other exchange is lost', () => {
    const prefix = (got: number[], whole: number[]): void =>
      expect(Buffer.compare(Buffer.from(got), Buffer.from(whole.slice(0, got.length)))).toBe(0);
    fc.assert(
      fc.property(scenarios, (scenario) => {
        const { peer, got, data } = run({ ...scenario, loss: 0.3 });
        prefix(peer.received, data);
        prefix(got, bytesOf(scenario.toHost, ~scenario.seed));
      }),
      { numRuns: 10 },
    );
  }, 30_000);

  it('carries every byte in order both ways, and closes', () => {
    fc.assert(
      fc.property(scenarios, (scenario) => {
        const { bench, peer, got, data } = run(scenario);
        expect(Buffer.compare(Buffer.from(peer.received), Buffer.from(data))).toBe(0);
        expect(Buffer.compare(Buffer.from(got), Buffer.from(bytesOf(scenario.toHost, ~scenario.seed)))).toBe(0);
        expect([peer.done, peer.finReceived, bench.endpoint.failure]).toEqual([true, true, undefined]);
      }),
      { numRuns: 25 },
    );
  }, 30_000);

  it('sends nothing twice over a good wire', () => {
    const good = { toGuest: 60_000, toHost: 60_000, loss: 0, duplicate: 0, reorder: 0, blocked: 0.5, iss: 1, seed: 1 };
    const { bench } = run({ ...good, ring: 16384, window: 65535, mss: 1460 });
    expect(bench.endpoint.sender.counters).toEqual({ retransmitted: 0, timeouts: 0 });
  });

  it('survives any segments in any state, and keeps to its rings', () => {
    const near = fc.tuple(
      fc.constantFrom(0, 1000, 1001, 5000, 5001, 0xffffffff),
      fc.integer({ min: -70_000, max: 70_000 }),
    );
    const number = near.map(([base, offset]) => (base + offset) >>> 0);
    const segment = fc.record({
      flags: fc.nat(63),
      seq: number,
      ack: number,
      window: fc.constantFrom(0, 1, 1000, 65535),
      data: fc.constantFrom(0, 0, 1, 100, 1460).map((length) => Array(length).fill(7)),
    });
    const action = fc.oneof(
      { weight: 6, arbitrary: segment },
      { weight: 1, arbitrary: fc.constantFrom('write', 'read', 'finish', 'wait', 'abort') },
    );
    fc.assert(
      fc.property(fc.boolean(), fc.array(action, { maxLength: 60 }), (established, actions) => {
        const bench = established ? Bench.established() : new Bench();
        if (!established) bench.endpoint.connect();
        const { endpoint } = bench;
        for (const it of actions) {
          if (it === 'read') bench.read();
          else if (it === 'finish') bench.finish();
          else if (it === 'wait') bench.wait(3e9);
          else if (it === 'abort') endpoint.abort();
          else if (it === 'write') bench.write(Array(Math.max(0, Math.min(500, endpoint.room))).fill(1));
          else bench.receive(it);
          const { readable } = endpoint.receiver;
          expect(readable >= 0 && readable <= 4096 && endpoint.room <= 4096 && endpoint.room >= 0).toBe(true);
        }
      }),
      { numRuns: 700 },
    );
  }, 30_000);
});
