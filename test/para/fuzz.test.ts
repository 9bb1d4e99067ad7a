/**
 * The guest is the enemy: whatever it passes to hypercalls and writes into its memory, the hypervisor answers with a number or
 * ends the guest, its own structures stay whole, and no other domain's part of them changes.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as abi from '#engines/para/abi.js';
import {
  DOM,
  DomainState,
  deviceWord,
  HypervisorMemory,
  LOCK_EVENTS,
  LOCK_QUEUE,
} from '#engines/para/hypervisor-memory.js';
import { Device, REC } from '#engines/para/io-queue/records.js';
import { GuestCrash, VcpuStop } from '#engines/para/vcpu.js';
import { FakeGuest } from './guest-fixture.js';
import { AT, connectBlock, connectNet, dataOf } from './ring-fixture.js';

const NUMBERS = [12, 17, 18, 20, 24, 29, 32, 48];
const MEMORY = 1 << 20;

/** Numbers that break things: small ones, edges of memory and of integers, anything. */
const word = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 70 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: MEMORY + 4096 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(-1, -4, 0x7fffffff, -0x80000000, MEMORY - 4, MEMORY, 1024, 1023, 0x4000, 0x8000),
  },
  { weight: 1, arbitrary: fc.integer() },
);

/** Grants 1 to 8 lie in data; 9 is read-only, 10 another domain's, 11 not granted, 12 outside. */
function grantTraps(guest: FakeGuest): void {
  guest.grant(AT.table, 9, 200, 1, 5);
  guest.grant(AT.table, 10, 201, 1, 1, 3);
  guest.grant(AT.table, 11, 202, 1, 0);
  guest.grant(AT.table, 12, 255, 2);
}

/** Sectors' worth of memory where a read of the disk (all 0xee) came that was not granted. Grant 0 is the ring itself: a guest may ask for that too. */
function strayReads(guest: FakeGuest): number[] {
  const allowed = (at: number) => (at >= dataOf(1) && at < dataOf(60)) || (at >= AT.ring && at < AT.ring + 0x2000);
  return Array.from({ length: MEMORY / 512 }, (_, sector) => sector * 512).filter(
    (at) => guest.memory.u8[at] === 0xee && !allowed(at),
  );
}

type Step =
  | { kind: 'call'; cpu: number; number: number; cmd: number; arg1: number; arg2: number }
  | { kind: 'poke'; address: number; value: number };

const call = fc.record({
  kind: fc.constant('call' as const),
  cpu: fc.integer({ min: 0, max: 1 }),
  number: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...NUMBERS) }, { weight: 1, arbitrary: word }),
  cmd: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 64) },
    { weight: 1, arbitrary: word },
  ),
  arg1: word,
  arg2: word,
});

/** Writes where structures, tables and rings are. */
const place = fc.oneof(
  fc.integer({ min: 0, max: 80 }).map((n) => AT.ring + 4 * n),
  fc.integer({ min: 0, max: 16 }).map((n) => AT.rx + 4 * n),
  fc.integer({ min: 0, max: 66 }).map((n) => AT.info + 4 * n),
  fc.integer({ min: 0, max: 200 }).map((n) => AT.table + 4 * n),
  fc.integer({ min: 0, max: 64 }).map((n) => 4 * n),
);
const poke = fc.record({ kind: fc.constant('poke' as const), address: place, value: word });
const steps = fc.array(fc.oneof<fc.Arbitrary<Step>[]>(call, poke), { minLength: 1, maxLength: 60 });

/** SCHEDOP_block and SCHEDOP_poll may sleep: the fake's wait() ends that by ending the domain. */
function endless(guest: FakeGuest): void {
  let waits = 0;
  guest.disk.onWait = () => {
    if (++waits > 3) guest.hv.i32[guest.hv.domainWord(guest.domain) + DOM.state] = DomainState.dying;
  };
}

/** A numeric answer, or the guest's own end: anything else fails the test. */
function attempt(guest: FakeGuest, step: Step): boolean {
  if (step.kind === 'poke') {
    guest.put(step.address, step.value);
    return true;
  }
  try {
    const result = guest.cpus[step.cpu].call(step.number, step.cmd, step.arg1, step.arg2);
    expect(Number.isInteger(result) && result >= -0x80000000 && result <= 0x7fffffff, `result ${result}`).toBe(true);
    return true;
  } catch (error) {
    if (error instanceof GuestCrash || error instanceof VcpuStop) return false;
    throw error;
  }
}

const hv = HypervisorMemory.create();
const clean = hv.i32.slice();
const domainWords = hv.domainWord(2) - hv.domainWord(1);
const bytesOf = (words: Int32Array, domain: number): Buffer =>
  Buffer.from(words.buffer, words.byteOffset + hv.domainWord(domain) * 4, domainWords * 4);

/** The hypervisor as it was built, with a new domain 2 between two that the test never touches. */
function fresh(vcpus = 2): FakeGuest {
  hv.i32.set(clean.subarray(0, hv.domainWord(1)));
  return new FakeGuest({ hv, domain: 2, vcpus });
}

function run(guest: FakeGuest, script: Step[]): void {
  endless(guest);
  for (const step of script) if (!attempt(guest, step)) break;
  expect([hv.i32[LOCK_EVENTS], hv.i32[LOCK_QUEUE]], 'no lock is left held').toEqual([0, 0]);
  expect(hv.i32[hv.domainWord(2) + DOM.consoleLock] | hv.i32[hv.domainWord(2) + DOM.storeLock]).toBe(0);
  const inFlight = hv.i32[deviceWord(Device.vbd) + REC.inFlight];
  expect(inFlight).toBeGreaterThanOrEqual(0);
  for (const neighbour of [1, 3]) {
    expect(Buffer.compare(bytesOf(hv.i32, neighbour), bytesOf(clean, neighbour)), `domain ${neighbour}`).toBe(0);
  }
}

const RUNS = { numRuns: 400 };

describe('a hostile guest', () => {
  it('gets an answer to any hypercall, and harms only itself', () => {
    fc.assert(
      fc.property(steps, (script) => run(fresh(), script)),
      RUNS,
    );
  });

  it('may write anything into a connected block ring, its grants and its vcpu_info', () => {
    fc.assert(
      fc.property(steps, fc.infiniteStream(word), (script, words) => {
        const guest = fresh();
        const port = connectBlock(guest);
        for (let slot = 0; slot < 4; slot++) {
          guest.put(AT.ring + 64 + 64 * slot, ...Array.from({ length: 16 }, () => words.next().value as number));
        }
        guest.put(AT.ring, 4);
        const kicks: Step[] = [0, 1].map((cpu) => ({ kind: 'call', cpu, number: 32, cmd: 4, arg1: port, arg2: 0 }));
        run(guest, [...kicks, ...script, ...kicks, { kind: 'call', cpu: 0, number: 29, cmd: 3, arg1: 0, arg2: 0 }]);
      }),
      RUNS,
    );
  });

  it('may write anything into connected network rings, while frames come in', () => {
    fc.assert(
      fc.property(steps, fc.infiniteStream(word), (script, words) => {
        const guest = fresh(1);
        const port = connectNet(guest);
        for (const ring of [AT.ring, AT.rx]) {
          guest.put(ring + 64, ...Array.from({ length: 16 }, () => words.next().value as number));
          guest.put(ring, 4);
        }
        const only0 = script.map((step) => (step.kind === 'call' ? { ...step, cpu: 0 } : step));
        run(guest, [{ kind: 'call', cpu: 0, number: 32, cmd: 4, arg1: port, arg2: 0 }, ...only0]);
        try {
          guest.port?.deliver(new Uint8Array(60));
        } catch (error) {
          if (!(error instanceof GuestCrash)) throw error;
        }
      }),
      RUNS,
    );
  });

  it('cannot make a disk read write outside of what it granted', () => {
    const request = fc.record({
      operation: fc.constantFrom(0, 1, 3, 5, 0, 0, 7),
      nr: fc.integer({ min: 0, max: 4 }),
      sector: fc.oneof(fc.integer({ min: 0, max: 2100 }), word),
      segments: fc.array(
        fc.tuple(
          fc.oneof(fc.integer({ min: 0, max: 12 }), word),
          fc.oneof(
            fc.integer({ min: 0, max: 9 }).map((n) => n * 512),
            word,
          ),
          fc.oneof(
            fc.integer({ min: 0, max: 9 }).map((n) => n * 512),
            word,
          ),
        ),
        { minLength: 3, maxLength: 3 },
      ),
    });
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 8 }), (requests) => {
        const guest = fresh();
        const port = connectBlock(guest);
        guest.disk.data.fill(0xee);
        grantTraps(guest);
        requests.forEach(({ operation, nr, sector, segments }, i) => {
          guest.put(
            AT.ring + 64 + 64 * i,
            operation | (nr << 8),
            0,
            i,
            0,
            sector,
            sector < 0 ? -1 : 0,
            ...segments.flat(),
          );
        });
        guest.put(AT.ring, requests.length);
        guest.cpu.event(abi.EVTCHNOP_send, port);
        guest.cpu.poll();
        expect(guest.u32(AT.ring + abi.ring_header.rsp_prod)).toBe(requests.length);
        expect(strayReads(guest), 'addresses').toEqual([]);
      }),
      RUNS,
    );
  });

  it('cannot do so by indirect requests either, nor discard behind the disk', () => {
    const number = fc.oneof(fc.integer({ min: 0, max: 9 }), word);
    const sectors = fc.integer({ min: 0, max: 9 }).map((n) => n * 512);
    const descriptor = fc.tuple(
      fc.oneof(fc.integer({ min: 0, max: 12 }), word),
      fc.oneof(sectors, word),
      fc.oneof(sectors, word),
    );
    const request = fc.record({
      head: fc.oneof(
        fc
          .tuple(fc.constantFrom(0, 0, 0, 1, 7), fc.integer({ min: 0, max: 20 }))
          .map(([op, nr]) => 6 | (op << 8) | (nr << 16)),
        fc.constantFrom(5, 5 | (1 << 8), 6 | (300 << 16)),
      ),
      reserved: fc.constantFrom(0, 0, 0, 1, 1 << 16),
      sector: fc.oneof(fc.integer({ min: 0, max: 2100 }), word),
      last: fc.tuple(fc.oneof(fc.constant(58), number), fc.oneof(fc.constantFrom(0, 12, 4090), word)),
    });
    fc.assert(
      fc.property(
        fc.array(request, { minLength: 1, maxLength: 8 }),
        fc.array(descriptor, { minLength: 20, maxLength: 20 }),
        (requests, descriptors) => {
          const guest = fresh();
          const port = connectBlock(guest);
          guest.disk.data.fill(0xee);
          grantTraps(guest);
          guest.put(dataOf(58), ...descriptors.flat());
          requests.forEach(({ head, reserved, sector, last }, i) => {
            guest.put(AT.ring + 64 + 64 * i, head, reserved, i, 0, sector, sector < 0 ? -1 : 0, ...last);
          });
          guest.put(AT.ring, requests.length);
          guest.cpu.event(abi.EVTCHNOP_send, port);
          for (let n = 0; n < requests.length; n++) guest.cpu.poll(); // what overlaps waits for one another
          expect(guest.u32(AT.ring + abi.ring_header.rsp_prod)).toBe(requests.length);
          expect(strayReads(guest), 'addresses').toEqual([]);
          const domain = hv.domainWord(2);
          expect([hv.i32[domain + DOM.tables], hv.i32[domain + DOM.tables + 1]], 'tables are given back').toEqual([
            0, 0,
          ]);
          expect(hv.u16.subarray(hv.overlapsAt(2), hv.overlapsAt(2) + 8192).every((count) => count === 0)).toBe(true);
        },
      ),
      RUNS,
    );
  });
});
