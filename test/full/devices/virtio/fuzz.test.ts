/** Hostile drivers: whatever they write, the host throws nothing, leaves RAM's surroundings alone, and comes to an end. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NetPort } from '#engines/backends/net-port.js';
import type { AccessSize, Device } from '#engines/full/devices/device.js';
import { VirtioBalloon } from '#engines/full/devices/virtio/balloon.js';
import { VirtioBlk } from '#engines/full/devices/virtio/blk.js';
import { VirtioConsole } from '#engines/full/devices/virtio/console.js';
import type { VirtioModel } from '#engines/full/devices/virtio/core.js';
import { VirtioMmio } from '#engines/full/devices/virtio/mmio.js';
import { VirtioNet } from '#engines/full/devices/virtio/net.js';
import { VirtioPci } from '#engines/full/devices/virtio/pci.js';
import { VirtioRng } from '#engines/full/devices/virtio/rng.js';
import { access } from '../parts.js';
import { FakeDisk, RAM_BASE, RAM_BYTES } from '../pci/pci-bench.js';
import { BUFFERS, EVENT_IDX, RINGS_AT, S, VirtioBench } from './driver.js';

const DISK_BYTES = 1 << 18;
const QUEUES = 3;
const SIZE = 16;
const UNTOUCHED = new Uint8Array(65_536).fill(0xa5);

class Hostile extends VirtioBench {
  readonly disk = new FakeDisk(this.memory, DISK_BYTES);
  port: NetPort | undefined;
  frame: (frame: Uint8Array) => boolean = () => false;
  readonly model: VirtioModel;
  readonly kind: string;

  constructor(kind: string) {
    super();
    this.kind = kind;
    this.model = this.#make(kind);
    this.after.fill(0xa5);
  }

  #make(kind: string): VirtioModel {
    const context = this.context();
    const options = { queues: QUEUES, readonly: false, serial: 'x' };
    if (kind === 'blk') return new VirtioBlk(context, this.disk.port, options);
    if (kind === 'rng') return new VirtioRng(context);
    if (kind === 'balloon') return new VirtioBalloon(context);
    if (kind === 'console') return new VirtioConsole(context, { room: () => 9, put() {}, take: () => 7 });
    const counters = { txFrames: 0, txBytes: 0, txDropped: 0, rxFrames: 0, rxBytes: 0, rxDropped: 0 };
    const port: NetPort = {
      name: 'fake',
      counters,
      transmit: (buffer, offset = 0, bytes = buffer.length) => {
        const legal = offset >= 0 && bytes >= -12 && offset + bytes <= buffer.length;
        if (!legal) throw new Error(`frame of ${bytes} bytes at ${offset}`);
        return bytes > 60 && this.frame(new Uint8Array(64));
      },
      flush() {},
      onReceive: (handler) => {
        this.frame = handler;
      },
    };
    return new VirtioNet(context, port, new Uint8Array(6), 1);
  }

  /** What the host does meanwhile. A machine's deferred tasks may defer themselves: it is enough that each one ends. */
  hostActs(): void {
    this.runDeferred();
    for (let n = this.disk.requests.length; n > 0; n--) this.disk.complete(0, n % 5 === 0 ? -5 : undefined);
    this.frame(new Uint8Array(1514));
    this.model.consoleChanged?.();
  }

  check(): void {
    expect(Buffer.compare(this.after, UNTOUCHED)).toBe(0);
  }

  /** With all features that are offered, or without event indices. */
  begin(event: boolean): void {
    this.transport.setStatus(0);
    const features = this.transport.features();
    this.start(this.model.core.queues.length, event ? features : features & ~EVENT_IDX, SIZE);
    expect(this.transport.status()).toBe(S.ACKNOWLEDGE | S.DRIVER | S.FEATURES_OK | S.DRIVER_OK);
  }
}

const kinds = fc.constantFrom('blk', 'net', 'rng', 'balloon', 'console');
const sizes = fc.constantFrom<AccessSize>(1, 2, 4);
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
/** Addresses that are about right, and some that are not. */
const near = (base: number, bytes: number) => fc.integer({ min: base, max: base + bytes - 1 });
const address = fc.oneof(
  { weight: 6, arbitrary: near(BUFFERS, 0x4000) },
  { weight: 2, arbitrary: near(RINGS_AT, 0x6000) },
  { weight: 1, arbitrary: near(RAM_BASE + RAM_BYTES - 64, 64) },
  { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(Number) },
);
const length = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 64 }) },
  { weight: 3, arbitrary: fc.constantFrom(1, 12, 16, 512, 513, 1024, 1526, 4096) },
  { weight: 1, arbitrary: u32 },
);
const descriptor = fc.record({
  address,
  length,
  flags: fc.oneof({ weight: 5, arbitrary: fc.constantFrom(0, 1, 2, 3, 4) }, fc.integer({ min: 0, max: 0xffff })),
  next: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 0, max: SIZE }) }, fc.integer({ min: 0, max: 0xffff })),
});

describe('virtio against hostile drivers', () => {
  it('random rings and descriptors', () => {
    const round = fc.record({
      tables: fc.array(fc.array(descriptor, { minLength: SIZE, maxLength: SIZE }), {
        minLength: QUEUES,
        maxLength: QUEUES,
      }),
      heads: fc.array(fc.integer({ min: 0, max: SIZE }), { minLength: SIZE, maxLength: SIZE }),
      available: fc.oneof(
        { weight: 9, arbitrary: fc.integer({ min: 0, max: SIZE }) },
        fc.integer({ min: 0, max: 0xffff }),
      ),
      bytes: fc.uint8Array({ minLength: 64, maxLength: 512 }),
      event: fc.boolean(),
    });
    const property = fc.property(kinds, fc.array(round, { minLength: 1, maxLength: 4 }), (kind, rounds) => {
      const b = new Hostile(kind);
      b.attach(b.model, 'pci');
      for (const { tables, heads, available, bytes, event } of rounds) {
        b.begin(event);
        b.poke(BUFFERS, ...bytes, ...bytes, ...bytes);
        for (const [q, ring] of b.rings.entries()) {
          tables[q].forEach((d, i) => {
            ring.descriptor(i, d.address, d.length, d.flags, d.next);
          });
          for (const head of heads) ring.offer(head);
          ring.setAvailable(available);
          b.transport.notify(q);
        }
        b.hostActs();
        b.hostActs();
        b.check();
      }
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('random accesses to every register, with rings that lie somewhere', () => {
    const step = fc.record({
      write: fc.boolean(),
      offset: fc.integer({ min: 0, max: 0x3020 }),
      size: sizes,
      value: fc.oneof(u32, near(RAM_BASE, RAM_BYTES), fc.integer({ min: 0, max: 255 })),
    });
    const property = fc.property(kinds, fc.boolean(), fc.array(step, { maxLength: 60 }), (kind, pci, steps) => {
      const b = new Hostile(kind);
      let device: Device;
      if (pci) {
        b.plug(new VirtioPci(b.model), { 4: 0x4000_0000 });
        device = b.host.mmio;
      } else {
        device = new VirtioMmio(b.model, () => {});
        (device as VirtioMmio).reset();
      }
      for (const s of steps) {
        access(device, pci ? s : { ...s, offset: s.offset % 0x140 });
        b.hostActs();
      }
      b.check();
    });
    fc.assert(property, { numRuns: 150 });
  });

  it('random accesses to the configuration space', () => {
    const step = fc.record({
      write: fc.boolean(),
      offset: near(0x34, 0x80),
      size: sizes,
      value: fc.oneof(u32, fc.integer({ min: 0, max: 0x20 })),
    });
    const property = fc.property(kinds, fc.array(step, { maxLength: 60 }), (kind, steps) => {
      const b = new Hostile(kind);
      b.attach(b.model, 'pci');
      for (const s of steps) access(b.host.ecam, { ...s, offset: s.offset + (1 << 15) });
      b.check();
    });
    fc.assert(property, { numRuns: 100 });
  });

  it('a queue that other harts fill for ever does not keep this one', () => {
    for (const kind of ['blk', 'net', 'rng', 'console', 'balloon']) {
      const b = new Hostile(kind);
      b.attach(b.model, 'pci');
      b.begin(false);
      const [ring] = kind === 'net' || kind === 'console' ? b.rings.slice(1) : b.rings;
      const writable = kind === 'rng' || kind === 'blk' ? 2 : 0;
      if (kind === 'blk')
        ring.chain(0, [
          { at: BUFFERS, bytes: 16 },
          { at: BUFFERS + 64, bytes: 1, write: true },
        ]);
      else ring.descriptor(0, BUFFERS, 16, writable);
      b.poke32(BUFFERS, 99);
      // As soon as a chain has come back there is another one.
      const { queues } = b.model.core;
      const q = b.rings.indexOf(ring);
      const give = queues[q].give.bind(queues[q]);
      let given = 0;
      queues[q].give = (head, written) => {
        give(head, written);
        ring.offer(0);
        if (++given > 100_000) throw new Error(`${kind} does not end`);
      };
      ring.offer(0);
      b.transport.notify(q);
      expect(given).toBeGreaterThan(0);
    }
  });
});
