/** A vCPU thread's way to the host: its IoContext, its disk and its port of the network switch, and the kicks that wake others. */
import { randomInt } from 'node:crypto';
import type { BlockInfo, IoContext, Kicker } from '../backends/io.js';
import { createIoContext } from '../backends/io-context.js';
import { createKickArea, KickArea } from '../backends/kick.js';
import type { NetPort } from '../backends/net-port.js';
import { createUserNetwork } from '../backends/user-network.js';
import { type BlockDevice, FileDevice } from './core-os/block-device.js';
import type { DiskSource } from './core-os/disk-source.js';
import { MemoryDevice, NullDevice } from './core-os/memory-device.js';
import type { LentDisk } from './core-os/thread.js';
import type { VcpuThreadConfig } from './vcpu-config.js';

/** What all threads of the hypervisor share. */
export interface HostIoShared {
  kicks: SharedArrayBuffer;
  /** Marks of this hypervisor's threads on disk files (backends/file-mark.ts) begin here: one a kick slot. */
  marks: number;
}

export interface HostIo {
  kicker: Kicker;
  io: IoContext;
  disk: LentDisk | undefined;
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
  io.addMemory(config.memory);
  const { disk: source } = config;
  let disk: ReturnType<typeof openDisk> | undefined;
  try {
    disk = source === undefined ? undefined : openDisk(io, config.memory, source, config.io.marks);
  } catch (error) {
    io.dispose();
    throw error;
  }
  // The rings are memory of this host: what travels through them needs no UDP checksum (netif.h: NETTXF_csum_blank).
  const network = config.flows === undefined ? undefined : createUserNetwork(io, config.flows, { udpChecksums: false });
  return {
    kicker: kickerOf(config.io),
    io,
    disk: disk === undefined || source === undefined ? undefined : { device: disk.device, limits: source },
    port: network?.port,
    facts: disk?.facts ?? {},
    dispose() {
      network?.dispose();
      io.dispose();
    },
  };
}

/**
 * A disk of a domain for the calling thread, whose IoContext this is. Throws a sentence for the user. marked: others can see when nothing
 * that this thread began on it is under way any more.
 */
export function openDisk(
  io: IoContext,
  memory: WebAssembly.Memory,
  source: DiskSource,
  marks: number,
): { device: BlockDevice; facts: Record<string, string>; marked: boolean } {
  if (source.kind === 'memory') {
    return {
      marked: true,
      device: new MemoryDevice(io, memory, source.memory),
      facts: { block: 'memory of the hypervisor' },
    };
  }
  if (source.kind === 'null') {
    return {
      marked: true,
      device: new NullDevice(io, memory, source.bytes),
      facts: { block: 'null: reads give zeros' },
    };
  }
  const { path, direct, bytes } = source;
  let facts: Record<string, string> = {};
  let marked = false;
  const device = new FileDevice(io, io.addMemory(memory), bytes, () => {
    const handle = io.openBlock(path, { direct, readonly: false, mark: marks + io.slot });
    facts = fileFacts(io, io.blockInfo(handle));
    marked = io.blockInfo(handle).marked === true;
    return handle;
  });
  return { device, facts, marked };
}

/** Where other threads do the I/O, their CPU time is in no vCPU's (cpu-clock.ts): the results must say so. */
function fileFacts(io: IoContext, info: BlockInfo): Record<string, string> {
  const block = `${io.method}, ${directPhrase(info)}`;
  if (io.method === 'io_uring') return { block };
  return { block, cpuSeconds: 'threads of the domain’s vCPUs; the I/O worker threads are not in it' };
}

const directPhrase = (info: BlockInfo): string => (info.direct ? 'O_DIRECT' : 'buffered');
