/** What is plugged into the PCI bus: the network card and the SCSI controller, in the slots that QEMU would give them. */
import type { NetPort } from '../backends/net-port.js';
import { Switch } from '../backends/switch.js';
import type { VmConfig } from './config.js';
import type { BlockPort, GuestRam, StateSlice } from './devices/device.js';
import { Lsi53c895a } from './devices/lsi53c895a.js';
import type { PciDeviceContext } from './devices/pci-function.js';
import type { PciHost } from './devices/pci-host.js';
import { Rtl8139 } from './devices/rtl8139.js';
import { NO_IO } from './no-io.js';

const SLOT = { rtl8139: 1, lsi53c895a: 2 } as const;
/** QEMU's addresses: 52:54:00:12:34:56 for the first machine. */
const FIRST_MAC = 0x5254_0012_3456;

/** The host side of the devices, as the calling thread reaches it. Absent: the device is there but does no I/O. */
export interface HostPorts {
  disk?: BlockPort;
  network?: NetPort;
}

export interface PciDevicesOptions {
  config: VmConfig;
  ram: GuestRam;
  slice(part: 'rtl8139' | 'lsi53c895a'): StateSlice;
  defer(task: () => void): void;
  ports: HostPorts;
}

/** The devices that the configuration asks for, attached. Every thread of a machine gets the same ones. */
export function attachPciDevices(pci: PciHost, options: PciDevicesOptions): (Rtl8139 | Lsi53c895a)[] {
  const { config, ports } = options;
  const context = (part: 'rtl8139' | 'lsi53c895a'): PciDeviceContext => ({
    state: options.slice(part),
    ram: options.ram,
    defer: options.defer,
  });
  const devices: (Rtl8139 | Lsi53c895a)[] = [];
  if (config.network) {
    const port = ports.network ?? new Switch().addPort('nowhere');
    const card = new Rtl8139(context('rtl8139'), port, macOf(config.id));
    pci.attach(SLOT.rtl8139, card);
    devices.push(card);
  }
  if (config.disk !== undefined) {
    const nowhere: BlockPort = {
      io: NO_IO,
      handle: -1,
      info: { bytes: config.disk.bytes, direct: false, alignment: 1 },
    };
    const controller = new Lsi53c895a(context('lsi53c895a'), ports.disk ?? nowhere);
    pci.attach(SLOT.lsi53c895a, controller);
    devices.push(controller);
  }
  return devices;
}

function macOf(id: number): Uint8Array {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(FIRST_MAC + id, 0, 6);
  return bytes;
}
