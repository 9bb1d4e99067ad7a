import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { nowNs } from '#engines/backends/clock.js';

it('lies between two readings of CLOCK_MONOTONIC', () => {
  for (let i = 0; i < 1000; i++) {
    const before = Number(process.hrtime.bigint());
    const now = nowNs();
    const after = Number(process.hrtime.bigint());
    // Its origin is known to within half a bracket; 2 µs is far more than that and far less than any interval measured.
    expect(now).toBeGreaterThan(before - 2000);
    expect(now).toBeLessThan(after + 2000);
  }
});

it('is the same clock in a worker thread', async () => {
  const code = `const { parentPort, workerData } = require('node:worker_threads');
    import(workerData).then(({ nowNs }) => parentPort.on('message', () => parentPort.postMessage(nowNs())))`;
  const module = import.meta.resolve('#engines/backends/clock.js');
  const worker = new Worker(code, { eval: true, workerData: module });
  const ask = () =>
    new Promise<number>((resolve) => {
      worker.once('message', resolve);
      worker.postMessage(0);
    });
  for (let i = 0; i < 20; i++) {
    const before = nowNs();
    const there = await ask();
    expect(there).toBeGreaterThan(before - 2000);
    expect(there).toBeLessThan(nowNs() + 2000);
  }
  await worker.terminate();
});
