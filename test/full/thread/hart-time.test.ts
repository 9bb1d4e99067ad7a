import { describe, expect, it } from 'vitest';
import { GuestTime, HartTime } from '#engines/full/thread/hart-time.js';
import { TimedBus } from '#engines/full/thread/timed-bus.js';

describe('time of the guest’s code', () => {
  it('goes whole to the kind that a slice is of', () => {
    const time = new GuestTime();
    time.add(1000, 100, 0);
    time.add(500, 1000, 1000);
    expect([time.interpreter, time.translated]).toEqual([1000, 500]);
  });

  it('of a mixed slice is divided by what an instruction of either kind takes', () => {
    const time = new GuestTime();
    time.add(1000, 100, 0); // 10 ns each
    time.add(1000, 1000, 1000); // 1 ns each
    // 100 interpreted and 1000 translated ones: half of the time each
    time.add(4000, 1100, 1000);
    expect(time.interpreter).toBeCloseTo(3000, 6);
    expect(time.translated).toBeCloseTo(3000, 6);
  });

  it('of a slice that executed nothing is the interpreter’s', () => {
    const time = new GuestTime();
    time.add(7, 0, 0);
    expect([time.interpreter, time.translated]).toEqual([7, 0]);
  });
});

describe('time of a hart', () => {
  it('is divided without a rest, and no part ever falls', () => {
    const from = { instructions: 0, translated: 0, slept: 0, accesses: 0 };
    const time = new HartTime({
      instructions: () => from.instructions,
      translated: () => from.translated,
      slept: () => from.slept,
      accesses: () => from.accesses,
    });
    time.begins(1000);
    from.instructions = from.translated = 100;
    time.ends(1100); // translated: 100
    from.slept = 700;
    time.begins(2000); // of 900, 700 asleep
    from.instructions += 10;
    from.accesses = 40; // of the 200 that follow and the 100 before
    time.ends(2200);
    const first = { ...time.totals() };
    expect(first.idle).toBe(700);
    expect(first.devices).toBeCloseTo(200 + 40, 9);
    expect(first.translated + first.interpreter).toBeCloseTo(300 - 40, 9);
    expect(first.translated / first.interpreter).toBeCloseTo(0.5, 9);
    from.accesses = 1000; // an estimate beyond what was there waits
    time.gaveAway(2300);
    time.begins(2300);
    time.ends(2400);
    const second = time.totals();
    expect(second.idle).toBe(800);
    expect(second.devices).toBeCloseTo(200 + 40 + 100, 9);
    expect(second.translated + second.interpreter).toBeCloseTo(260, 9);
  });
});

describe('the bus with accesses timed by samples', () => {
  it('passes every access on, and estimates the time of all', () => {
    let [reads, writes] = [0, 0];
    const spin = () => {
      const until = process.hrtime.bigint() + 2_000n;
      while (process.hrtime.bigint() < until);
    };
    const bus = new TimedBus({
      read: (address, size) => {
        reads++;
        spin();
        return address + size;
      },
      write: (_address, _size, value) => {
        writes++;
        return value !== 0;
      },
      time: () => 42,
    });
    for (let i = 0; i < 2000; i++) expect(bus.read(i, 4)).toBe(i + 4);
    expect(bus.ns).toBeGreaterThan(1e6); // 2000 of 2 µs: 4 ms, on a host that takes no longer
    expect(bus.write(0, 1, 0)).toBe(false);
    expect(bus.write(0, 1, 1)).toBe(true);
    expect(bus.time()).toBe(42);
    expect([reads, writes]).toEqual([2000, 2]);
  });
});
