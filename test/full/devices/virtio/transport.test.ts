import { describe, expect, it } from 'vitest';
import { Chain } from '#engines/full/devices/virtio/chain.js';
import { VirtioCore } from '#engines/full/devices/virtio/core.js';
import { VirtioPci } from '#engines/full/devices/virtio/pci.js';
import { RAM_BASE, RAM_BYTES } from '../pci/pci-bench.js';
import { BAR, BUFFERS, EVENT_IDX, INDIRECT, MmioTransport, RINGS_AT, S, VERSION_1, VirtioBench } from './driver.js';

/** A device that gives every chain back at once. */
class Echo {
  readonly name = 'echo';
  readonly core: VirtioCore;
  readonly heads: number[] = [];
  counters = () => this.core.counters();
  chains = 0;
  constructor(bench: VirtioBench, queues = 2) {
    const traits = { type: 4, features: 1 << 3, queueSizes: new Array<number>(queues).fill(64), configBytes: 8 };
    const chain = new Chain(bench.ram);
    this.core = new VirtioCore('echo', bench.context(), traits, {
      initialize: () => this.core.config.setUint32(0, 0xcafe_0123, true),
      notified: (n) => {
        const queue = this.core.queues[n];
        for (let head = queue.take(chain); head !== -1; head = queue.take(chain)) {
          if (head === -2) {
            this.core.needsReset();
            return;
          }
          this.chains++;
          this.heads.push(head);
          queue.complete(head, chain.writableBytes, queue.epoch);
        }
        queue.rearm();
      },
    });
  }
}

class Bench extends VirtioBench {
  readonly echo = new Echo(this);
  constructor(over: 'pci' | 'mmio' = 'pci', features = 0n, size = 32) {
    super();
    this.attach(this.echo, over);
    this.start(2, features, size);
  }
  readonly piece = { at: BUFFERS, bytes: 16, write: true };
}

describe('virtio over PCI', () => {
  const SLOT = 1 << 15;

  it('is a modern device with its structures in capabilities (4.1.2, 4.1.4)', () => {
    const b = new VirtioBench();
    b.plug(new VirtioPci(new Echo(b)), { 4: BAR });
    const read = (at: number, size: 1 | 2 | 4 = 1) => b.host.ecam.read(SLOT + at, size);
    expect(read(0, 4)).toBe(0x1044_1af4); // 0x1040 + entropy source
    expect(read(8)).toBeGreaterThanOrEqual(1);
    expect(read(6, 2) & 0x10).toBe(0x10); // list of capabilities
    const found = new Map<number, { bar: number; offset: number; length: number; at: number }>();
    for (let at = read(0x34); at !== 0; at = read(at + 1)) {
      expect([at % 4, read(at)]).toEqual([0, 9]);
      found.set(read(at + 3), { bar: read(at + 4), offset: read(at + 8, 4), length: read(at + 12, 4), at });
    }
    expect([...found.keys()].sort()).toEqual([1, 2, 3, 4, 5]);
    for (const type of [1, 2, 3, 4]) expect(found.get(type)?.bar).toBe(4);
    expect(found.get(1)).toMatchObject({ offset: 0, length: 56 });
    expect(found.get(3)).toMatchObject({ offset: 0x1000, length: 1 });
    expect(found.get(4)).toMatchObject({ offset: 0x2000, length: 8 });
    expect(found.get(2)).toMatchObject({ offset: 0x3000, length: 8 });
    expect(read((found.get(2)?.at ?? 0) + 16, 4)).toBe(4); // notify_off_multiplier
    expect(read((found.get(2)?.at ?? 0) + 2)).toBe(20);
  });

  it('reaches the BAR through configuration space (4.1.4.9)', () => {
    const b = new VirtioBench();
    b.plug(new VirtioPci(new Echo(b)), { 4: BAR });
    const read = (at: number, size: 1 | 2 | 4 = 1) => b.host.ecam.read(SLOT + at, size);
    let cap = read(0x34);
    while (read(cap + 3) !== 5) cap = read(cap + 1);
    const aim = (offset: number, length: number, bar = 4) => {
      b.host.ecam.write(SLOT + cap + 4, 1, bar);
      b.host.ecam.write(SLOT + cap + 8, 4, offset);
      b.host.ecam.write(SLOT + cap + 12, 4, length);
    };
    aim(0x2000, 4);
    expect(read(cap + 16, 4)).toBe(0xcafe_0123);
    aim(0, 4);
    b.host.ecam.write(SLOT + cap + 16, 4, 1);
    aim(4, 4);
    expect(read(cap + 16, 4)).toBe(1);
    for (const [offset, length, bar] of [
      [0x2000, 3, 4],
      [0x2001, 4, 4],
      [0x4000, 4, 4],
      [0xffff_fffc, 4, 4],
      [0x2000, 4, 0],
    ]) {
      aim(offset, length, bar);
      expect(read(cap + 16, 4)).toBe(0);
    }
  });

  it('has no message-signalled interrupts, and says so by NO_VECTOR', () => {
    const b = new Bench();
    expect(b.read(BAR + 16, 2)).toBe(0xffff);
    expect(b.read(BAR + 18, 2)).toBe(2);
    expect(b.read(BAR + 26, 2)).toBe(0xffff);
    b.write(BAR + 22, 1, 2);
    expect(b.read(BAR + 30, 2)).toBe(1); // queue_notify_off
  });

  it('does not reach memory before it may', () => {
    const b = new Bench();
    b.config(4, 2);
    b.rings[0].add(b.piece);
    b.transport.notify(0);
    expect(b.rings[0].usedIndex).toBe(0);
    b.config(4, 6);
    b.transport.notify(0);
    expect(b.rings[0].usedIndex).toBe(1);
  });
});

describe('virtio over MMIO', () => {
  it('identifies itself (4.2.2)', () => {
    const b = new VirtioBench();
    const { device } = new MmioTransport(new Echo(b));
    expect(device.read(0, 4)).toBe(0x7472_6976);
    expect(device.read(4, 4)).toBe(2);
    expect(device.read(8, 4)).toBe(4);
    expect(device.read(0xb0, 4)).toBe(0xffff_ffff);
    expect(device.read(0, 1)).toBe(0);
    expect(device.read(0x100, 1)).toBe(0x23);
  });

  it('stops a queue by QueueReady = 0', () => {
    const b = new Bench('mmio');
    const { device } = b.transport as MmioTransport;
    device.write(0x30, 4, 0);
    device.write(0x44, 4, 0);
    b.rings[0].add(b.piece);
    b.transport.notify(0);
    expect(b.echo.chains).toBe(0);
    expect(b.transport.queueEnabled(0)).toBe(false);
  });
});

describe.each(['pci', 'mmio'] as const)('virtio device over %s', (over) => {
  it('takes features only if they are offered and VERSION_1 is among them (3.1.1, 6)', () => {
    const b = new Bench(over);
    const t = b.transport;
    expect(t.features()).toBe(VERSION_1 | EVENT_IDX | INDIRECT | 8n);
    for (const features of [0n, 8n, VERSION_1 | 1n, VERSION_1 | (1n << 34n)]) {
      t.setStatus(0);
      t.accept(features);
      t.setStatus(S.FEATURES_OK);
      expect(t.status() & S.FEATURES_OK).toBe(0);
      t.setStatus(S.DRIVER_OK);
      expect(t.status() & S.DRIVER_OK).toBe(0);
    }
    t.accept(VERSION_1 | 8n);
    t.setStatus(S.FEATURES_OK);
    expect(t.status() & S.FEATURES_OK).toBe(S.FEATURES_OK);
    t.accept(VERSION_1); // too late
    expect(b.echo.core.has(3)).toBe(true);
  });

  it('takes nothing before DRIVER_OK, then what is there already', () => {
    const b = new Bench(over);
    const t = b.transport;
    t.setStatus(0);
    t.accept(VERSION_1);
    t.setStatus(S.FEATURES_OK);
    t.queue(0, 32, b.rings[0].places);
    b.rings[0].add(b.piece);
    t.notify(0);
    expect(b.echo.chains).toBe(0);
    t.setStatus(S.FEATURES_OK | S.DRIVER_OK);
    expect(b.echo.chains).toBe(1);
  });

  it('reset brings all back to its beginning', () => {
    const b = new Bench(over, EVENT_IDX);
    b.rings[0].add(b.piece);
    b.transport.notify(0);
    b.transport.setStatus(0);
    expect(b.transport.status()).toBe(0);
    expect(b.transport.interrupt).toBe(false);
    expect(b.transport.queueEnabled(0)).toBe(false);
    expect(b.transport.queueMax(0)).toBe(64);
    b.start(2);
    b.rings[0].add(b.piece);
    b.transport.notify(0);
    expect(b.rings[0].used()).toEqual([{ head: 0, written: 16 }]);
  });

  it('tells of a change of the configuration', () => {
    const b = new Bench(over);
    const before = b.transport.generation();
    b.echo.core.configChanged();
    expect(b.transport.generation()).not.toBe(before);
    expect(b.transport.interrupt).toBe(true);
    expect(b.transport.isr()).toBe(2);
    expect(b.transport.interrupt).toBe(false);
  });

  it.each([
    ['outside RAM', { table: 0x1000, available: RINGS_AT, used: RINGS_AT + 0x800 }],
    ['across the end of RAM', { table: RAM_BASE + RAM_BYTES - 496, available: RINGS_AT, used: RINGS_AT + 0x800 }],
    ['beyond all addresses', { table: 2 ** 63, available: RINGS_AT, used: RINGS_AT + 0x800 }],
    ['a table off by 8', { table: RINGS_AT + 8, available: RINGS_AT + 0x400, used: RINGS_AT + 0x800 }],
    ['an available ring off by 1', { table: RINGS_AT, available: RINGS_AT + 0x401, used: RINGS_AT + 0x800 }],
    ['a used ring off by 2', { table: RINGS_AT, available: RINGS_AT + 0x400, used: RINGS_AT + 0x802 }],
  ])('a ring that cannot be used, %s, needs a reset', (_name, places) => {
    const b = new Bench(over);
    b.transport.setStatus(0);
    b.transport.accept(VERSION_1);
    b.transport.setStatus(S.FEATURES_OK);
    b.transport.queue(0, 32, places);
    expect(b.transport.queueEnabled(0)).toBe(false);
    expect(b.broken).toBe(true);
    b.start(2);
    expect(b.broken).toBe(false);
  });
});

describe('split virtqueue', () => {
  it('interrupts when the used index passes used_event, and never else (2.7.10)', () => {
    const b = new Bench('pci', EVENT_IDX, 16);
    const ring = b.rings[0];
    const one = (): boolean => {
      ring.add(b.piece);
      b.transport.notify(0);
      return b.transport.isr() === 1;
    };
    ring.usedEvent = 2;
    expect([one(), one(), one(), one()]).toEqual([false, false, true, false]);
    ring.usedEvent = 4;
    expect(one()).toBe(true);
    ring.usedEvent = 0xfffe;
    // Far ahead, and around the end of the 16-bit index.
    const raised: number[] = [];
    for (let i = 5; i < 65_540; i++) if (one()) raised.push(i);
    expect(raised).toEqual([0xfffe]);
  });

  it('interrupts once for a batch', () => {
    const b = new Bench('pci', EVENT_IDX);
    b.rings[0].usedEvent = 0;
    for (let i = 0; i < 8; i++) b.rings[0].add(b.piece);
    b.transport.notify(0);
    expect(b.rings[0].used()).toHaveLength(8);
    expect(b.echo.core.counters()).toMatchObject({ 'echo.requests': 8, 'echo.interrupts': 1, 'echo.notifications': 1 });
  });

  it('without EVENT_IDX goes by the flag', () => {
    const b = new Bench();
    b.rings[0].noInterrupt = true;
    b.rings[0].add(b.piece);
    b.transport.notify(0);
    expect(b.transport.interrupt).toBe(false);
    b.rings[0].noInterrupt = false;
    b.rings[0].add(b.piece);
    b.transport.notify(0);
    expect(b.transport.interrupt).toBe(true);
  });

  it('asks for a notification of the next chain', () => {
    const b = new Bench('pci', EVENT_IDX);
    for (let i = 1; i < 5; i++) {
      b.rings[0].add(b.piece);
      b.transport.notify(0);
      expect(b.rings[0].availableEvent).toBe(i);
    }
  });

  const broken: [string, (b: Bench) => void][] = [
    [
      'a loop',
      (b) => {
        b.rings[0].descriptor(0, BUFFERS, 16, 1, 1);
        b.rings[0].descriptor(1, BUFFERS, 16, 1, 0);
        b.rings[0].offer(0);
      },
    ],
    ['a head beyond the table', (b) => b.rings[0].offer(32)],
    [
      'a next beyond the table',
      (b) => {
        b.rings[0].descriptor(0, BUFFERS, 16, 1, 32);
        b.rings[0].offer(0);
      },
    ],
    ['more available than there are', (b) => b.rings[0].setAvailable(33)],
    ['a buffer outside RAM', (b) => b.rings[0].add({ at: 0x1000, bytes: 1 })],
    ['a buffer across the end of RAM', (b) => b.rings[0].add({ at: RAM_BASE + RAM_BYTES - 1, bytes: 2 })],
    ['a buffer of 4 GiB', (b) => b.rings[0].add({ at: RAM_BASE, bytes: 0xffff_ffff })],
    ['a buffer around the end of addresses', (b) => b.rings[0].add({ at: 2 ** 63, bytes: 16 })],
    ['readable after writable', (b) => b.rings[0].add(b.piece, { at: BUFFERS + 64, bytes: 1 })],
    [
      'a table in a table',
      (b) => {
        b.rings[0].descriptor(0, BUFFERS + 16, 16, 4, 0, BUFFERS);
        b.rings[0].descriptor(0, BUFFERS, 16, 4);
        b.rings[0].offer(0);
      },
    ],
    [
      'a table of no whole descriptors',
      (b) => {
        b.rings[0].descriptor(0, BUFFERS, 17, 4);
        b.rings[0].offer(0);
      },
    ],
    [
      'an empty table',
      (b) => {
        b.rings[0].descriptor(0, BUFFERS, 0, 4);
        b.rings[0].offer(0);
      },
    ],
    [
      'a table outside RAM',
      (b) => {
        b.rings[0].descriptor(0, 0x2000, 16, 4);
        b.rings[0].offer(0);
      },
    ],
    [
      'a table and a next',
      (b) => {
        b.rings[0].descriptor(0, BUFFERS, 16, 5, 1);
        b.rings[0].offer(0);
      },
    ],
    [
      'a next beyond the indirect table',
      (b) => {
        b.rings[0].descriptor(0, BUFFERS + 64, 16, 1, 1, BUFFERS);
        b.rings[0].descriptor(0, BUFFERS, 16, 4);
        b.rings[0].offer(0);
      },
    ],
  ];
  it.each(broken)('%s needs a reset, and does nothing else', (_name, breakIt) => {
    const b = new Bench('pci', INDIRECT);
    breakIt(b);
    b.transport.notify(0);
    expect(b.broken).toBe(true);
    expect(b.echo.chains).toBe(0);
    expect(b.transport.isr()).toBe(2);
    b.rings[1].add(b.piece);
    b.transport.notify(1);
    expect(b.rings[1].usedIndex).toBe(0);
    b.start(2);
    b.rings[0].add(b.piece);
    b.transport.notify(0);
    expect(b.rings[0].usedIndex).toBe(1);
  });

  it('a table without INDIRECT_DESC needs a reset too', () => {
    const b = new Bench();
    b.rings[0].chain(0, [b.piece], BUFFERS + 64);
    b.rings[0].descriptor(0, BUFFERS + 64, 16, 4);
    b.rings[0].offer(0);
    b.transport.notify(0);
    expect(b.broken).toBe(true);
  });

  it('a table may follow ordinary descriptors (2.7.5.3.2)', () => {
    const b = new Bench('pci', INDIRECT);
    b.rings[0].chain(0, [b.piece], BUFFERS + 64);
    b.rings[0].descriptor(0, BUFFERS + 256, 8, 1, 1);
    b.rings[0].descriptor(1, BUFFERS + 64, 16, 4 | 2); // WRITE says nothing here
    b.rings[0].offer(0);
    b.transport.notify(0);
    expect(b.rings[0].used()).toEqual([{ head: 0, written: 16 }]);
  });
});
