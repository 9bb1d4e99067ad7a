/** Opens the host side of one thread's devices: the disk's file and the machine's network. */
import type { IoContext } from '../../backends/io.js';
import * as userNetwork from '../../backends/user-network.js';
import type { VmConfig, VmDisk, VmNic } from '../config.js';
import type { BlockPort } from '../devices/device.js';
import type { HostPorts } from '../machine/host-side.js';

export interface OpenPorts extends HostPorts {
  /** What a reader of the results must know. */
  facts: Record<string, string>;
  dispose(): void;
}

/** flows: createFlowMemory(), one for the machine. Throws an Error for the user when a file cannot be opened. */
export function openHostPorts(io: IoContext, config: VmConfig, flows: SharedArrayBuffer): OpenPorts {
  const disks = config.disks.map((disk) => openDisk(io, disk));
  const network = config.nic === undefined ? undefined : openNetwork(io, config.nic, flows);
  return {
    disks,
    ...(network === undefined ? {} : { network: network.port }),
    facts: {
      io: io.method,
      ...(disks.length === 0 ? {} : { block: `${io.method}, ${how(disks)}` }),
    },
    dispose: () => network?.dispose(),
  };
}

const openNetwork = (io: IoContext, nic: VmNic, flows: SharedArrayBuffer) =>
  userNetwork.createUserNetwork(io, flows, { loopbackOnly: nic.mode === 'switch', forwards: nic.forwards ?? [] });

const how = (disks: BlockPort[]): string =>
  [...new Set(disks.map((disk) => (disk.info.direct ? 'O_DIRECT' : 'buffered')))].join(' and ');

function openDisk(io: IoContext, disk: VmDisk): BlockPort {
  const handle = io.openBlock(disk.path, { direct: disk.direct, readonly: disk.readonly });
  const info = io.blockInfo(handle);
  if (info.bytes < disk.bytes) {
    throw new Error(`the disk file ${disk.path} has ${info.bytes} bytes; ${disk.bytes} were asked for`);
  }
  return { io, handle, info: { ...info, bytes: disk.bytes } };
}
