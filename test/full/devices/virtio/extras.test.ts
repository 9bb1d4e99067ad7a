import { describe, expect, it } from 'vitest';
import { VirtioBalloon } from '#engines/full/devices/virtio/balloon.js';
import { VirtioConsole } from '#engines/full/devices/virtio/console.js';
import { VirtioRng } from '#engines/full/devices/virtio/rng.js';
import { RAM_BASE, RAM_BYTES } from '../pci/pci-bench.js';
import { BUFFERS, EVENT_IDX, VirtioBench } from './driver.js';

describe.each(['pci', 'mmio'] as const)('virtio-rng over %s', (over) => {
  it('fills buffers with what nobody can guess, and nothing beyond them', () => {
    const b = new VirtioBench();
    b.attach(new VirtioRng(b.context()), over);
    b.start(1, EVENT_IDX);
    b.rings[0].add({ at: BUFFERS, bytes: 64, write: true }, { at: BUFFERS + 0x100, bytes: 3, write: true });
    b.rings[0].add({ at: BUFFERS + 0x200, bytes: 64, write: true });
    b.transport.notify(0);
    expect(b.rings[0].used().map((u) => u.written)).toEqual([67, 64]);
    expect(b.peek(BUFFERS, 64)).not.toEqual(b.peek(BUFFERS + 0x200, 64));
    expect(new Set(b.peek(BUFFERS, 64)).size).toBeGreaterThan(20);
    expect(b.peek(BUFFERS + 0x103, 8)).toEqual(new Array(8).fill(0));
  });

  it('gives less than a very long buffer', () => {
    const b = new VirtioBench();
    b.attach(new VirtioRng(b.context()), over);
    b.start(1);
    b.rings[0].add({ at: BUFFERS, bytes: 0x1_0000, write: true });
    b.transport.notify(0);
    expect(b.rings[0].used()[0].written).toBe(4096);
    b.rings[0].add({ at: BUFFERS, bytes: 16 }); // nothing to write to
    b.transport.notify(0);
    expect(b.rings[0].used()[0].written).toBe(0);
  });
});

describe('virtio-balloon', () => {
  const PAGES = RAM_BYTES / 4096;
  const FIRST = RAM_BASE / 4096;
  class Bench extends VirtioBench {
    readonly model = new VirtioBalloon(this.context());
    constructor() {
      super();
      this.attach(this.model, 'pci');
      this.start(3, 2n);
    }
    give(q: number, ...pages: number[]): void {
      this.poke32(BUFFERS, ...pages);
      this.rings[q].add({ at: BUFFERS, bytes: 4 * pages.length });
      this.transport.notify(q);
      expect(this.rings[q].used()).toHaveLength(1);
    }
  }

  it('counts the pages that the guest gives up and takes back', () => {
    const b = new Bench();
    b.give(0, FIRST, FIRST + 1, FIRST + 40, FIRST + PAGES - 1);
    expect(b.model.pages).toBe(4);
    b.give(0, FIRST + 1, FIRST + 2); // one of them again
    expect(b.model.pages).toBe(5);
    b.give(1, FIRST + 1, FIRST + 1, FIRST + 60);
    expect(b.model.pages).toBe(4);
    expect(b.model.counters()['virtio-balloon.pages']).toBe(4);
    b.transport.setStatus(0);
    expect(b.model.pages).toBe(0);
  });

  it('passes over pages that do not exist', () => {
    const b = new Bench();
    b.give(0, 0, FIRST - 1, FIRST + PAGES, 0xffff_ffff);
    expect(b.model.pages).toBe(0);
  });

  it('tells the guest its target, and keeps what it says it has', () => {
    const b = new Bench();
    b.model.setTarget(1234);
    expect(b.transport.interrupt).toBe(true);
    expect(b.transport.isr()).toBe(2);
    expect(b.transport.config(0, 4)).toBe(1234);
    b.transport.setConfig(0, 4, 99); // the device's alone
    b.transport.setConfig(4, 4, 17);
    expect([b.transport.config(0, 4), b.transport.config(4, 4)]).toEqual([1234, 17]);
  });

  it('keeps the buffer of statistics until new ones are wanted', () => {
    const b = new Bench();
    const put = (free: number) => {
      b.poke(BUFFERS, 4, 0, free, 0, 0, 0, 1, 0, 0, 0, 77, 0, 1, 1, 1, 1, 1, 1, 1, 1);
      b.rings[2].add({ at: BUFFERS, bytes: 20 });
      b.transport.notify(2);
    };
    put(5);
    expect(b.model.statistics()).toEqual({ free_memory: 2 ** 32 + 5 });
    expect(b.rings[2].usedIndex).toBe(0);
    b.model.requestStatistics();
    expect(b.rings[2].used()).toHaveLength(1);
    b.model.requestStatistics();
    put(6);
    expect(b.model.statistics()).toEqual({ free_memory: 2 ** 32 + 6 });
    expect(b.rings[2].usedIndex).toBe(1);
  });
});

describe.each(['pci', 'mmio'] as const)('virtio-console over %s', (over) => {
  class Bench extends VirtioBench {
    out = '';
    input: number[] = [];
    room = 1000;
    readonly model = new VirtioConsole(this.context(), {
      room: () => this.room,
      put: (byte) => {
        this.room--;
        this.out += String.fromCharCode(byte);
      },
      take: () => this.input.shift() ?? -1,
    });
    constructor() {
      super();
      this.attach(this.model, over);
    }
    print(text: string): void {
      this.poke(BUFFERS, ...Buffer.from(text));
      this.rings[1].add({ at: BUFFERS, bytes: 2 }, { at: BUFFERS + 2, bytes: text.length - 2 });
      this.transport.notify(1);
    }
    type(text: string): void {
      this.input.push(...Buffer.from(text));
      this.model.consoleChanged();
    }
  }

  it('prints', () => {
    const b = new Bench();
    b.start(2);
    b.print('hello, world');
    expect(b.out).toBe('hello, world');
    expect(b.rings[1].used()).toEqual([{ head: 0, written: 0 }]);
  });

  it('goes on where it stopped when the console has room again', () => {
    const b = new Bench();
    b.start(2);
    b.room = 5;
    b.print('hello, world');
    expect([b.out, b.rings[1].usedIndex]).toEqual(['hello', 0]);
    b.model.consoleChanged();
    expect(b.out).toBe('hello');
    b.room = 100;
    b.model.consoleChanged();
    expect([b.out, b.rings[1].usedIndex]).toEqual(['hello, world', 1]);
    b.print(' and all');
    expect([b.out, b.rings[1].usedIndex]).toEqual(['hello, world and all', 2]);
  });

  it('hands input over as far as there are buffers', () => {
    const b = new Bench();
    expect(b.model.takesInput).toBe(false);
    b.type('early');
    b.start(2, EVENT_IDX);
    expect(b.model.takesInput).toBe(true);
    b.rings[0].add({ at: BUFFERS, bytes: 3, write: true });
    b.transport.notify(0);
    expect(b.rings[0].used()).toEqual([{ head: 0, written: 3 }]);
    expect(Buffer.from(b.peek(BUFFERS, 3)).toString()).toBe('ear');
    b.rings[0].add({ at: BUFFERS, bytes: 100, write: true });
    expect(b.rings[0].availableEvent).toBe(1); // it wanted to hear of that buffer
    b.transport.notify(0);
    expect(b.rings[0].used()[0].written).toBe(2);
    b.rings[0].add({ at: BUFFERS, bytes: 100, write: true });
    b.type('more');
    expect(b.rings[0].used()[0].written).toBe(4);
  });

  it('takes an emergency character in any state (5.3.4)', () => {
    const b = new Bench();
    b.transport.setConfig(8, 4, 0x21);
    expect(b.out).toBe('!');
  });
});
