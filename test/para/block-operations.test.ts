import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import * as abi from '#engines/para/abi.js';
import { diskSource } from '#engines/para/core-os/disk-source.js';
import { MemoryDevice, NullDevice } from '#engines/para/core-os/memory-device.js';
import { Hypervisor } from '#engines/para/hypervisor.js';
import { FakeGuest } from './guest-fixture.js';
import { ParaGuest } from './para-guest.js';
import {
  AT,
  connectBlock,
  dataOf,
  push,
  putDiscard,
  putIndirect,
  putRequest,
  response,
  rspProd,
} from './ring-fixture.js';

const { BLKIF_OP_DISCARD: DISCARD, BLKIF_OP_INDIRECT: INDIRECT, BLKIF_OP_READ: READ, BLKIF_OP_WRITE: WRITE } = abi;
const EINVAL = -22;
const EACCES = -13;
let guest: FakeGuest;
let port: number;

beforeEach(() => {
  guest = new FakeGuest({ diskBytes: 8 << 20 });
  for (let i = 0; i < guest.disk.bytes; i++) guest.disk.data[i] = (i * 31) >> 3;
  port = connectBlock(guest);
});

/** What the next request was answered with. */
function answered(): { operation: number; status: number } {
  const counter = guest.u32(AT.ring);
  if (push(guest, counter + 1)) guest.cpu.event(abi.EVTCHNOP_send, port);
  guest.cpu.poll();
  guest.put(AT.ring + abi.ring_header.rsp_event, counter + 2);
  const { operation, status } = response(guest, counter);
  return { operation, status };
}

/** Descriptors in the frame of grant 59: segment n is sector n % 8 of grant 1 + n / 8 % 50. */
function describeSegments(count: number): void {
  const words = Array.from({ length: count }, (_, n) => [1 + (Math.floor(n / 8) % 50), (n % 8) * 512, 512]);
  guest.put(dataOf(59), ...words.flat());
}

describe('an indirect request', () => {
  it('moves as many segments as a frame describes, as one operation of the device', () => {
    describeSegments(256);
    putIndirect(guest, 0, { operation: READ, nr: 256, sector: 3, gref: 59 });
    expect(answered()).toEqual({ operation: INDIRECT, status: 0 });
    expect(guest.disk.log).toEqual([`read ${256 * 512}@1536`]);
    for (const n of [0, 7, 8, 255]) {
      const at = dataOf(1 + Math.floor(n / 8)) + (n % 8) * 512;
      expect(guest.memory.u8.slice(at, at + 512)).toEqual(guest.disk.data.slice(1536 + n * 512, 2048 + n * 512));
    }
  });

  it('writes, from descriptors anywhere in a read-only grant', () => {
    guest.grant(AT.table, 59, dataOf(59) / 4096, 1, 5);
    guest.put(dataOf(59) + 100, 2, 0, 4096, 3, 512, 512);
    guest.memory.u8.fill(0x5a, dataOf(2), dataOf(2) + 4096);
    putIndirect(guest, 0, { operation: WRITE, nr: 2, sector: 8, gref: 59, offset: 100 });
    expect(answered().status).toBe(0);
    expect(guest.disk.log).toEqual(['write 4608@4096']);
    expect(guest.disk.data[4096 + 4095]).toBe(0x5a);
  });

  it.each<[string, Partial<Parameters<typeof putIndirect>[2]>, number]>([
    ['no segments', { nr: 0 }, EINVAL],
    ['one too many', { nr: 257 }, EINVAL],
    ['65,535', { nr: 65535 }, EINVAL],
    ['another device', { reserved: 1 }, EINVAL],
    ['a word that must be 0', { reserved: 1 << 16 }, EINVAL],
    ['a flush inside', { operation: 3 }, -95],
    ['an indirect one inside', { operation: 6 }, -95],
    ['descriptors behind the grant', { offset: 4096 - 12 }, EINVAL],
    ['descriptors that are not aligned', { offset: 2 }, EINVAL],
    ['descriptors in no grant', { gref: 63 }, EINVAL],
    ['a reference of 2^32 - 1', { gref: -1 }, EINVAL],
    ['a place behind the disk', { sector: 16384 }, EINVAL],
  ])('with %s gets an error and touches no device', (_, wrong, status) => {
    describeSegments(2);
    putIndirect(guest, 0, { operation: READ, nr: 2, gref: 59, ...wrong });
    expect(answered()).toEqual({ operation: INDIRECT, status });
    expect(guest.disk.log).toEqual([]);
    putIndirect(guest, 1, { operation: READ, nr: 2, gref: 59 });
    expect(answered().status).toBe(0);
  });

  it('gets an error for a bad descriptor, and for more than 4 MiB', () => {
    describeSegments(3);
    guest.put(dataOf(59) + 24, 62, 0, 512);
    putIndirect(guest, 0, { operation: READ, nr: 3, gref: 59 });
    expect(answered().status).toBe(EINVAL);
    guest.grant(AT.table, 62, 17, 1, 5);
    putIndirect(guest, 1, { operation: READ, nr: 3, gref: 59 });
    expect(answered().status).toBe(EACCES);
    const big = new FakeGuest({ pages: 32, diskBytes: 16 << 20 });
    const channel = connectBlock(big);
    big.grant(AT.table, 1, 100, 256);
    big.put(dataOf(59), ...Array.from({ length: 5 }, () => [1, 0, 1 << 20]).flat());
    putIndirect(big, 0, { operation: READ, nr: 5, gref: 59 });
    putIndirect(big, 1, { operation: READ, nr: 4, gref: 59 });
    push(big, 2);
    big.cpu.event(abi.EVTCHNOP_send, channel);
    big.cpu.poll();
    expect([response(big, 0).status, response(big, 1).status]).toEqual([EINVAL, 0]);
  });

  it('is not looked at again once it was taken, nor are its descriptors', () => {
    describeSegments(2);
    putIndirect(guest, 0, { operation: READ, nr: 2, gref: 59 });
    push(guest, 1);
    guest.cpu.event(abi.EVTCHNOP_send, port);
    guest.put(dataOf(59), 9, 0, 4096, 9, 0, 4096);
    guest.cpu.poll();
    expect(guest.memory.u8.slice(dataOf(1), dataOf(1) + 1024)).toEqual(guest.disk.data.slice(0, 1024));
    expect(guest.u32(dataOf(9))).toBe(0);
  });

  it('waits in the ring while all tables are in use, and none is lost', () => {
    const cpus = [guest.cpus[0], guest.cpus[1]];
    describeSegments(1);
    // A second queue, whose ring lies where the network's would: 64 requests each, and 64 tables for both.
    guest.cpus[1].withInfo(0x2000);
    guest.grant(AT.table, 61, AT.rx / 4096, 2);
    guest.put(AT.rx + abi.ring_header.rsp_event, 1);
    const second = guest.cpus[1].event(abi.EVTCHNOP_alloc_unbound, abi.DOMID_CORE_OS);
    for (const [key, value] of [
      ['ring-ref', '61'],
      ['event-channel', `${second}`],
      ['state', '4'],
    ]) {
      expect(guest.cpus[1].storeWrite(`device/vbd/0/queue-1/${key}`, value)).toBe(0);
    }
    for (let n = 0; n < 64; n++) putIndirect(guest, n, { operation: READ, nr: 1, sector: 2 * n, gref: 59 });
    const ring = AT.ring + 64;
    guest.memory.u8.copyWithin(AT.rx + 64, ring, ring + 64 * 64);
    push(guest, 64);
    push(guest, 64, AT.rx);
    cpus[0].event(abi.EVTCHNOP_send, port);
    cpus[1].event(abi.EVTCHNOP_send, second);
    expect(guest.disk.log.length).toBe(64);
    for (let round = 0; round < 4; round++) for (const cpu of cpus) cpu.poll();
    expect([rspProd(guest), rspProd(guest, AT.rx)]).toEqual([64, 64]);
    expect(guest.disk.log.length).toBe(128);
  });
});

describe('a discard', () => {
  it('gives the sectors back, which read as zeros', () => {
    putDiscard(guest, 0, 8, 16);
    expect(answered()).toEqual({ operation: DISCARD, status: 0 });
    expect(guest.disk.log).toEqual(['discard 8192@4096']);
    expect(guest.disk.data.subarray(4096, 12288).every((byte) => byte === 0)).toBe(true);
    expect(guest.disk.data[12288]).toBe(((12288 * 31) >> 3) & 255);
  });

  it.each<[string, number, number, number]>([
    ['nothing', 0, 0, 0],
    ['one sector behind the end', 16384, 1, 0],
    ['over the end', 16383, 2, 0],
    ['2^63 sectors', 0, 2 ** 63, 0],
    ['from sector 2^63', 2 ** 63, 1, 0],
    ['with a flag', 0, 1, 1 << 8],
    ['of another device', 0, 1, 1 << 16],
  ])('of %s gets an error and touches no device', (_, sector, sectors, flags) => {
    putDiscard(guest, 0, sector, sectors, flags);
    expect(answered().status).toBe(EINVAL);
    expect(guest.disk.log).toEqual([]);
  });

  it('waits for a write under it, and a read waits for it', () => {
    putRequest(guest, 0, { operation: WRITE, segments: [[1, 0, 4096]], sector: 8 });
    putDiscard(guest, 1, 0, 64);
    putRequest(guest, 2, { operation: READ, segments: [[2, 0, 4096]], sector: 8 });
    push(guest, 3);
    guest.cpu.event(abi.EVTCHNOP_send, port);
    expect(guest.disk.log).toEqual(['write 4096@4096']);
    for (let n = 0; n < 3; n++) guest.cpu.poll();
    expect(guest.disk.log.slice(1)).toEqual(['discard 32768@0', 'read 4096@4096']);
    expect(rspProd(guest)).toBe(3);
  });
});

describe('adjacent requests', () => {
  const submit = (...requests: Parameters<typeof putRequest>[2][]): number[] => {
    requests.forEach((request, n) => {
      putRequest(guest, n, request);
    });
    push(guest, requests.length);
    guest.cpu.event(abi.EVTCHNOP_send, port);
    guest.cpu.poll();
    guest.cpu.poll();
    return requests.map((_, n) => response(guest, n).status);
  };
  const one = (n: number, sector: number, operation: number = READ) => ({
    ...{ operation, sector, segments: [[n + 1, 0, 4096] as [number, number, number]] },
  });

  it('are one operation of the device, however many, and are answered one by one', () => {
    expect(submit(...Array.from({ length: 20 }, (_, n) => one(n, 8 * n)))).toEqual(new Array(20).fill(0));
    expect(guest.disk.log).toEqual(['read 81920@0']);
    for (const n of [0, 19]) {
      const frame = guest.memory.u8.slice(dataOf(n + 1), dataOf(n + 1) + 4096);
      expect(frame).toEqual(guest.disk.data.slice(n * 4096, (n + 1) * 4096));
    }
  });

  it('are not where one writes, where there is a gap, or where they go backwards', () => {
    expect(submit(one(0, 0), one(1, 8, WRITE), one(2, 16, WRITE), one(3, 32, WRITE), one(4, 24, WRITE))).toEqual(
      new Array(5).fill(0),
    );
    expect(guest.disk.log).toEqual(['read 4096@0', 'write 8192@4096', 'write 4096@16384', 'write 4096@12288']);
  });

  it('share what the device says: the end of a short transfer is the error of the last', () => {
    guest.disk.failWith = 6000;
    expect(submit(one(0, 0), one(1, 8), one(2, 16))).toEqual([0, -5, -5]);
  });
});

describe('a disk', () => {
  const folder = mkdtempSync(join(tmpdir(), 'virtax-disks-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const pieces = { address: [4096], bytes: [1024], count: 1 };
  const wasm = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const bytes = new Uint8Array(wasm.buffer);

  it('in memory keeps what is written, until it is discarded', () => {
    const results: number[] = [];
    const device = new MemoryDevice(guest.disk, wasm, new SharedArrayBuffer(65536));
    const read = (): Uint8Array => {
      bytes.fill(1);
      device.transfer(true, pieces, 512, (result) => results.push(result));
      return bytes.slice(4096, 5120);
    };
    bytes.fill(7);
    device.transfer(false, pieces, 512, (result) => results.push(result));
    expect(read()).toEqual(new Uint8Array(1024).fill(7));
    device.discard(512, 512, (result) => results.push(result));
    expect([...read()]).toEqual([...new Array(512).fill(0), ...new Array(512).fill(7)]);
    expect(results).toEqual([1024, 1024, 0, 1024]);
    expect(bytes[4095]).toBe(1);
  });

  it('that is none reads as zeros', () => {
    bytes.fill(7);
    new NullDevice(guest.disk, wasm, 65536).transfer(true, pieces, 0, () => {});
    expect([bytes[4095], bytes[4096], bytes[5119], bytes[5120]]).toEqual([7, 0, 0, 7]);
  });

  it('of a file says whether it can discard, and is the same afterwards', () => {
    const path = join(folder, 'disk');
    writeFileSync(path, Buffer.alloc(8192, 3));
    expect(diskSource({ path, bytes: 8192, direct: false })).toMatchObject({ kind: 'file', bytes: 8192 });
    expect(readFileSync(path)).toEqual(Buffer.alloc(8192, 3));
    expect(diskSource({ path: join(folder, 'none'), bytes: 8192, direct: false }).discards).toBe(false);
  });

  it('in memory runs our own guest, by its own threads and by the core OS’s', { timeout: 30_000 }, async () => {
    for (const lending of [true, false]) {
      const hypervisor = new Hypervisor({ coreOs: { lending } });
      const guest = await ParaGuest.start(hypervisor, { disk: { kind: 'memory', bytes: 16 << 20 } });
      const { store } = guest.domain;
      const keys = [
        'feature-discard',
        'feature-flush-cache',
        'feature-max-indirect-segments',
        'multi-queue-max-queues',
      ];
      expect(keys.map((key) => store.get(`device/vbd/0/${key}`))).toEqual(['1', '1', '256', '1']);
      const fields = await guest.run('block/write-1m', 1, 60);
      expect(fields.errors).toBe('0');
      guest.domain.destroy();
      await guest.ended();
      hypervisor.close();
    }
  });
});
