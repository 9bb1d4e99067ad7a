/** Opens the host side of one thread's devices: the disk's file and the machine's network. */
import type { IoContext } from '../backends/io.js';
import { createUserNetwork } from '../backends/user-network.js';
import type { VmConfig } from './config.js';
import type { BlockPort } from './devices/device.js';
import type { HostPorts } from './pci-devices.js';

export interface OpenPorts extends HostPorts {
  /** What a reader of the results must know. */
  facts: Record<string, string>;
  dispose(): void;
}

/** flows: createFlowMemory(), one for the machine. Throws an Error for the user when a file cannot be opened. */
export function openHostPorts(io: IoContext, config: VmConfig, flows: SharedArrayBuffer): OpenPorts {
  const disk = config.disk === undefined ? undefined : openDisk(io, config.disk);
  const network = config.network ? createUserNetwork(io, flows) : undefined;
  return {
    ...(disk === undefined ? {} : { disk }),
    ...(network === undefined ? {} : { network: network.port }),
    facts: {
      io: io.method,
      ...(disk === undefined ? {} : { block: `${io.method}, ${disk.info.direct ? 'O_DIRECT' : 'buffered'}` }),
    },
    dispose: () => network?.dispose(),
  };
}

function openDisk(io: IoContext, disk: NonNullable<VmConfig['disk']>): BlockPort {
  const handle = io.openBlock(disk.path, { direct: disk.direct, readonly: false });
  const info = io.blockInfo(handle);
  if (info.bytes < disk.bytes) {
    throw new Error(`the disk file ${disk.path} has ${info.bytes} bytes; ${disk.bytes} were asked for`);
  }
  return { io, handle, info: { ...info, bytes: disk.bytes } };
}
