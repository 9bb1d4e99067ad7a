/** The bus with a trace of each access: who is meant, by the device's own name where a window holds several. */
import type { AccessSize, Device } from '../devices/device.js';
import type { Machine } from '../machine/machine.js';
import type { Tracer } from '../machine/trace.js';
import { REGION } from '../memory-map.js';

export interface HartBusAccess {
  read(address: number, size: AccessSize): number;
  write(address: number, size: AccessSize, value: number): boolean;
}

export function tracedBus(machine: Machine, tracer: Tracer): HartBusAccess {
  const { bus } = machine;
  return {
    read(address, size) {
      // Before the access: it may move what answers.
      const who = place(machine, address);
      const value = bus.read(address, size);
      tracer.mmio('read', { ...who, address, size, value: Number.isNaN(value) ? undefined : value });
      return value;
    },
    write(address, size, value) {
      const who = place(machine, address);
      const done = bus.write(address, size, value);
      const written = size === 4 ? value >>> 0 : value & (2 ** (8 * size) - 1);
      tracer.mmio('write', { ...who, address, size, value: done ? written : undefined });
      return done;
    },
  };
}

function place(machine: Machine, address: number): { device: string; offset: number } {
  const found = inside(machine, address) ?? window(machine, address);
  return found === undefined
    ? { device: 'nothing', offset: 0 }
    : { device: found.device.name, offset: address - found.base };
}

/** A device behind a window that several share. Port addresses start at 0 on the PCI side. */
function inside({ pci, virtioMmio }: Machine, address: number): { device: Device; base: number } | undefined {
  const { pciMmio, pciPio, virtioMmio: bank } = REGION;
  if (address >= pciMmio.base) return pci.deviceAt('memory', address);
  if (within(pciPio, address)) return rebased(pci.deviceAt('io', address - pciPio.base), pciPio.base);
  return within(bank, address) ? rebased(virtioMmio.deviceAt(address - bank.base), bank.base) : undefined;
}

const within = ({ base, bytes }: { base: number; bytes: number }, address: number): boolean =>
  address >= base && address < base + bytes;

const rebased = (found: { device: Device; base: number } | undefined, base: number) =>
  found && { device: found.device, base: found.base + base };

const window = (machine: Machine, address: number): { device: Device; base: number } | undefined =>
  machine.map.windows.find((each) => within(each, address));
