import { describe, expect, it } from 'vitest';
import type { VmConfig, VmDisk } from '#engines/full/config.js';
import { VirtioMmioBank } from '#engines/full/devices/virtio/mmio-bank.js';
import { DeviceUnavailable, plannedDevices } from '#engines/full/machine/device-table.js';

const CONFIG: VmConfig = { id: 0, harts: 1, memoryBytes: 2 ** 24, append: '', disks: [], pollUs: 0 };
const disk = (fields: Partial<VmDisk> = {}): VmDisk => ({
  path: 'disk',
  bytes: 2 ** 20,
  direct: false,
  interface: 'scsi',
  readonly: false,
  media: 'disk',
  ...fields,
});
const virtioDisk = disk({ interface: 'virtio' });
const ALL_VIRTIO: Partial<VmConfig> = {
  nic: { mode: 'user', model: 'virtio' },
  virtioExtras: ['rng', 'balloon', 'console'],
  disks: [virtioDisk, disk(), virtioDisk, virtioDisk, virtioDisk],
};
const EVERYTHING: Partial<VmConfig>[] = [
  { nic: { mode: 'switch', model: 'rtl8139' } },
  { nic: { mode: 'user', model: 'rtl8169' } },
  { nic: { mode: 'user', model: 'e1000' } },
  { disks: [disk()] },
  { nic: { mode: 'user', model: 'rtl8139' }, disks: [disk()] },
  ALL_VIRTIO,
  { ...ALL_VIRTIO, virtioTransport: 'mmio' },
  { ...ALL_VIRTIO, disks: [virtioDisk, disk({ interface: 'virtio-mmio' })], virtioTransport: 'mmio' },
];

describe('table of devices', () => {
  it.each(EVERYTHING)('%j: names are unique, places are taken once', (fields) => {
    const devices = plannedDevices({ ...CONFIG, ...fields });
    const places = devices.map((d) => (d.bus === 'pci' ? `pci ${d.slot}` : `mmio ${d.window}`));
    expect(new Set(places).size).toBe(devices.length);
    expect(new Set(devices.map((d) => d.name)).size).toBe(devices.length);
  });

  it('a bare machine has none', () => {
    expect(plannedDevices(CONFIG)).toEqual([]);
  });

  it('the card and the controller are where QEMU puts the first two devices of its command line', () => {
    const devices = plannedDevices({ ...CONFIG, ...EVERYTHING[4] });
    expect(devices).toMatchObject([
      { bus: 'pci', name: 'rtl8139', slot: 1 },
      { bus: 'pci', name: 'lsi53c895a', slot: 2 },
    ]);
  });

  it('has windows for four virtio disks over MMIO, and says so of a fifth', () => {
    const disks = new Array<VmDisk>(5).fill(virtioDisk);
    expect(() => plannedDevices({ ...CONFIG, disks, virtioTransport: 'mmio' })).toThrow(/virtio-blk4/);
  });

  it('disks of if=virtio-mmio are in the first windows, beside others on the PCI bus', () => {
    const mmioDisk = disk({ interface: 'virtio-mmio' });
    const disks = [virtioDisk, mmioDisk, disk(), mmioDisk, virtioDisk];
    expect(plannedDevices({ ...CONFIG, disks })).toMatchObject([
      { bus: 'pci', name: 'lsi53c895a', slot: 2 },
      { bus: 'pci', name: 'virtio-blk0', slot: 8 },
      { bus: 'virtio-mmio', name: 'virtio-blk1', window: 0 },
      { bus: 'virtio-mmio', name: 'virtio-blk2', window: 1 },
      { bus: 'pci', name: 'virtio-blk3', slot: 9 },
    ]);
    expect(() => plannedDevices({ ...CONFIG, disks: new Array<VmDisk>(9).fill(mmioDisk) })).toThrow(/virtio-blk8/);
  });

  it('refuses what no line makes, by name', () => {
    const config = { ...CONFIG, virtioExtras: ['tape' as 'rng'] };
    expect(() => plannedDevices(config)).toThrow(DeviceUnavailable);
    expect(() => plannedDevices(config)).toThrow(/virtio-tape/);
  });
});

describe('virtio-mmio windows', () => {
  const log: string[] = [];
  const device = {
    name: 'probe',
    read: (offset: number, size: number) => offset + size,
    write: (offset: number, _size: number, value: number) => void log.push(`${offset}=${value}`),
  };
  const bank = new VirtioMmioBank(() => {});
  bank.attach(3, device);

  it('an empty one shows the magic value and no device', () => {
    expect([0, 4, 8, 12].map((offset) => bank.read(0x1000 + offset, 4))).toEqual([0x7472_6976, 2, 0, 0]);
  });

  it('passes accesses on with the offset inside the window', () => {
    expect(bank.read(0x3010, 4)).toBe(0x14);
    bank.write(0x3020, 4, 7);
    bank.write(0x4020, 4, 8);
    expect(log).toEqual(['32=7']);
    expect(bank.deviceAt(0x3010)).toEqual({ device, base: 0x3000 });
    expect(bank.deviceAt(0x2010)).toBeUndefined();
  });

  it('a window is taken once', () => {
    expect(() => bank.attach(3, device)).toThrow(/window 3/);
    expect(() => bank.attach(8, device)).toThrow(/window 8/);
  });
});
