import { beforeEach, describe, expect, it } from 'vitest';
import * as abi from '#engines/para/abi.js';
import { GuestCrash } from '#engines/para/vcpu.js';
import { FakeGuest } from './guest-fixture.js';
import { AT, connectBlock, dataOf, push, putRequest, response, roundTrip, rspProd } from './ring-fixture.js';

const { BLKIF_OP_FLUSH_DISKCACHE: FLUSH, BLKIF_OP_READ: READ, BLKIF_OP_WRITE: WRITE } = abi;

let guest: FakeGuest;
let port: number;

beforeEach(() => {
  guest = new FakeGuest({ diskBytes: 1 << 20 });
  for (let i = 0; i < guest.disk.bytes; i++) guest.disk.data[i] = (i * 31) >> 3;
  port = connectBlock(guest);
});

const frame = (ref: number) => guest.memory.u8.slice(dataOf(ref), dataOf(ref) + 4096);

describe('a block request', () => {
  it('reads into the granted memory, and nowhere else', () => {
    const before = frame(2);
    expect(roundTrip(guest, port, { segments: [[1, 512, 1024]], sector: 8 })).toBe(0);
    expect(frame(1).slice(512, 1536)).toEqual(guest.disk.data.slice(4096, 5120));
    expect(frame(1).slice(0, 512)).toEqual(new Uint8Array(512));
    expect(frame(1).slice(1536)).toEqual(new Uint8Array(4096 - 1536));
    expect(frame(2)).toEqual(before);
  });

  it('writes, flushes, and answers in order', () => {
    guest.memory.u8.fill(0xab, dataOf(3), dataOf(3) + 4096);
    putRequest(guest, 0, { operation: WRITE, segments: [[3, 0, 4096]], sector: 16, id: 77 });
    putRequest(guest, 1, { operation: FLUSH, id: 78 });
    push(guest, 2);
    guest.cpu.event(abi.EVTCHNOP_send, port);
    guest.cpu.poll();
    expect(guest.disk.log).toEqual(['write 4096@8192', 'flush 0@0']);
    expect([response(guest, 0), response(guest, 1)]).toEqual([
      { id: 77, operation: WRITE, status: 0 },
      { id: 78, operation: FLUSH, status: 0 },
    ]);
    expect(guest.disk.data[8192 + 4095]).toBe(0xab);
  });

  it('takes up to three segments, which follow one another on the disk', () => {
    const segments: [number, number, number][] = [
      [1, 0, 512],
      [2, 1024, 2048],
      [3, 0, 512],
    ];
    expect(roundTrip(guest, port, { segments, sector: 1 })).toBe(0);
    expect(guest.disk.log).toEqual(['read 3072@512']); // one operation of the device
    expect(frame(1).slice(0, 512)).toEqual(guest.disk.data.slice(512, 1024));
    expect(frame(3).slice(0, 512)).toEqual(guest.disk.data.slice(3072, 3584));
    expect(frame(2).slice(1024, 3072)).toEqual(guest.disk.data.slice(1024, 3072));
  });

  it('may reach the last byte of the disk and not one more', () => {
    expect(roundTrip(guest, port, { segments: [[1, 0, 4096]], sector: 2040 })).toBe(0);
    expect(roundTrip(guest, port, { segments: [[1, 0, 4096]], sector: 2041 })).toBe(-22);
  });

  const EINVAL = -22;
  const EACCES = -13;
  it.each<[string, Parameters<typeof roundTrip>[2], number]>([
    ['no segments', { segments: [] }, EINVAL],
    ['four segments', { segments: [[1, 0, 512]], nrSegments: 4 }, EINVAL],
    ['a flush with segments', { operation: FLUSH, segments: [[1, 0, 512]] }, EINVAL],
    ['another device', { segments: [[1, 0, 512]], handle: 1 }, EINVAL],
    ['an unknown operation', { operation: 2, segments: [[1, 0, 512]] }, -95],
    ['no bytes', { segments: [[1, 0, 0]] }, EINVAL],
    ['half a sector', { segments: [[1, 0, 256]] }, EINVAL],
    ['an unaligned offset', { segments: [[1, 8, 512]] }, EINVAL],
    ['more than the grant', { segments: [[1, 512, 4096]] }, EINVAL],
    ['an offset of 4 GiB less 512', { segments: [[1, 0xfffffe00, 512]] }, EINVAL],
    ['a length of 2 GiB', { segments: [[1, 0, 0x80000000]] }, EINVAL],
    ['a sector of 2^63', { segments: [[1, 0, 512]], sector: 2 ** 63 }, EINVAL],
    ['a sector of 2^55', { segments: [[1, 0, 512]], sector: 2 ** 55 }, EINVAL],
    ['a reference outside of the table', { segments: [[64, 0, 512]] }, EINVAL],
    ['a reference of 2^32 - 1', { segments: [[0xffffffff, 0, 512]] }, EINVAL],
    [
      'a good and a bad segment',
      {
        segments: [
          [1, 0, 512],
          [64, 0, 512],
        ],
      },
      EINVAL,
    ],
  ])('with %s gets an error and touches no device', (_, request, status) => {
    expect(roundTrip(guest, port, request)).toBe(status);
    expect(guest.disk.log).toEqual([]);
    expect(roundTrip(guest, port, { segments: [[1, 0, 512]] })).toBe(0); // the queue goes on
  });

  it.each<[string, () => void, number, number]>([
    ['is not granted', () => guest.grant(AT.table, 1, 17, 1, 0), READ, EINVAL],
    ['is granted to another domain', () => guest.grant(AT.table, 1, 17, 1, 1, 2), READ, EACCES],
    ['may only be read, for a disk read', () => guest.grant(AT.table, 1, 17, 1, 5), READ, EACCES],
    ['may only be read, for a disk write', () => guest.grant(AT.table, 1, 17, 1, 5), WRITE, 0],
    ['lies behind the end', () => guest.grant(AT.table, 1, 256, 1), READ, EINVAL],
    ['begins inside and ends outside', () => guest.grant(AT.table, 1, 255, 2), READ, EINVAL],
    ['has 2^32 - 1 frames', () => guest.grant(AT.table, 1, 17, 0xffffffff), READ, EINVAL],
    ['begins at frame 2^32 - 1', () => guest.grant(AT.table, 1, 0xffffffff, 1), READ, EINVAL],
    ['has no frames', () => guest.grant(AT.table, 1, 17, 0), READ, EINVAL],
  ])('on memory that %s', (_, change, operation, status) => {
    change();
    expect(roundTrip(guest, port, { operation, segments: [[1, 0, 512]] })).toBe(status);
    expect(guest.disk.log.length).toBe(status === 0 ? 1 : 0);
  });

  it('gets what the device said, and -EIO for a short transfer', () => {
    guest.disk.failWith = -28;
    expect(roundTrip(guest, port, { operation: WRITE, segments: [[1, 0, 512]] })).toBe(-28);
    guest.disk.failWith = 256;
    expect(roundTrip(guest, port, { segments: [[1, 0, 512]] })).toBe(-5);
  });

  it('is not looked at again once it was taken', () => {
    putRequest(guest, 0, { segments: [[1, 0, 512]], sector: 4, id: 9 });
    push(guest, 1);
    guest.cpu.event(abi.EVTCHNOP_send, port);
    putRequest(guest, 0, { operation: WRITE, segments: [[63, 0, 4096]], sector: 9999, id: 1, nrSegments: 9 });
    guest.grant(AT.table, 1, 0, 0, 0);
    guest.cpu.poll();
    expect(guest.disk.log).toEqual(['read 512@2048']);
    expect(response(guest, 0)).toEqual({ id: 9, operation: READ, status: 0 });
  });

  it('holds its grant until it is answered', () => {
    const revoke = () => guest.cpu.call(abi.HYPERVISOR_grant_table_op, abi.GNTTABOP_revoke, 1);
    putRequest(guest, 0, { segments: [[1, 0, 512]] });
    push(guest, 1);
    guest.cpu.event(abi.EVTCHNOP_send, port);
    expect(revoke()).toBe(-16);
    guest.cpu.poll();
    expect(revoke()).toBe(0);
    expect(guest.u32(AT.table + 12) & 0xffff).toBe(0);
    expect(roundTrip(guest, port, { segments: [[1, 0, 512]] })).toBe(-22);
  });
});

describe('the block ring', () => {
  it('asks for a notification only when the back end has seen everything', () => {
    putRequest(guest, 0, { segments: [[1, 0, 512]] });
    expect(push(guest, 1)).toBe(true);
    putRequest(guest, 1, { segments: [[1, 0, 512]] });
    expect(push(guest, 2)).toBe(false);
    guest.cpu.event(abi.EVTCHNOP_send, port);
    expect(guest.u32(AT.ring + abi.ring_header.req_event)).toBe(3);
    expect(guest.disk.log.length).toBe(2);
  });

  it('notifies once a batch, and not while the front end holds off', () => {
    for (let i = 0; i < 8; i++) putRequest(guest, i, { segments: [[1, 0, 512]] });
    push(guest, 8);
    guest.put(AT.ring + abi.ring_header.rsp_event, 8);
    guest.cpu.event(abi.EVTCHNOP_send, port);
    guest.disk.jobs.splice(4).forEach(() => {}); // four answers are still to come
    guest.cpu.poll();
    guest.cpu.poll();
    expect(rspProd(guest)).toBe(4);
    expect(guest.cpu.takePorts(AT.info)).toEqual([]);
    for (let i = 8; i < 12; i++) putRequest(guest, i, { segments: [[1, 0, 512]] });
    push(guest, 12);
    guest.cpu.event(abi.EVTCHNOP_send, port);
    guest.cpu.poll();
    guest.cpu.poll();
    expect(rspProd(guest)).toBe(8);
    expect(guest.cpu.takePorts(AT.info)).toEqual([port]);
  });

  it('goes round many times, the counters past 2^32', () => {
    // As if 2^32 - 5 requests had gone through it.
    const start = 2 ** 32 - 5;
    const { i32 } = guest.hv;
    const ring = guest.hv.vcpuWord(1, 0) + 48;
    i32[ring + 1] = start | 0;
    i32[ring + 2] = start | 0;
    guest.put(AT.ring, start, start + 1, start, start + 1);
    for (let n = 0; n < 200; n++) {
      const counter = (start + n) >>> 0;
      putRequest(guest, counter, { segments: [[1, 0, 512]], sector: n, id: n });
      expect(push(guest, (counter + 1) >>> 0)).toBe(true);
      guest.cpu.event(abi.EVTCHNOP_send, port);
      guest.cpu.poll();
      expect(response(guest, counter)).toEqual({ id: n, operation: READ, status: 0 });
      guest.put(AT.ring + abi.ring_header.rsp_event, counter + 2);
    }
    expect(guest.disk.log.length).toBe(200);
  });

  it('crashes the domain that claims more requests than the ring holds, or takes some back', () => {
    push(guest, 65);
    expect(() => guest.cpu.event(abi.EVTCHNOP_send, port)).toThrow(GuestCrash);
    const other = new FakeGuest();
    const otherPort = connectBlock(other);
    roundTrip(other, otherPort, { segments: [[1, 0, 512]] });
    push(other, 0);
    expect(() => other.cpu.event(abi.EVTCHNOP_send, otherPort)).toThrow(GuestCrash);
  });

  it('is served by the thread of its own vCPU, whoever notifies', () => {
    putRequest(guest, 0, { segments: [[1, 0, 512]] });
    push(guest, 1);
    expect(guest.cpus[1].event(abi.EVTCHNOP_send, port)).toBe(0);
    expect(guest.disk.log).toEqual([]);
    guest.cpu.poll();
    expect(guest.disk.log.length).toBe(1);
  });
});

describe('connecting a block queue', () => {
  const attempt = (cpu: number, ring: string, channel: string, queue = 0) => {
    const fresh = new FakeGuest();
    fresh.cpu.call(abi.HYPERVISOR_grant_table_op, abi.GNTTABOP_setup_table, AT.table, 64);
    fresh.grant(AT.table, 0, 8, 2);
    fresh.grant(AT.table, 1, 8, 1);
    fresh.grant(AT.table, 2, 8, 2, 5);
    const port0 = fresh.cpu.event(abi.EVTCHNOP_alloc_unbound, 0);
    const vcpu = fresh.cpus[cpu];
    vcpu.storeWrite(`device/vbd/0/queue-${queue}/ring-ref`, ring);
    vcpu.storeWrite(`device/vbd/0/queue-${queue}/event-channel`, channel.replace('PORT', `${port0}`));
    return vcpu.storeWrite(`device/vbd/0/queue-${queue}/state`, '4');
  };

  it.each([
    ['as it should be', 0, '0', 'PORT', 0, 0],
    ['from another vCPU', 1, '0', 'PORT', 0, -22],
    ['of a vCPU that there is not', 0, '0', 'PORT', 31, -22],
    ['with too small a ring', 0, '1', 'PORT', 0, -22],
    ['with a read-only ring', 0, '2', 'PORT', 0, -13],
    ['with a ring that is not granted', 0, '9', 'PORT', 0, -22],
    ['with nonsense for a ring', 0, 'x', 'PORT', 0, -22],
    ['with a port that is not allocated', 0, '0', '99', 0, -22],
    ['with a port that is none', 0, '0', '4096', 0, -22],
  ])('%s', (_, cpu, ring, channel, queue, error) => {
    expect(attempt(cpu, ring, channel, queue)).toBe(error);
  });

  it('happens once', () => {
    expect(guest.cpu.storeWrite('device/vbd/0/queue-0/state', '4')).toBe(-16);
  });
});
