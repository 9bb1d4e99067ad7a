/** A vCPU thread's way to the host: its IoContext, its disk and its port of the network switch, and the kicks that wake others. */
import { randomInt } from 'node:crypto';
import type { BlockInfo, IoContext, Kicker, MemoryId } from '../backends/io.js';
import { createIoContext } from '../backends/io-context.js';
import { createKickArea, KickArea } from '../backends/kick.js';
import type { NetPort } from '../backends/net-port.js';
import { createUserNetwork } from '../backends/user-network.js';
import type { DiskConfig } from '../engine.js';
import { type BlockDevice, FileDevice } from './core-os/block-device.js';
import type { VcpuThreadConfig } from './vcpu-config.js';

/** What a domain's disk is. */
export type DiskSource = DiskConfig;

/** What all threads of the hypervisor share. */
export interface HostIoShared {
  kicks: SharedArrayBuffer;
  /** Marks of this hypervisor's threads on disk files (backends/file-mark.ts) begin here: one a kick slot. */
  marks: number;
}

export interface HostIo {
  kicker: Kicker;
  io: IoContext;
  disk: BlockDevice | undefined;
  port: NetPort | undefined;
  /** For Machine.facts. */
  facts: Record<string, string>;
  dispose(): void;
}

/** Two hypervisors that have the same disk file do not wait for each other's requests. */
export const createHostIo = (slots: number): HostIoShared => ({
  kicks: createKickArea(slots),
  marks: randomInt(2 ** 32) * 2 ** 12,
});

export const kickerOf = (shared: HostIoShared): KickArea => new KickArea(shared.kicks);

/** For the calling thread. Throws a sentence for the user when the disk cannot be opened. */
export function openHostIo(config: VcpuThreadConfig): HostIo {
  const io = createIoContext(config.io.kicks, config.slot, { waiting: { pollUs: config.pollUs } });
  const memory = io.addMemory(config.memory);
  let disk: { device: BlockDevice; info: BlockInfo } | undefined;
  try {
    disk = config.disk === undefined ? undefined : openDisk(io, memory, config.disk, config.io.marks);
  } catch (error) {
    io.dispose();
    throw error;
  }
  // The rings are memory of this host: what travels through them needs no UDP checksum (netif.h: NETTXF_csum_blank).
  const network = config.flows === undefined ? undefined : createUserNetwork(io, config.flows, { udpChecksums: false });
  return {
    kicker: kickerOf(config.io),
    io,
    disk: disk?.device,
    port: network?.port,
    facts: disk === undefined ? {} : diskFacts(io, disk.info),
    dispose() {
      network?.dispose();
      io.dispose();
    },
  };
}

/** A disk of a domain for the calling thread, whose IoContext this is. Throws a sentence for the user. */
export function openDisk(
  io: IoContext,
  memory: MemoryId,
  config: DiskSource,
  marks: number,
): { device: BlockDevice; info: BlockInfo } {
  const options = { direct: config.direct, readonly: false, mark: marks + io.slot };
  let info: BlockInfo | undefined;
  const device = new FileDevice(io, memory, config.bytes, () => {
    const handle = io.openBlock(config.path, options);
    info ??= io.blockInfo(handle);
    return handle;
  });
  return { device, info: info ?? { bytes: device.bytes, direct: false, alignment: 1 } };
}

/** Where other threads do the I/O, their CPU time is in no vCPU's (cpu-clock.ts): the results must say so. */
function diskFacts(io: IoContext, info: BlockInfo): Record<string, string> {
  const block = `${io.method}, ${directPhrase(info)}`;
  if (io.method === 'io_uring') return { block };
  return { block, cpuSeconds: 'threads of the domain’s vCPUs; the I/O worker threads are not in it' };
}

const directPhrase = (info: BlockInfo): string => (info.direct ? 'O_DIRECT' : 'buffered');
