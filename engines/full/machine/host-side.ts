/** The host side of the devices for a thread: what it has opened, or, on the main thread, stand-ins that do no I/O. */
import type { NetPort } from '../../backends/net-port.js';
import * as networkSwitch from '../../backends/switch.js';
import type { VmConfig } from '../config.js';
import type { BlockPort } from '../devices/device.js';
import type { HostSide } from './device-table.js';
import { NO_IO } from './no-io.js';

/** QEMU's addresses: 52:54:00:12:34:56 for the first machine. */
const FIRST_MAC = 0x5254_0012_3456;

/** What a thread has opened. Absent: the device is there but does no I/O. */
export interface HostPorts {
  /** By index in config.disks. */
  disks?: readonly BlockPort[];
  network?: NetPort;
}

export function hostSide(config: VmConfig, ports: HostPorts, console: HostSide['console']): HostSide {
  const mac = Buffer.alloc(6);
  mac.writeUIntBE(FIRST_MAC + config.id, 0, 6);
  return {
    config,
    mac,
    console,
    get network() {
      return ports.network ?? new networkSwitch.Switch().addPort('nowhere');
    },
    disk: (index) => ports.disks?.[index] ?? nowhere(config.disks[index]?.bytes ?? 0),
  };
}

const nowhere = (bytes: number): BlockPort => ({
  io: NO_IO,
  handle: -1,
  info: { bytes, direct: false, alignment: 1 },
});
