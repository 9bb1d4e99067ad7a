/** A vCPU thread's way to the host: its IoContext, its disk and its port of the network switch, and the kicks that wake others. */
import type { BlockInfo, IoContext, Kicker } from '../backends/io.js';
import { createIoContext } from '../backends/io-context.js';
import { createKickArea, KickArea } from '../backends/kick.js';
import type { NetPort } from '../backends/net-port.js';
import { createUserNetwork } from '../backends/user-network.js';
import type { DiskConfig } from '../engine.js';
import type { Disk } from './core-os/block-driver.js';
import type { VcpuThreadConfig } from './vcpu-config.js';

/** What all threads of the hypervisor share. */
export interface HostIoShared {
  kicks: SharedArrayBuffer;
}

export interface HostIo {
  kicker: Kicker;
  io: IoContext;
  disk: Disk | undefined;
  port: NetPort | undefined;
  /** For Machine.facts. */
  facts: Record<string, string>;
  dispose(): void;
}

export const createHostIo = (slots: number): HostIoShared => ({ kicks: createKickArea(slots) });

export const kickerOf = (shared: HostIoShared): KickArea => new KickArea(shared.kicks);

/** For the calling thread. Throws a sentence for the user when the disk cannot be opened. */
export function openHostIo(config: VcpuThreadConfig): HostIo {
  const io = createIoContext(config.io.kicks, config.slot, { waiting: { pollUs: config.pollUs } });
  const disk = config.disk === undefined ? undefined : openDisk(io, config.memory, config.disk);
  // The rings are memory of this host: what travels through them needs no UDP checksum (netif.h: NETTXF_csum_blank).
  const network = config.flows === undefined ? undefined : createUserNetwork(io, config.flows, { udpChecksums: false });
  return {
    kicker: kickerOf(config.io),
    io,
    disk,
    port: network?.port,
    facts: disk === undefined ? {} : diskFacts(io, disk),
    dispose() {
      network?.dispose();
      io.dispose();
    },
  };
}

function openDisk(io: IoContext, memory: WebAssembly.Memory, config: DiskConfig): Disk {
  const handle = io.openBlock(config.path, { direct: config.direct, readonly: false });
  const { bytes } = io.blockInfo(handle);
  return { io, handle, memory: io.addMemory(memory), bytes: Math.min(bytes, config.bytes) };
}

/** Where other threads do the I/O, their CPU time is in no vCPU's (cpu-clock.ts): the results must say so. */
function diskFacts(io: IoContext, disk: Disk): Record<string, string> {
  const block = `${io.method}, ${directPhrase(io.blockInfo(disk.handle))}`;
  if (io.method === 'io_uring') return { block };
  return { block, cpuSeconds: 'threads of the domain’s vCPUs; the I/O worker threads are not in it' };
}

const directPhrase = (info: BlockInfo): string => (info.direct ? 'O_DIRECT' : 'buffered');
