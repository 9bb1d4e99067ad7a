import { EventEmitter } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Vm } from '#engines/full/vm/vm.js';
import { finish, guest } from '../guests.js';
import { vmConfig } from '../run-guest.js';

// A thread that is ended while it loads native code takes the whole process with it: on a busy host a machine that was
// stopped as soon as it had been started aborted.

class Thread extends EventEmitter {
  terminated = 0;
  postMessage(): void {}
  terminate(): void {
    this.terminated++;
    this.emit('exit', 1);
  }
}

const events = { running: () => {}, output: () => {}, doorbell: () => {}, ended: () => {} };
const image = guest((a) => finish(a, 0x5555));

function machine(): { vm: Vm; threads: Thread[] } {
  const threads = [new Thread(), new Thread()];
  const workers = [...threads] as unknown as Worker[];
  return { vm: new Vm(vmConfig(image, { harts: threads.length }), events, workers), threads };
}

describe('stopping a machine whose threads are still starting', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('waits for them', async () => {
    const { vm, threads } = machine();
    const stopped = vm.stop();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(threads.map(({ terminated }) => terminated)).toEqual([0, 0]);
    for (const thread of threads) thread.emit('exit', 0);
    await stopped;
  });

  it('but not for ever', async () => {
    const { vm, threads } = machine();
    const stopped = vm.stop();
    await vi.advanceTimersByTimeAsync(31_000);
    await stopped;
    expect(threads.map(({ terminated }) => terminated)).toEqual([1, 1]);
  });
});
