import { describe, expect, it } from 'vitest';
import { AddressMap, Bus } from '#engines/full/devices/bus.js';
import type { AccessSize, Device } from '#engines/full/devices/device.js';
import { Finisher, type GuestEnd } from '#engines/full/devices/finisher.js';
import { RTC_STATE_BYTES, Rtc } from '#engines/full/devices/rtc.js';
import { freshState } from './parts.js';

class Recorder implements Device {
  readonly log: (string | number)[][] = [];
  constructor(readonly name: string) {}
  read(offset: number, size: AccessSize): number {
    this.log.push(['read', offset, size]);
    return 0x12;
  }
  write(offset: number, size: AccessSize, value: number): void {
    this.log.push(['write', offset, size, value]);
  }
}

function build() {
  const map = new AddressMap();
  const low = new Recorder('low');
  const high = new Recorder('high');
  map.add(0x1000, 0x1000, low);
  map.add(0x4000, 0x100, high);
  const counters = new Float64Array(4);
  return { map, low, high, counters, bus: new Bus(map, counters) };
}

describe('bus', () => {
  it('refuses windows that overlap, and names both devices', () => {
    const { map } = build();
    expect(() => map.add(0x1fff, 1, new Recorder('new'))).toThrow(/new.*low/);
    expect(() => map.add(0x0, 0x10_0000, new Recorder('new'))).toThrow(RangeError);
    expect(() => map.add(0x2000, 0x2000, new Recorder('fits'))).not.toThrow();
    expect(() => map.add(0x9000, 0, new Recorder('empty'))).toThrow(RangeError);
  });

  it('gives devices offsets and unsigned values of the access’s width', () => {
    const { bus, low, high } = build();
    expect(bus.read(0x1ffc, 4)).toBe(0x12);
    expect(bus.write(0x4000, 4, -1)).toBe(true);
    expect(bus.write(0x4001, 1, 0x1234)).toBe(true);
    expect(low.log).toEqual([['read', 0xffc, 4]]);
    expect(high.log).toEqual([
      ['write', 0, 4, 0xffff_ffff],
      ['write', 1, 1, 0x34],
    ]);
  });

  it('no device: NaN and false', () => {
    const { bus } = build();
    bus.read(0x1000, 4);
    expect(bus.read(0x2000, 4)).toBeNaN();
    expect(bus.write(0x4100, 1, 0)).toBe(false);
    expect(bus.read(2 ** 55, 4)).toBeNaN();
  });

  it('counts by window', () => {
    const { bus, counters } = build();
    bus.read(0x1000, 4);
    bus.read(0x4000, 4);
    bus.write(0x4000, 4, 0);
    bus.write(0x5000, 4, 0);
    expect([...counters]).toEqual([1, 0, 1, 1]);
  });
});

describe('test finisher', () => {
  const ended = (value: number, size: AccessSize = 4, offset = 0): GuestEnd[] => {
    const ends: GuestEnd[] = [];
    new Finisher((how) => ends.push(how)).write(offset, size, value);
    return ends;
  };

  it('ends the machine by the codes of sifive,test1', () => {
    expect(ended(0x5555)).toEqual([{ kind: 'poweroff', code: 0 }]);
    expect(ended(0x0003_3333)).toEqual([{ kind: 'poweroff', code: 3 }]);
    expect(ended(0x7777)).toEqual([{ kind: 'reset' }]);
  });

  it('ignores other values and places', () => {
    expect([ended(0), ended(0x1234), ended(0x55, 1), ended(0x5555, 4, 4)]).toEqual([[], [], [], []]);
  });
});

describe('Goldfish RTC', () => {
  it('the high word belongs to the low word read last', () => {
    let now = 0x1_ffff_ffffn;
    const rtc = new Rtc(freshState(RTC_STATE_BYTES), () => now);
    expect(rtc.read(0, 4)).toBe(0xffff_ffff);
    now = 0x2_0000_0000n;
    expect(rtc.read(4, 4)).toBe(1);
    expect([rtc.read(0, 4), rtc.read(4, 4)]).toEqual([0, 2]);
  });
});
