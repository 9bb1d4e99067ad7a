/** Builds the devices that a configuration asks for, and puts them where the table says. The same on every thread. */

import type { Device, GuestRam, Resettable, StateSlice } from '../devices/device.js';
import type { PciHost } from '../devices/pci/pci-host.js';
import type { VirtioMmioBank } from '../devices/virtio/mmio-bank.js';
import { type HostSide, type PlannedDevice, plannedDevices } from './device-table.js';

export interface AttachOptions {
  host: HostSide;
  ram: GuestRam;
  /** The state of a planned device, by its name. */
  slice(name: string): StateSlice;
  defer(task: () => void): void;
}

export function attachDevices(pci: PciHost, bank: VirtioMmioBank, options: AttachOptions): Resettable[] {
  return plannedDevices(options.host.config).map((planned) => attach(planned, pci, bank, options));
}

function attach(planned: PlannedDevice, pci: PciHost, bank: VirtioMmioBank, options: AttachOptions): Resettable {
  const { host, ram, defer } = options;
  const context = { state: options.slice(planned.name), ram, defer };
  if (planned.bus === 'pci') {
    const device = planned.build(context, host);
    pci.attach(planned.slot, device);
    return device;
  }
  const { window } = planned;
  const device: Device & Resettable = planned.build({ ...context, irq: (level) => bank.setIrq(window, level) }, host);
  bank.attach(window, device);
  return device;
}
