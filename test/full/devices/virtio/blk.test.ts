import { describe, expect, it } from 'vitest';
import { VirtioBlk } from '#engines/full/devices/virtio/blk.js';
import { FakeDisk } from '../pci/pci-bench.js';
import { BUFFERS, EVENT_IDX, INDIRECT, MmioTransport, type Piece, S, VirtioBench } from './driver.js';

/** Feature bits, request types and status values of 5.2. */
const F = { SEG_MAX: 2, RO: 5, BLK_SIZE: 6, FLUSH: 9, TOPOLOGY: 10, MQ: 12, DISCARD: 13, WRITE_ZEROES: 14 };
const T = { IN: 0, OUT: 1, FLUSH: 4, GET_ID: 8, DISCARD: 11, WRITE_ZEROES: 13 };
const OK = 0;
const IOERR = 1;
const UNSUPP = 2;
const DISK_BYTES = 1 << 20;
const FLUSH = 1n << BigInt(F.FLUSH);

class Bench extends VirtioBench {
  readonly disk = new FakeDisk(this.memory, DISK_BYTES);
  readonly model: VirtioBlk;
  constructor(
    over: 'pci' | 'mmio' = 'pci',
    { queues = 2, readonly = false, features = FLUSH | EVENT_IDX | INDIRECT, size = 32 } = {},
  ) {
    super();
    this.model = new VirtioBlk(this.context(), this.disk.port, {
      queues,
      readonly,
      serial: 'virtax-0123456789-tail-cut',
    });
    this.attach(this.model, over);
    this.start(queues, features, size);
  }

  header(at: number, type: number, sector = 0): Piece {
    this.poke32(at, type, 0, sector % 2 ** 32, Math.floor(sector / 2 ** 32));
    return { at, bytes: 16 };
  }

  /** A request of one piece of data, at slot i of the buffers. */
  request(i: number, type: number, sector: number, data: Piece[] = [], q = 0): number {
    const at = BUFFERS + 64 * i;
    this.poke(at + 32, 0xee);
    const head = this.rings[q].add(this.header(at, type, sector), ...data, { at: at + 32, bytes: 1, write: true });
    return head;
  }

  status(i: number): number {
    return this.peek(BUFFERS + 64 * i + 32, 1)[0];
  }

  /** One request from beginning to end. */
  do(type: number, sector: number, data: Piece[] = []): { status: number; written: number } {
    this.request(0, type, sector, data);
    this.transport.notify(0);
    this.disk.completeAll();
    const used = this.rings[0].used();
    expect(used).toHaveLength(1);
    return { status: this.status(0), written: used[0].written };
  }
}

const DATA = BUFFERS + 0x4000;
const reads = (at: number, bytes: number): Piece => ({ at, bytes, write: true });

describe.each(['pci', 'mmio'] as const)('virtio-blk over %s', (over) => {
  it('reads into guest memory, and tells by status, used ring and interrupt', () => {
    const b = new Bench(over);
    const head = b.request(0, T.IN, 3, [reads(DATA, 1024)]);
    b.transport.notify(0);
    expect(b.disk.requests.map((r) => r.offset)).toEqual([3 * 512]);
    expect(b.rings[0].usedIndex).toBe(0);
    expect(b.transport.interrupt).toBe(false);
    b.disk.complete();
    expect(b.rings[0].used()).toEqual([{ head, written: 1025 }]);
    expect(b.status(0)).toBe(OK);
    expect(b.peek(DATA, 1024)).toEqual(Array.from(b.disk.bytes.subarray(1536, 2560)));
    expect(b.transport.interrupt).toBe(true);
    expect(b.transport.isr()).toBe(1);
    expect(b.transport.interrupt).toBe(false);
    expect(b.transport.isr()).toBe(0);
  });

  it('gives back at the doorbell what has completed meanwhile, and nothing else', () => {
    const b = new Bench(over);
    const first = b.request(0, T.IN, 3, [reads(DATA, 512)]);
    b.transport.notify(0);
    b.disk.arrived = 1;
    expect(b.rings[0].usedIndex).toBe(0);
    b.request(1, T.IN, 4, [reads(DATA + 512, 512)]);
    b.transport.notify(0);
    expect(b.rings[0].used()).toEqual([{ head: first, written: 513 }]);
    expect(b.disk.requests.map((r) => r.offset)).toEqual([4 * 512]);
  });

  it('writes', () => {
    const b = new Bench(over);
    b.poke(DATA, ...new Array<number>(512).fill(0x77));
    expect(b.do(T.OUT, 5, [{ at: DATA, bytes: 512 }])).toEqual({ status: OK, written: 1 });
    expect(Array.from(b.disk.bytes.subarray(2560, 3072))).toEqual(new Array(512).fill(0x77));
    expect(b.disk.flushes).toBe(0);
  });

  it('flushes after each write of a driver that knows of no cache (5.2.6.2)', () => {
    const b = new Bench(over, { features: 0n });
    expect(b.do(T.OUT, 5, [{ at: DATA, bytes: 512 }]).status).toBe(OK);
    expect(b.disk.flushes).toBe(1);
  });

  it('has the configuration of 5.2.4', () => {
    const b = new Bench(over);
    const t = b.transport;
    expect(t.config(0, 4)).toBe(DISK_BYTES / 512);
    expect(t.config(4, 4)).toBe(0);
    expect(t.config(12, 4)).toBe(254);
    expect(t.config(20, 4)).toBe(512);
    expect(t.config(34, 2)).toBe(2);
    expect(t.config(36, 4)).toBeGreaterThan(0);
    expect(t.config(56, 1)).toBe(1);
    const wanted = [F.SEG_MAX, F.BLK_SIZE, F.FLUSH, F.TOPOLOGY, F.MQ, F.DISCARD, F.WRITE_ZEROES, 28, 29, 32];
    expect(t.features()).toBe(wanted.reduce((all, bit) => all | (1n << BigInt(bit)), 0n));
    t.setStatus(0);
    expect(t.queueMax(1)).toBe(256);
    expect(t.queueMax(2)).toBe(0);
  });

  it('does what the second queue asks for', () => {
    const b = new Bench(over);
    b.request(0, T.IN, 0, [reads(DATA, 512)], 1);
    b.transport.notify(1);
    b.disk.completeAll();
    expect(b.rings[1].used()).toHaveLength(1);
    expect(b.rings[0].usedIndex).toBe(0);
  });

  it('shows a status of 0 after a reset only when the host has let go of guest memory', () => {
    const b = new Bench(over);
    b.request(0, T.IN, 0, [reads(DATA, 512)]);
    b.transport.notify(0);
    b.transport.setStatus(0);
    expect(b.transport.status()).not.toBe(0);
    b.disk.complete();
    expect(b.transport.status()).toBe(0);
    expect(b.rings[0].usedIndex).toBe(0);
    expect(b.status(0)).toBe(0xee);
    b.start(2, FLUSH);
    expect(b.do(T.IN, 0, [reads(DATA, 512)]).status).toBe(OK);
  });
});

describe('a disk for small drivers', () => {
  it('goes on without VERSION_1, and names QEMU as its vendor over MMIO', () => {
    const { transport } = new Bench('mmio');
    transport.setStatus(0);
    transport.accept(FLUSH);
    transport.setStatus(S.FEATURES_OK);
    expect(transport.status() & S.FEATURES_OK).toBe(S.FEATURES_OK);
    if (!(transport instanceof MmioTransport)) throw new Error('another transport');
    expect(transport.device.read(0x00c, 4)).toBe(0x554d_4551);
  });
});

describe('virtio-blk requests', () => {
  it('of a life before a reset end without a trace in the next one', () => {
    const b = new Bench();
    b.request(0, T.IN, 0, [reads(DATA, 512)]);
    b.transport.notify(0);
    b.start(2, FLUSH); // does not wait for the status to be 0
    b.disk.complete();
    expect([b.rings[0].usedIndex, b.status(0), b.transport.interrupt]).toEqual([0, 0xee, false]);
    expect(b.do(T.IN, 0, [reads(DATA, 512)]).status).toBe(OK);
  });

  it('may be cut into descriptors in any way (2.7.4.2)', () => {
    const b = new Bench();
    b.header(BUFFERS, T.IN, 1);
    const cuts: Piece[] = [
      { at: BUFFERS, bytes: 3 },
      { at: BUFFERS + 3, bytes: 10 },
      { at: BUFFERS + 13, bytes: 3 },
      reads(DATA + 1000, 100),
      reads(DATA, 413),
    ];
    b.rings[0].add(...cuts); // the last byte is the status
    b.transport.notify(0);
    b.disk.completeAll();
    expect(b.rings[0].used()[0].written).toBe(513);
    const sector = Array.from(b.disk.bytes.subarray(512, 1024));
    expect(b.peek(DATA + 1000, 100)).toEqual(sector.slice(0, 100));
    expect(b.peek(DATA, 412)).toEqual(sector.slice(100));
    expect(b.peek(DATA + 412, 1)).toEqual([OK]);
  });

  it('in an indirect table are the same', () => {
    const b = new Bench();
    const table = BUFFERS + 0x200;
    b.rings[0].chain(0, [b.header(BUFFERS, T.IN, 2), reads(DATA, 512), reads(BUFFERS + 32, 1)], table);
    b.rings[0].descriptor(0, table, 48, 4);
    b.rings[0].offer(0);
    b.transport.notify(0);
    b.disk.completeAll();
    expect(b.rings[0].used()).toEqual([{ head: 0, written: 513 }]);
    expect(b.status(0)).toBe(OK);
  });

  it('of one doorbell are with the host together, submitted two at a time', () => {
    const b = new Bench();
    for (let i = 0; i < 5; i++) b.request(i, T.IN, i, [reads(DATA + 512 * i, 512)]);
    b.transport.notify(0);
    expect(b.disk.requests).toHaveLength(5);
    expect(b.disk.submits).toBe(3);
    b.disk.complete(3);
    b.disk.completeAll();
    expect(b.rings[0].used().map((u) => u.head)).toEqual([9, 0, 3, 6, 12]);
  });

  it('beyond the end, not of whole sectors, or failed by the host end with IOERR', () => {
    const b = new Bench();
    const last = DISK_BYTES / 512;
    expect(b.do(T.IN, last - 1, [reads(DATA, 512)]).status).toBe(OK);
    expect(b.do(T.IN, last - 1, [reads(DATA, 1024)]).status).toBe(IOERR);
    expect(b.do(T.IN, 2 ** 55 - 1, [reads(DATA, 512)]).status).toBe(IOERR);
    expect(b.do(T.IN, 2 ** 63, [reads(DATA, 512)]).status).toBe(IOERR);
    expect(b.do(T.IN, 0, [reads(DATA, 511)]).status).toBe(IOERR);
    b.request(0, T.IN, 0, [reads(DATA, 512)]);
    b.transport.notify(0);
    b.disk.complete(0, -5);
    expect(b.status(0)).toBe(IOERR);
    expect(b.broken).toBe(false);
  });

  it('GET_ID answers 20 bytes; FLUSH flushes; others are not supported', () => {
    const b = new Bench();
    expect(b.do(T.GET_ID, 0, [reads(DATA, 20)])).toEqual({ status: OK, written: 21 });
    expect(Buffer.from(b.peek(DATA, 20)).toString()).toBe('virtax-0123456789-ta');
    expect(b.do(T.FLUSH, 0).status).toBe(OK);
    expect(b.disk.flushes).toBe(1);
    expect(b.do(77, 0).status).toBe(UNSUPP);
  });

  it('of a read-only disk may not write', () => {
    const b = new Bench('pci', { readonly: true });
    expect(b.transport.features() & (1n << BigInt(F.RO))).not.toBe(0n);
    for (const type of [T.OUT, T.DISCARD, T.WRITE_ZEROES]) {
      expect(b.do(type, 0, [{ at: DATA, bytes: 512 }]).status).toBe(IOERR);
    }
    expect(b.disk.requests).toHaveLength(0);
  });

  const range = (b: Bench, i: number, sector: number, sectors: number, flags: number): void =>
    b.poke32(DATA + 16 * i, sector, 0, sectors, flags);

  it('DISCARD gives blocks back, WRITE_ZEROES zeroes, by ranges', () => {
    const b = new Bench();
    range(b, 0, 8, 8, 0);
    range(b, 1, 64, 16, 0);
    expect(b.do(T.DISCARD, 0, [{ at: DATA, bytes: 32 }]).status).toBe(OK);
    range(b, 0, 1, 2, 0);
    expect(b.do(T.WRITE_ZEROES, 0, [{ at: DATA, bytes: 16 }]).status).toBe(OK);
    range(b, 0, 1, 2, 1);
    expect(b.do(T.WRITE_ZEROES, 0, [{ at: DATA, bytes: 16 }]).status).toBe(OK);
    expect(b.disk.zeroed).toEqual([
      { offset: 4096, bytes: 4096, unmap: true },
      { offset: 32768, bytes: 8192, unmap: true },
      { offset: 512, bytes: 1024, unmap: false },
      { offset: 512, bytes: 1024, unmap: true },
    ]);
  });

  it('with illegal ranges begin nothing', () => {
    const b = new Bench();
    const last = DISK_BYTES / 512;
    range(b, 0, 0, 8, 0);
    range(b, 1, last, 1, 0);
    expect(b.do(T.WRITE_ZEROES, 0, [{ at: DATA, bytes: 32 }]).status).toBe(IOERR);
    range(b, 1, 8, 8, 1);
    expect(b.do(T.DISCARD, 0, [{ at: DATA, bytes: 32 }]).status).toBe(UNSUPP);
    range(b, 1, 8, 8, 2);
    expect(b.do(T.WRITE_ZEROES, 0, [{ at: DATA, bytes: 32 }]).status).toBe(UNSUPP);
    expect(b.do(T.WRITE_ZEROES, 0, [{ at: DATA, bytes: 17 }]).status).toBe(IOERR);
    expect(b.disk.zeroed).toHaveLength(0);
  });

  it('a file system that cannot zero in place gives the blocks back instead; one that cannot discard is forgiven', () => {
    const b = new Bench();
    range(b, 0, 0, 8, 0);
    b.request(0, T.WRITE_ZEROES, 0, [{ at: DATA, bytes: 16 }]);
    b.transport.notify(0);
    b.disk.complete(0, -95);
    expect(b.disk.zeroed.map((z) => z.unmap)).toEqual([false, true]);
    expect(b.rings[0].usedIndex).toBe(0);
    b.disk.complete();
    expect(b.status(0)).toBe(OK);
    b.request(1, T.DISCARD, 0, [{ at: DATA, bytes: 16 }]);
    b.transport.notify(0);
    b.disk.complete(0, -95);
    expect(b.status(1)).toBe(OK);
  });

  it('beyond what the host shall have at once wait in the queue, and are taken when others end', () => {
    const b = new Bench('pci', { size: 256, queues: 1 });
    const scattered = Array.from({ length: 64 }, (_, i) => reads(DATA + 1024 * i, 512));
    for (let i = 0; i < 6; i++) {
      const table = BUFFERS + 0x400 + 0x500 * i;
      b.rings[0].chain(0, [b.header(BUFFERS + 64 * i, T.IN, 0), ...scattered, reads(BUFFERS + 64 * i + 32, 1)], table);
      b.rings[0].descriptor(i, table, 16 * 66, 4);
      b.rings[0].offer(i);
    }
    b.transport.notify(0);
    expect(b.disk.pieces).toEqual([64, 64, 64, 64]);
    b.disk.complete();
    expect(b.disk.requests).toHaveLength(4);
    expect(b.disk.pieces).toHaveLength(5);
    b.disk.completeAll();
    expect(b.rings[0].used()).toHaveLength(6);
  });

  it('whose memory is scattered are one request to the host', () => {
    const b = new Bench('pci');
    const data = [reads(DATA, 512), reads(DATA + 2048, 1024), reads(DATA + 3072, 512), reads(DATA + 8192, 512)];
    expect(b.do(T.IN, 7, data)).toEqual({ status: OK, written: 2561 });
    expect(b.disk.pieces).toEqual([3]); // two of them are neighbours
    const whole = [DATA, DATA + 2048, DATA + 2560, DATA + 3072, DATA + 8192].flatMap((at) => b.peek(at, 512));
    expect(whole).toEqual(Array.from(b.disk.bytes.subarray(7 * 512, 12 * 512)));
    const bytes = (at: number) => ({ at, bytes: 512 });
    b.poke(DATA + 1024, ...new Array<number>(512).fill(1));
    b.poke(DATA + 4096, ...new Array<number>(512).fill(2));
    expect(b.do(T.OUT, 0, [bytes(DATA + 4096), bytes(DATA + 1024)]).status).toBe(OK);
    expect(b.disk.pieces).toEqual([3, 2]);
    expect(Array.from(b.disk.bytes.subarray(0, 1024))).toEqual([
      ...new Array<number>(512).fill(2),
      ...new Array<number>(512).fill(1),
    ]);
  });
});

describe('virtio-blk and a thread that waits for the disk', () => {
  /** One request that the host ends while the thread waits. */
  function readWhileWaiting(b: Bench): void {
    b.request(0, T.IN, 0, [reads(DATA, 512)]);
    b.transport.notify(0);
    b.disk.waiting = true;
    b.disk.complete();
    b.disk.waiting = false;
  }

  it.each([true, false])('asks for the driver’s wish when that had time to look (event index: %s)', (event) => {
    const b = new Bench('pci', { features: event ? EVENT_IDX : 0n });
    readWhileWaiting(b);
    expect(b.rings[0].used()).toHaveLength(1);
    expect(b.transport.interrupt).toBe(false);
    b.runDeferred();
    expect(b.transport.interrupt).toBe(true); // it did not look: event index 0, no flag
    b.transport.isr();
    readWhileWaiting(b);
    // It looks, and wants to hear of the third one, or of none.
    if (event) b.rings[0].usedEvent = 2;
    else b.rings[0].noInterrupt = true;
    b.runDeferred();
    expect(b.transport.interrupt).toBe(false);
  });

  it('gives a driver that never looks its interrupt at once, and tries again now and then', () => {
    const b = new Bench('pci', { features: 0n });
    const late: number[] = [];
    for (let i = 0; i < 200; i++) {
      readWhileWaiting(b);
      if (!b.transport.interrupt) late.push(i);
      b.runDeferred();
      expect(b.transport.interrupt).toBe(true);
      b.transport.isr();
    }
    expect(late.slice(0, 5)).toEqual([0, 1, 2, 3, 68]);
    expect(late.length).toBeLessThan(10);
  });

  it('does not interrupt for a life of the device that is over', () => {
    const b = new Bench('pci', { features: 0n });
    readWhileWaiting(b);
    b.start(2, 0n);
    b.runDeferred();
    expect(b.transport.interrupt).toBe(false);
  });
});
