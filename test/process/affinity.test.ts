import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { allowedCpus, parseCpuList, withHostCpus } from '#engines/process/affinity.js';
import { startNative } from '#engines/process/child.js';

const cpus = allowedCpus();
const maskOf = (status: string): number[] => parseCpuList(/^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? 'none');

describe('host CPUs', () => {
  it.each([
    ['0', [0]],
    ['0-3,8', [0, 1, 2, 3, 8]],
    ['1,3,5-6', [1, 3, 5, 6]],
    ['', []],
  ])('the kernel’s list %j is %j', (list, expected) => {
    expect(parseCpuList(list)).toEqual(expected);
  });

  it('a process started under a mask has it, and the starter has its own back', async () => {
    const last = cpus[cpus.length - 1];
    const child = withHostCpus([last], () => startNative('/bin/cat', []));
    const mask = maskOf(readFileSync(`/proc/${child.process.pid}/status`, 'utf8'));
    await child.stop();
    expect(mask).toEqual([last]);
    expect(allowedCpus()).toEqual(cpus);
  });

  it('so has a thread', async () => {
    const code = `
      const { parentPort } = require('node:worker_threads');
      parentPort.postMessage(require('node:fs').readFileSync('/proc/thread-self/status', 'utf8'));`;
    const worker = withHostCpus([cpus[0]], () => new Worker(code, { eval: true }));
    const status = await new Promise<string>((resolve) => worker.once('message', resolve));
    expect(maskOf(status)).toEqual([cpus[0]]);
  });

  it('gives the mask back when starting throws', () => {
    const fail = () =>
      withHostCpus([cpus[0]], () => {
        throw new Error('no');
      });
    expect(fail).toThrow('no');
    expect(allowedCpus()).toEqual(cpus);
  });
});
