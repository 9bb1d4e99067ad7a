/** A vCPU thread's way to the host: its IoContext, its disk and its port of the network switch, and the kicks that wake others. */
import type { IoContext, Kicker } from '../backends/io.js';
import type { NetPort } from '../backends/net-port.js';
import type { Disk } from './core-os/blkback.js';
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

const STRIDE = 16;

export const createHostIo = (slots: number): HostIoShared => ({ kicks: new SharedArrayBuffer(slots * STRIDE * 4) });

export function kickerOf(shared: HostIoShared): Kicker {
  const words = new Int32Array(shared.kicks);
  return {
    kick(slot) {
      Atomics.store(words, slot * STRIDE, 1);
      Atomics.notify(words, slot * STRIDE);
    },
  };
}

export function openHostIo(config: VcpuThreadConfig): HostIo {
  const words = new Int32Array(config.io.kicks);
  const { slot } = config;
  const none = () => {
    throw new Error('no I/O yet');
  };
  const counters = { submitted: 0, completed: 0, syscalls: 0, waits: 0, kicksReceived: 0, bounced: 0 };
  const io: IoContext = {
    method: 'worker threads',
    slot,
    counters,
    addMemory: () => 0,
    openBlock: none,
    blockInfo: none,
    read: none,
    write: none,
    flush: none,
    openUdp: none,
    send: none,
    receive: none,
    close() {},
    submit() {},
    poll: () => 0,
    wait(ns) {
      counters.waits++;
      Atomics.wait(words, slot * STRIDE, 0, ns / 1e6);
      counters.kicksReceived += Atomics.exchange(words, slot * STRIDE, 0);
    },
    dispose() {},
  };
  return { kicker: kickerOf(config.io), io, disk: undefined, port: undefined, facts: {}, dispose() {} };
}
