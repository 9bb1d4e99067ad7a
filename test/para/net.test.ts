import { beforeEach, describe, expect, it } from 'vitest';
import * as abi from '#engines/para/abi.js';
import type { FakePort } from './fake-port.js';
import { FakeGuest } from './guest-fixture.js';
import { AT, connectNet, dataOf, push, rspProd } from './ring-fixture.js';

let guest: FakeGuest;
let wire: FakePort;
let port: number;

beforeEach(() => {
  guest = new FakeGuest({ vcpus: 1 });
  wire = guest.port as FakePort;
  port = connectNet(guest);
});

const slot = (ring: number, counter: number) => ring + 64 + (counter % abi.NETIF_RING_SIZE) * abi.NETIF_SLOT_BYTES;

function send(gref: number, offset: number, size: number, flags = 0): number {
  const counter = guest.u32(AT.ring);
  guest.put(slot(AT.ring, counter), gref, offset | (flags << 16), 7 | (size << 16));
  if (push(guest, counter + 1)) guest.cpu.event(abi.EVTCHNOP_send, port);
  const answer = guest.u32(slot(AT.ring, counter));
  expect(answer & 0xffff).toBe(7);
  expect(rspProd(guest)).toBe(counter + 1);
  return answer >> 16;
}

describe('network transmit', () => {
  it('sends the bytes of the granted frame', () => {
    for (let i = 0; i < 100; i++) guest.memory.u8[dataOf(5) + 2048 + i] = i;
    expect(send(5, 2048, 100)).toBe(0);
    expect(wire.sent).toEqual([Uint8Array.from({ length: 100 }, (_, i) => i)]);
  });

  it.each([
    ['shorter than an Ethernet header', 5, 0, 13, 0, -22],
    ['longer than an Ethernet frame', 5, 0, 1515, 0, -22],
    ['over the end of its grant', 5, 4000, 100, 0, -22],
    ['with flags', 5, 0, 100, 1, -22],
    ['without a grant', 63, 0, 100, 0, -22],
  ])('refuses a frame %s', (_, gref, offset, size, flags, status) => {
    expect(send(gref, offset, size, flags)).toBe(status);
    expect(wire.sent).toEqual([]);
  });

  it('sends the first frame at once, and the rest of a burst for one notification or by the next sched_op', () => {
    const put = (counter: number) => guest.put(slot(AT.ring, counter), 5, 0, 7 | (60 << 16));
    const sentAfter: number[] = [];
    let notifications = 0;
    for (let n = 0; n < 20; n++) {
      put(n);
      if (push(guest, n + 1)) notifications += guest.cpu.event(abi.EVTCHNOP_send, port) + 1;
      sentAfter.push(wire.sent.length);
    }
    expect(notifications).toBe(2);
    expect([sentAfter[0], sentAfter[15], sentAfter[16], sentAfter[19]]).toEqual([1, 1, 17, 17]);
    guest.cpu.poll();
    expect(wire.sent.length).toBe(20);
    put(20);
    expect(push(guest, 21)).toBe(true);
  });

  it('takes a frame from memory that the core OS may only read', () => {
    guest.grant(AT.table, 5, dataOf(5) / 4096, 1, 5);
    expect(send(5, 0, 60)).toBe(0);
  });
});

describe('network receive', () => {
  const post = (id: number, gref: number) => {
    const counter = guest.u32(AT.rx);
    guest.put(slot(AT.rx, counter), id, gref);
    push(guest, counter + 1, AT.rx);
  };

  it('puts frames into the posted buffers in turn and notifies', () => {
    post(3, 8);
    post(4, 9);
    const frames = [new Uint8Array(60).fill(1), new Uint8Array(1514).fill(2)];
    for (const frame of frames) expect(wire.deliver(frame)).toBe(true);
    expect(guest.memory.u8.slice(dataOf(8), dataOf(8) + 61)).toEqual(Uint8Array.from([...frames[0], 0]));
    expect(guest.memory.u8[dataOf(9) + 1513]).toBe(2);
    expect([0, 1].map((n) => [guest.u32(slot(AT.rx, n)), guest.u32(slot(AT.rx, n) + 4) >>> 16])).toEqual([
      [3, 60],
      [4, 1514],
    ]);
    guest.cpu.poll();
    expect(guest.cpu.takePorts(AT.info)).toEqual([port]);
  });

  it('drops frames when no buffer is posted, or before the queue is connected', () => {
    expect(wire.deliver(new Uint8Array(60))).toBe(false);
    const other = new FakeGuest({ vcpus: 1 });
    expect((other.port as FakePort).deliver(new Uint8Array(60))).toBe(false);
  });

  it.each([
    ['is read-only', () => guest.grant(AT.table, 8, dataOf(8) / 4096, 1, 5), -13],
    ['is not granted', () => guest.grant(AT.table, 8, dataOf(8) / 4096, 1, 0), -22],
    ['lies outside', () => guest.grant(AT.table, 8, 256, 1), -22],
  ])('answers a buffer that %s with an error and writes nothing', (_, change, status) => {
    change();
    post(3, 8);
    expect(wire.deliver(new Uint8Array(60).fill(9))).toBe(false);
    expect(guest.u32(slot(AT.rx, 0) + 4) >> 16).toBe(status);
    expect(guest.memory.u8.subarray(dataOf(8), dataOf(8) + 60).every((byte) => byte === 0)).toBe(true);
  });
});
