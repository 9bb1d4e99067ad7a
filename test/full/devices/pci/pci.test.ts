import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Device } from '#engines/full/devices/device.js';
import type { PciDevice, PciPort } from '#engines/full/devices/pci/pci-function.js';
import { PciBench } from './pci-bench.js';

class Probe implements PciDevice {
  readonly name = 'probe';
  readonly identity = {
    vendor: 0x1234,
    device: 0x5678,
    revision: 9,
    classCode: 0x020000,
    subsystemVendor: 0xaaaa,
    subsystem: 0xbbbb,
    interruptPin: 1 as const,
  };
  accesses: number[] = [];
  readonly window: Device = {
    name: 'probe',
    read: (offset) => {
      this.accesses.push(offset);
      return 0x55;
    },
    write: (offset) => {
      this.accesses.push(offset);
    },
  };
  readonly bars = [
    { kind: 'io' as const, bytes: 256, window: this.window },
    { kind: 'memory' as const, bytes: 4096, window: this.window },
  ];
  port!: PciPort;
  connect(port: PciPort): void {
    this.port = port;
  }
  reset(): void {}
}

const SLOT = 1 << 15;
function bench() {
  const b = new PciBench();
  const device = new Probe();
  b.host.attach(1, device);
  b.host.reset();
  return { b, device, ecam: b.host.ecam };
}

describe('PCI configuration space', () => {
  it('shows the header of PCI 3.0, 6.1, byte by byte and as words', () => {
    const { ecam } = bench();
    expect(ecam.read(SLOT, 4)).toBe(0x56781234);
    expect(ecam.read(SLOT + 2, 2)).toBe(0x5678);
    expect(ecam.read(SLOT + 8, 4)).toBe(0x02000009);
    expect(ecam.read(SLOT + 0x2c, 4)).toBe(0xbbbbaaaa);
    expect(ecam.read(SLOT + 0x3d, 1)).toBe(1);
    expect(ecam.read(SLOT + 0x0e, 1)).toBe(0);
  });

  it('has a host bridge in slot 0 and all ones where there is nobody', () => {
    const { ecam } = bench();
    expect(ecam.read(8, 4)).toBe(0x06000000);
    expect(ecam.read(2 * SLOT, 4)).toBe(0xffffffff);
    expect(ecam.read(SLOT + (1 << 12), 2)).toBe(0xffff); // function 1
    expect(ecam.read(1 << 20, 1)).toBe(0xff); // bus 1
  });

  it('tells the size of a BAR (6.2.5.1) and has no address after reset', () => {
    const { ecam } = bench();
    expect(ecam.read(SLOT + 0x10, 4)).toBe(1);
    expect(ecam.read(SLOT + 0x14, 4)).toBe(0);
    ecam.write(SLOT + 0x10, 4, 0xffffffff);
    ecam.write(SLOT + 0x14, 4, 0xffffffff);
    ecam.write(SLOT + 0x18, 4, 0xffffffff);
    expect(ecam.read(SLOT + 0x10, 4)).toBe(0xffffff01);
    expect(ecam.read(SLOT + 0x14, 4)).toBe(0xfffff000);
    expect(ecam.read(SLOT + 0x18, 4)).toBe(0);
  });

  it('keeps identity read-only', () => {
    const { ecam } = bench();
    for (let at = 0; at < 0x10; at += 4) ecam.write(SLOT + at, 4, 0);
    expect(ecam.read(SLOT, 4)).toBe(0x56781234);
    expect(ecam.read(SLOT + 8, 4)).toBe(0x02000009);
  });
});

describe('PCI windows', () => {
  it('decode only while the command register lets them', () => {
    const { b, device, ecam } = bench();
    ecam.write(SLOT + 0x14, 4, 0x4000_8000);
    expect(b.read(0x4000_8010)).toBe(0xffff_ffff);
    ecam.write(SLOT + 4, 2, 2);
    expect(b.read(0x4000_8010)).toBe(0x55);
    expect(b.read(0x4000_9000)).toBe(0xffff_ffff);
    expect(b.read(0x4000_7ffc, 1)).toBe(0xff);
    expect(device.accesses).toEqual([0x10]);
    expect(device.port.memoryAt(1)).toBe(0x4000_8000);
    expect(device.port.memoryAt(0)).toBe(-1);
  });

  it('I/O and memory are separate', () => {
    const { b, device, ecam } = bench();
    ecam.write(SLOT + 0x10, 4, 0x1000);
    ecam.write(SLOT + 4, 2, 1);
    expect(b.host.pio.read(0x1004, 1)).toBe(0x55);
    expect(b.host.pio.read(0x1100, 1)).toBe(0xff);
    expect(device.accesses).toEqual([4]);
  });

  it('bus mastering follows bit 2', () => {
    const { device, ecam } = bench();
    expect(device.port.busMaster()).toBe(false);
    ecam.write(SLOT + 4, 2, 4);
    expect(device.port.busMaster()).toBe(true);
  });
});

describe('PCI interrupts', () => {
  it('go to wire (slot + pin) mod 4, are shared, and obey the disable bit', () => {
    const b = new PciBench();
    const devices = [new Probe(), new Probe()];
    b.host.attach(1, devices[0]);
    b.host.attach(5, devices[1]);
    b.host.reset();
    devices[0].port.irq(true);
    devices[1].port.irq(true);
    expect(b.wires).toEqual([false, true, false, false]);
    devices[0].port.irq(false);
    expect(b.wires[1]).toBe(true);
    b.host.ecam.write(5 * SLOT + 4, 2, 1 << 10);
    expect(b.wires[1]).toBe(false);
    expect(b.host.ecam.read(5 * SLOT + 6, 2) & 8).toBe(8); // status still shows it
    b.host.ecam.write(5 * SLOT + 4, 2, 0);
    expect(b.wires[1]).toBe(true);
    devices[1].port.irq(false);
    expect(b.wires[1]).toBe(false);
  });
});

describe('PCI host against a hostile guest', () => {
  const access = fc.record({
    window: fc.constantFrom('ecam' as const, 'mmio' as const, 'pio' as const),
    word: fc.nat(0xffff),
    size: fc.constantFrom(1 as const, 2 as const, 4 as const),
    value: fc.integer({ min: 0, max: 0xffffffff }),
    write: fc.boolean(),
  });
  it('never throws, and reaches the device only inside its window', () => {
    fc.assert(
      fc.property(fc.array(access, { maxLength: 60 }), (accesses) => {
        const { b, device } = bench();
        for (const a of accesses) {
          const offset = (a.window === 'ecam' ? SLOT : 0) + (a.word % 0x4000) * 4;
          const value = a.size === 4 ? a.value : a.value % 2 ** (8 * a.size);
          if (a.write) b.host[a.window].write(offset, a.size, value);
          else expect(b.host[a.window].read(offset, a.size)).toBeGreaterThanOrEqual(0);
        }
        for (const offset of device.accesses) expect(offset >= 0 && offset < 4096).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});
