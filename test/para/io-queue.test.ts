import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { EventChannels } from '#engines/para/event-channels.js';
import {
  deviceWord,
  HypervisorMemory,
  QUEUE,
  QUEUE_HEADER_WORD,
  QUEUE_SLOTS,
  SLOT,
  VCPU,
  VcpuState,
} from '#engines/para/hypervisor-memory.js';
import { Device, REC } from '#engines/para/io-queue/records.js';
import { IoQueue, NO_SLOT, slotWord } from '#engines/para/io-queue.js';

let hv: HypervisorMemory;
let queue: IoQueue;
let kicks: number[];

beforeEach(() => {
  hv = HypervisorMemory.create();
  kicks = [];
  for (let domain = 1; domain < 4; domain++) hv.clearDomain(domain);
  queue = new IoQueue(hv, new EventChannels(hv, { kick: (slot) => kicks.push(slot) }));
});

function admit(domain: number, vcpu: number): number {
  const slot = queue.allocate();
  hv.i32[slotWord(slot) + SLOT.domain] = domain;
  hv.i32[slotWord(slot) + SLOT.vcpu] = vcpu;
  hv.i32[slotWord(slot) + SLOT.bytes] = 4096;
  queue.admit(slot, Device.vbd);
  return slot;
}

const header = (field: number) => hv.i32[QUEUE_HEADER_WORD + field];
const setLimit = (limit: number) => {
  hv.i32[deviceWord(Device.vbd) + REC.limit] = limit;
};
const inFlight = () => hv.i32[deviceWord(Device.vbd) + REC.inFlight];
const takeAll = (domain: number, vcpu: number) => {
  const slots: number[] = [];
  for (let slot = queue.takeReady(domain, vcpu, 7); slot !== NO_SLOT; slot = queue.takeReady(domain, vcpu, 7))
    slots.push(slot);
  return slots;
};

describe('the I/O queue', () => {
  it('starts requests in the order in which they came, each on its own vCPU', () => {
    const slots = [admit(1, 0), admit(2, 0), admit(1, 0), admit(1, 1)];
    queue.dispatch(1, 0);
    expect(takeAll(1, 0)).toEqual([slots[0], slots[2]]);
    expect(takeAll(2, 0)).toEqual([slots[1]]);
    expect(takeAll(1, 1)).toEqual([slots[3]]);
  });

  it('keeps more than the limit waiting, first come first served across domains', () => {
    setLimit(2);
    const slots = [admit(1, 0), admit(1, 0), admit(2, 0), admit(1, 0)];
    queue.dispatch(1, 0);
    expect(takeAll(1, 0)).toEqual([slots[0], slots[1]]);
    expect(takeAll(2, 0)).toEqual([]);
    queue.finish(slots[1], 1, 0);
    expect(takeAll(1, 0)).toEqual([]);
    expect(takeAll(2, 0)).toEqual([slots[2]]);
    queue.finish(slots[0], 1, 0);
    expect(takeAll(1, 0)).toEqual([slots[3]]);
  });

  it('wakes another vCPU for its request if it sleeps, and not otherwise', () => {
    hv.i32[hv.vcpuWord(2, 0) + VCPU.kickSlot] = 42;
    hv.i32[hv.vcpuWord(2, 0) + VCPU.state] = VcpuState.running;
    admit(2, 0);
    queue.dispatch(1, 0);
    expect(kicks).toEqual([]);
    expect(hv.i32[hv.vcpuWord(2, 0) + VCPU.attention]).not.toBe(0);
    hv.i32[hv.vcpuWord(2, 0) + VCPU.state] = VcpuState.blocked;
    admit(2, 0);
    queue.dispatch(1, 0);
    expect(kicks).toEqual([42]);
  });

  it('has as many slots as it says', () => {
    for (let n = 0; n < QUEUE_SLOTS; n++) expect(queue.allocate()).not.toBe(NO_SLOT);
    expect(queue.allocate()).toBe(NO_SLOT);
  });

  it('forgets a domain that ended, wherever its requests were, and lets others go on', () => {
    setLimit(2);
    const slots = [admit(1, 0), admit(1, 1), admit(1, 0), admit(2, 0)];
    queue.dispatch(1, 0);
    expect(takeAll(1, 0)).toEqual([slots[0]]); // started; slots[1] is ready, slots[2] waits
    expect(queue.removeDomain(1)).toBe(3);
    expect(takeAll(2, 0)).toEqual([slots[3]]);
    expect(inFlight()).toBe(1);
    expect(header(QUEUE.waiting)).toBe(0);
  });

  it('never loses a slot nor exceeds the limit, whatever happens', () => {
    const step = fc.record({
      what: fc.constantFrom('admit', 'dispatch', 'take', 'finish', 'remove'),
      domain: fc.integer({ min: 1, max: 3 }),
      vcpu: fc.integer({ min: 0, max: 2 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 1, max: 5 }), (steps, limit) => {
        hv = HypervisorMemory.create();
        for (let domain = 1; domain < 4; domain++) hv.clearDomain(domain);
        queue = new IoQueue(hv, new EventChannels(hv, { kick: () => {} }));
        setLimit(limit);
        const started: { slot: number; domain: number }[] = [];
        let admitted = 0;
        for (const { what, domain, vcpu } of steps) {
          if (what === 'admit') admitted += admit(domain, vcpu) === NO_SLOT ? 0 : 1;
          else if (what === 'dispatch') queue.dispatch(domain, vcpu);
          else if (what === 'take') started.push(...takeAll(domain, vcpu).map((slot) => ({ slot, domain })));
          else if (what === 'finish') {
            const one = started.shift();
            if (one !== undefined) queue.finish(one.slot, one.domain, 0);
            admitted -= one === undefined ? 0 : 1;
          } else {
            admitted -= queue.removeDomain(domain);
            for (let i = started.length - 1; i >= 0; i--) {
              if (started[i].domain === domain) {
                // Its ready list is the domain's memory, which is cleared with it.
                started.splice(i, 1);
              }
            }
            hv.clearDomain(domain);
          }
          expect(inFlight()).toBeLessThanOrEqual(limit);
          expect(inFlight() + header(QUEUE.waiting)).toBe(admitted);
        }
        let free = 0;
        while (queue.allocate() !== NO_SLOT) free++;
        expect(free).toBe(QUEUE_SLOTS - admitted);
      }),
      { numRuns: 60 },
    );
  });
});
