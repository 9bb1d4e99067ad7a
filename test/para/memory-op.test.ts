/** memory_op: memory that grows, is given back and comes again, in this process's own memory, as its RSS shows. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as abi from '#engines/para/abi.js';
import { DOM, HypervisorMemory, POOL } from '#engines/para/hypervisor-memory.js';
import { FakeGuest } from './guest-fixture.js';

const MIB = 2 ** 20;
const REQUEST = 0x2000;
const LIST = 0x3000;
const {
  XENMEM_decrease_reservation: DECREASE,
  XENMEM_populate_physmap: POPULATE,
  XENMEM_increase_reservation: INCREASE,
} = abi;

class Balloon {
  constructor(readonly guest: FakeGuest) {}

  op(cmd: number, arg = 0): number {
    return this.guest.cpu.call(abi.HYPERVISOR_memory_op, cmd, arg);
  }

  change(cmd: number, frames: number[], order = 0, domid = abi.DOMID_SELF): number {
    this.guest.put(LIST, ...frames);
    this.guest.put(REQUEST, LIST, frames.length, order, 0, domid);
    return this.op(cmd, REQUEST);
  }

  get current(): number {
    return this.op(abi.XENMEM_current_reservation);
  }

  allow(frames: number): this {
    const { hv, domain } = this.guest;
    hv.i32[hv.domainWord(domain) + DOM.allowed] = frames;
    return this;
  }
}

const balloon = (pages = 16, maxPages = 32, hv = HypervisorMemory.create()): Balloon =>
  new Balloon(new FakeGuest({ pages, maxPages, hv }));

const rssBytes = (): number => Number(readFileSync('/proc/self/statm', 'latin1').split(' ')[1]) * 4096;

describe('memory_op', () => {
  it('gives host memory back, frame by frame or 2 MiB at once, and what is touched there is zeros', () => {
    const small = balloon(1024 + 16, 1024 + 16);
    const { u8 } = small.guest.memory;
    const start = 256; // frames: the structures lie below
    u8.fill(7, start * 4096 - 1);
    const full = rssBytes();
    for (let frame = start; frame < start + 8192; frame += 1024) {
      const frames = Array.from({ length: 1024 }, (_, n) => frame + n);
      expect(small.change(DECREASE, frames)).toBe(1024);
    }
    const half = rssBytes();
    expect(full - half).toBeGreaterThan(28 * MIB);
    const extents = Array.from({ length: 16 }, (_, n) => start + 8192 + 512 * n).filter((f) => f + 512 <= 1040 * 16);
    expect(small.change(DECREASE, extents, 9)).toBe(extents.length);
    expect(half - rssBytes()).toBeGreaterThan((extents.length * 2 - 4) * MIB);
    expect(small.current).toBe(1040 * 16 - 8192 - 512 * extents.length);
    expect(u8[start * 4096] | u8[(start + 8192) * 4096]).toBe(0);
    expect(u8[start * 4096 - 1], 'the frame below').toBe(7);
  });

  it('grows while others look: an address behind the old end is theirs too', () => {
    const b = balloon(16, 32).allow(512);
    const { guest } = b;
    expect(guest.memory.buffer(256 * 4096, 1)).toBe(-14);
    expect(b.op(abi.XENMEM_maximum_gpfn)).toBe(255);
    expect(b.change(POPULATE, [256, 257, 300])).toBe(3);
    expect(b.op(abi.XENMEM_maximum_gpfn)).toBe(303); // a whole WebAssembly page
    expect(b.current).toBe(259);
    expect(guest.memory.buffer(303 * 4096, 4096)).toBe(303 * 4096);
    expect(guest.memory.buffer(303 * 4096, 4097)).toBe(-14);
    guest.put(300 * 4096, 42);
    expect(guest.u32(300 * 4096)).toBe(42);
    // A structure there is as good as any: this time the list lies in new memory.
    guest.put(256 * 4096, 301);
    guest.put(REQUEST, 256 * 4096, 1, 0, 0, abi.DOMID_SELF);
    expect(b.op(POPULATE, REQUEST)).toBe(1);
  });

  it('chooses frames for XENMEM_increase_reservation: given back ones first, then new ones', () => {
    const b = balloon(16, 32).allow(512);
    b.change(DECREASE, [100, 101, 200]);
    expect(b.change(INCREASE, [0, 0, 0, 0])).toBe(4);
    expect([0, 1, 2, 3].map((n) => b.guest.u32(LIST + 4 * n))).toEqual([100, 101, 200, 256]);
    expect(b.change(INCREASE, [0], 4)).toBe(1);
    expect(b.guest.u32(LIST)).toBe(272); // aligned, and 257 to 271 are left
  });

  it.each<[string, number, number[], number, number]>([
    ['a frame that is given back already', DECREASE, [100], 0, -22],
    ['a frame outside', DECREASE, [256], 0, -22],
    ['an extent that ends outside', DECREASE, [255], 1, -22],
    ['a frame number that is none', DECREASE, [0xffffffff], 0, -22],
    ['a granted frame', DECREASE, [60], 0, -16],
    ['an extent with a granted frame in it', DECREASE, [56], 3, -16],
    ['a frame that is populated', POPULATE, [10], 0, -22],
    ['a frame behind the most', POPULATE, [512], 0, -22],
    ['an extent that is too large', POPULATE, [100], 10, -22],
    ['no extents', POPULATE, [], 0, -22],
    ['more than it may have', POPULATE, [100], 0, -12],
    ['more than it may have, chosen', INCREASE, [0], 0, -12],
  ])('refuses %s', (_, cmd, frames, order, error) => {
    const b = balloon(16, 32).allow(512);
    b.change(DECREASE, [100]);
    b.guest.grant(0x4000, 5, 60, 2);
    b.guest.cpu.call(abi.HYPERVISOR_grant_table_op, abi.GNTTABOP_setup_table, 0x4000, 8);
    if (error === -12) b.allow(255);
    expect(b.change(cmd, frames, order)).toBe(error);
    expect(b.current).toBe(255);
  });

  it('refuses bad structures', () => {
    const b = balloon();
    expect(b.change(DECREASE, [100], 0, 3)).toBe(-1);
    expect(b.op(DECREASE, REQUEST + 1)).toBe(-22);
    expect(b.op(DECREASE, 0x100000 - 16)).toBe(-14);
    b.guest.put(REQUEST, 0x100000 - 4, 2, 0, 0, abi.DOMID_SELF);
    expect(b.op(DECREASE, REQUEST)).toBe(-14);
    b.guest.put(REQUEST, LIST, 1025, 0, 0, abi.DOMID_SELF);
    expect(b.op(DECREASE, REQUEST)).toBe(-22);
    b.guest.put(REQUEST, LIST, 1, 0, 1, abi.DOMID_SELF);
    expect(b.op(DECREASE, REQUEST)).toBe(-22);
  });

  it('does what it can of a list, and says how much that was', () => {
    const b = balloon();
    expect(b.change(DECREASE, [100, 101, 100, 102])).toBe(2);
    expect(b.current).toBe(254);
    expect(b.change(POPULATE, [101, 102])).toBe(1);
  });

  it('keeps accounts with the pool, which several domains share', () => {
    const hv = HypervisorMemory.create();
    const [a, b] = [1, 2].map((domain) => new Balloon(new FakeGuest({ hv, domain, maxPages: 32 })).allow(512));
    hv.i32[POOL.total] = 600;
    hv.i32[POOL.taken] = 512;
    const more = Array.from({ length: 100 }, (_, n) => 256 + n);
    expect(a.change(POPULATE, more)).toBe(88);
    expect(b.change(POPULATE, more)).toBe(-12);
    expect(a.change(DECREASE, [10, 11])).toBe(2);
    expect(b.change(POPULATE, more)).toBe(2);
    expect([a.current, b.current, hv.i32[POOL.taken]]).toEqual([342, 258, 600]);
  });

  it('never loses or doubles a frame, whatever is asked in whatever order', () => {
    const request = fc.record({
      cmd: fc.constantFrom(DECREASE, POPULATE, INCREASE),
      frames: fc.array(fc.integer({ min: 20, max: 600 }), { minLength: 1, maxLength: 6 }),
      order: fc.integer({ min: 0, max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 25 }), fc.integer({ min: 200, max: 512 }), (requests, allowed) => {
        const hv = HypervisorMemory.create();
        const b = balloon(16, 32, hv).allow(allowed);
        hv.i32[POOL.taken] = 256;
        const populated = new Set(Array.from({ length: 256 }, (_, n) => n));
        for (const { cmd, frames, order } of requests) {
          const done = b.change(cmd, frames, order);
          for (let n = 0; n < done; n++) {
            const first = b.guest.u32(LIST + 4 * n);
            for (let frame = first; frame < first + (1 << order); frame++) {
              expect(populated.has(frame)).toBe(cmd === DECREASE);
              if (cmd === DECREASE) populated.delete(frame);
              else populated.add(frame);
            }
          }
          expect(b.current).toBe(populated.size);
          expect(hv.i32[POOL.taken]).toBe(populated.size);
          if (cmd !== DECREASE && done > 0) expect(populated.size).toBeLessThanOrEqual(allowed);
          for (const frame of populated) expect(frame).toBeLessThanOrEqual(b.op(abi.XENMEM_maximum_gpfn));
        }
      }),
      { numRuns: 30 },
    );
  });
});
