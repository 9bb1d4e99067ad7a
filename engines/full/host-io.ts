/** A thread's way to the host: the I/O context that it submits to and sleeps in, and the kicks that wake others. */
import type { IoContext, Kicker } from '../backends/io.js';

/** What the threads of a machine share. */
export interface HostIoShared {
  kicks: SharedArrayBuffer;
}

export const createHostIo = (slots: number): HostIoShared => ({ kicks: new SharedArrayBuffer(slots * 64) });

type Sleeper = Pick<IoContext, 'poll' | 'wait' | 'counters'>;

export const kickerOf = (shared: HostIoShared): Kicker => {
  const words = new Int32Array(shared.kicks);
  return {
    kick(slot) {
      Atomics.store(words, slot * 16, 1);
      Atomics.notify(words, slot * 16);
    },
  };
};

export class HostIo {
  readonly kicker: Kicker;
  readonly context: Sleeper;

  constructor(shared: HostIoShared, slot: number, _pollUs: number) {
    this.kicker = kickerOf(shared);
    const words = new Int32Array(shared.kicks);
    const counters = { submitted: 0, completed: 0, syscalls: 0, waits: 0, kicksReceived: 0, bounced: 0 };
    this.context = {
      counters,
      poll: () => 0,
      wait: (ns) => {
        counters.waits++;
        Atomics.wait(words, slot * 16, 0, ns / 1e6);
        counters.kicksReceived += Atomics.exchange(words, slot * 16, 0);
      },
    };
  }

  dispose(): void {}
}
