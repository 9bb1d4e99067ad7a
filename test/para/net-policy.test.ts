/** Frames under a policy with caps: they wait in the tx ring, and slots of the I/O queue stand for them. */
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { IoPolicy } from '#engines/io-policy.js';
import * as abi from '#engines/para/abi.js';
import { deviceWord, QUEUE_SLOTS, VCPU } from '#engines/para/hypervisor-memory.js';
import { Device, REC } from '#engines/para/io-queue/records.js';
import { IoQueue, NO_SLOT } from '#engines/para/io-queue.js';
import type { FakePort } from './fake-port.js';
import { FakeGuest } from './guest-fixture.js';
import { AT, connectNet, dataOf, push, rspProd } from './ring-fixture.js';

const MS = 1e6;
const CAPPED: IoPolicy = { order: 'fifo', default: { vif: { opsPerSecond: 1000 } } };

let guest: FakeGuest;
let wire: FakePort;
let port: number;
let time: number;

beforeEach(() => {
  time = 1e9;
  guest = new FakeGuest({ vcpus: 1 });
  guest.now = () => time;
  wire = guest.port as FakePort;
  port = connectNet(guest);
  guest.memory.u8.fill(0x55, dataOf(5), dataOf(5) + 2048);
});

const apply = (policy: IoPolicy) =>
  new IoQueue(guest.hv, guest.cpu.events, () => time).apply(policy, [{ id: guest.domain, name: 'a' }]);
const slot = (counter: number) => AT.ring + 64 + (counter % abi.NETIF_RING_SIZE) * abi.NETIF_SLOT_BYTES;

/** Frames of this size, as a front end sends them: one after another, notified when asked for. */
function send(frames: number, size = 60): void {
  for (let n = 0; n < frames; n++) {
    const counter = guest.u32(AT.ring);
    guest.put(slot(counter), 5, 0, (counter & 0xff) | (size << 16));
    if (push(guest, counter + 1)) guest.cpu.event(abi.EVTCHNOP_send, port);
  }
  guest.cpu.poll();
}

/** Time goes by in steps, the vCPU in a sched_op after each. */
function pass(ms: number, step = 0.5): void {
  for (const end = time + ms * MS; time < end; ) {
    time += step * MS;
    guest.cpu.poll();
  }
}

const queued = () => guest.hv.i32[guest.cpu.vcpu.word + VCPU.burstFrames];

describe('frames under a cap', () => {
  it('wait in the ring and go at the cap, in order, and the guest hears of each when it has gone', () => {
    apply(CAPPED);
    send(60);
    expect(wire.sent.length).toBeLessThanOrEqual(16); // the tolerance, in whole bursts
    expect(rspProd(guest)).toBe(wire.sent.length);
    const before = wire.sent.length;
    pass(20);
    expect(wire.sent.length - before).toBeGreaterThanOrEqual(8);
    expect(wire.sent.length - before).toBeLessThanOrEqual(24);
    pass(60);
    expect(wire.sent.length).toBe(60);
    expect(queued()).toBe(0);
    const ids = Array.from({ length: 60 }, (_, n) => guest.u32(slot(n)) & 0xffff);
    expect(ids).toEqual(Array.from({ length: 60 }, (_, n) => n));
  });

  it('that come while others wait are notified, and go after them', () => {
    apply(CAPPED);
    send(40);
    const gone = wire.sent.length;
    const counter = guest.u32(AT.ring);
    guest.put(slot(counter), 5, 0, 7 | (99 << 16));
    expect(push(guest, counter + 1)).toBe(true);
    guest.cpu.event(abi.EVTCHNOP_send, port);
    pass(100);
    expect(wire.sent.length).toBe(41);
    expect(wire.sent.findIndex((frame) => frame.length === 99)).toBe(40);
    expect(gone).toBeLessThan(40);
  });

  it('go on at once when the cap goes, and none twice', () => {
    apply(CAPPED);
    send(50);
    apply({ order: 'wfq' });
    send(3);
    guest.cpu.poll();
    expect(wire.sent.length).toBe(53);
    expect(queued()).toBe(0);
    send(1);
    expect(wire.sent.length).toBe(54);
  });

  it('count as long as they are when they go, whatever they were when they were admitted', () => {
    apply({ order: 'fifo', default: { vif: { bytesPerSecond: 60_000 } } });
    send(16, 60);
    for (let n = rspProd(guest); n < 16; n++) guest.put(slot(n) + 8, (n & 0xff) | (1500 << 16));
    pass(100);
    const bytes = wire.sent.reduce((sum, frame) => sum + frame.length, 0);
    pass(50);
    expect(wire.sent.reduce((sum, frame) => sum + frame.length, 0)).toBe(bytes); // 12,000 bytes are 200 ms
    pass(200);
    send(1);
    expect(wire.sent.length).toBe(17);
  });

  it('without a slot of the queue stay in the ring until there is one', () => {
    apply(CAPPED);
    const queue = new IoQueue(guest.hv, guest.cpu.events);
    const taken = Array.from({ length: QUEUE_SLOTS }, () => queue.allocate());
    expect(queue.allocate()).toBe(NO_SLOT);
    send(10);
    expect(wire.sent.length).toBe(0);
    for (const each of taken.slice(0, 4)) {
      guest.hv.i32[deviceWord(Device.vbd) + REC.inFlight]++; // as if it had begun
      queue.finish(each, -1, -1);
    }
    pass(30);
    expect(wire.sent.length).toBe(10);
  });

  it('are each sent once and answered once, whatever the policy and the pauses', () => {
    const step = fc.oneof(
      fc.record({ send: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ pass: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ ops: fc.constantFrom(0, 500, 20_000) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        guest = new FakeGuest({ vcpus: 1 });
        guest.now = () => time;
        wire = guest.port as FakePort;
        port = connectNet(guest);
        let sent = 0;
        for (const one of steps) {
          if ('send' in one) {
            const room = abi.NETIF_RING_SIZE - (sent - rspProd(guest));
            send(Math.min(one.send, room));
            sent += Math.min(one.send, room);
          } else if ('pass' in one) pass(one.pass);
          else apply(one.ops === 0 ? { order: 'wfq' } : { order: 'fifo', default: { opsPerSecond: one.ops } });
          expect(wire.sent.length).toBe(rspProd(guest));
          expect(wire.sent.length).toBeLessThanOrEqual(sent);
        }
        pass(200, 2);
        expect(wire.sent.length).toBe(sent);
      }),
      { numRuns: 40 },
    );
  });
});
