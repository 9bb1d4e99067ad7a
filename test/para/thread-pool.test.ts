/** Threads of vCPUs: kept for the next vCPU, with nothing of the last one. */
import { readFileSync, rmSync } from 'node:fs';
import { getPriority } from 'node:os';
import { dirname } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { collectGarbage } from '#engines/para/collect-garbage.js';
import { domainCpuSeconds } from '#engines/para/cpu-clock.js';
import type { Domain } from '#engines/para/domain.js';
import { Hypervisor } from '#engines/para/hypervisor.js';
import { type HypervisorMemory, VCPU } from '#engines/para/hypervisor-memory.js';
import type { DomainConfig } from '#engines/para/messages.js';
import { allowedCpus } from '#engines/process/affinity.js';
import { guestFile, op } from './wasm-guest.js';

const SHUTDOWN = op.hypercall(29, 2, 0);
/** SCHEDOP_block for ever. */
const SLEEP = [0x03, 0x40, ...op.hypercall(29, 1), 0x0c, 0x00, 0x0b];
const BYTES = 37 << 20;
/** On a busy machine too. */
const SOON = { timeout: 30_000 };

const images = {
  shutdown: guestFile({ start: SHUTDOWN }),
  sleep: guestFile({ start: SLEEP }),
  hang: guestFile({ start: op.forever }),
};
afterAll(() => {
  for (const image of Object.values(images)) rmSync(dirname(image), { recursive: true });
});

let started: number;
const count = (worker: Worker): void => {
  started++;
  worker.setMaxListeners(0);
};
beforeEach(() => {
  started = 0;
  process.on('worker', count);
});
afterEach(() => {
  process.off('worker', count);
});

interface Running {
  domain: Domain;
  ended: Promise<string>;
}

async function create(hypervisor: Hypervisor, image: string, config: Partial<DomainConfig> = {}): Promise<Running> {
  let over: (reason: string) => void = () => {};
  const ended = new Promise<string>((resolve) => {
    over = resolve;
  });
  const full = { name: 't', vcpus: 1, memoryBytes: 1 << 20, image, bootargs: '', pollUs: 0, ...config };
  const domain = await hypervisor.create(full, { output() {}, doorbell() {}, facts() {}, ended: over });
  return { domain, ended };
}

async function runOnce(hypervisor: Hypervisor, image: string, config: Partial<DomainConfig> = {}): Promise<string> {
  return (await create(hypervisor, image, config)).ended;
}

async function withHypervisor(use: (hypervisor: Hypervisor, hv: HypervisorMemory) => Promise<void>, warmThreads = 0) {
  const hypervisor = new Hypervisor({ warmThreads });
  try {
    await use(hypervisor, (hypervisor as unknown as { hv: HypervisorMemory }).hv);
  } finally {
    hypervisor.close();
  }
}

const tidOf = (hv: HypervisorMemory, domain: Domain, vcpu = 0) =>
  Atomics.load(hv.i32, hv.vcpuWord(domain.id, vcpu) + VCPU.tid);
const cpusOf = (tid: number) =>
  /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync(`/proc/self/task/${tid}/status`, 'utf8'))?.[1];

/** Mappings of exactly so many bytes: a domain's memory. */
const mappings = (bytes: number) =>
  [...readFileSync('/proc/self/maps', 'latin1').matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)].filter(
    ([, from, to]) => Number.parseInt(to, 16) - Number.parseInt(from, 16) === bytes,
  ).length;

describe('a thread', () => {
  it('serves one vCPU after another', async () => {
    await withHypervisor(async (hypervisor) => {
      for (let n = 0; n < 4; n++) expect(await runOnce(hypervisor, images.shutdown)).toBe('powered itself off');
      expect(started).toBe(1);
    });
  });

  it('keeps neither the nice value nor the CPUs of a domain', async () => {
    await withHypervisor(async (hypervisor, hv) => {
      const [first] = allowedCpus();
      const one = await create(hypervisor, images.sleep, { hostCpus: [first] });
      await expect.poll(() => tidOf(hv, one.domain), SOON).not.toBe(0);
      const tid = tidOf(hv, one.domain);
      one.domain.share.setWeight(64);
      expect(cpusOf(tid)).toBe(String(first));
      expect(getPriority(tid)).not.toBe(getPriority());
      one.domain.destroy();
      await one.ended;
      const two = await create(hypervisor, images.sleep);
      await expect.poll(() => tidOf(hv, two.domain), SOON).not.toBe(0);
      const next = tidOf(hv, two.domain);
      expect(getPriority(next)).toBe(getPriority());
      expect(cpusOf(next)).toBe(cpusOf(process.pid));
      two.domain.destroy();
      await two.ended;
    });
  });

  it('keeps no memory of a domain', async () => {
    await withHypervisor(async (hypervisor) => {
      const { domain, ended } = await create(hypervisor, images.sleep, { memoryBytes: BYTES });
      expect(mappings(BYTES)).toBe(1);
      domain.destroy();
      await ended;
      const left = () => {
        collectGarbage(); // of this thread, which had it too
        return mappings(BYTES);
      };
      await expect.poll(left, SOON).toBe(0);
      await runOnce(hypervisor, images.shutdown);
      expect(started).toBe(1);
    });
  });

  it('has used no processor time for a domain that has just got it', async () => {
    await withHypervisor(async (hypervisor, hv) => {
      const hung = await create(hypervisor, images.shutdown);
      await hung.ended;
      const { domain, ended } = await create(hypervisor, images.sleep, { paused: true });
      await domain.pause.pause();
      const thread =
        Number(readFileSync(`/proc/self/task/${tidOf(hv, domain)}/schedstat`, 'latin1').split(' ')[0]) / 1e9;
      expect(domainCpuSeconds(hv, domain.id, 1)).toBeLessThan(thread / 2); // starting it took longer
      domain.destroy();
      await ended;
    });
  });

  it('that does not come out of the guest is not used again', async () => {
    await withHypervisor(async (hypervisor) => {
      const { domain, ended } = await create(hypervisor, images.hang);
      await expect.poll(() => domain.control.vcpusUp, SOON).toBe(1);
      domain.destroy();
      expect(await ended).toBe('was destroyed');
      expect(await runOnce(hypervisor, images.shutdown)).toBe('powered itself off');
      expect(started).toBe(2);
    });
  });

  it('whose disk cannot be opened fails its domain, and serves the next', async () => {
    await withHypervisor(async (hypervisor) => {
      const disk = { path: '/nonexistent/disk', bytes: 512, direct: false };
      expect(await runOnce(hypervisor, images.shutdown, { disk })).toMatch(
        /^crashed: the thread of vCPU 0 failed: .*nonexistent/,
      );
      const before = started; // one of the core OS too
      expect(await runOnce(hypervisor, images.shutdown)).toBe('powered itself off');
      expect(started).toBe(before);
    });
  });
});

describe('warm threads', () => {
  it('are there before a domain is, and again after it has taken one', async () => {
    await withHypervisor(async (hypervisor) => {
      await expect.poll(() => started, SOON).toBe(2);
      const { domain, ended } = await create(hypervisor, images.sleep);
      expect(started).toBe(2);
      await expect.poll(() => started, SOON).toBe(3);
      domain.destroy();
      await ended;
      const next = await create(hypervisor, images.shutdown, { vcpus: 3 });
      await null;
      expect(started).toBe(3);
      expect(await next.ended).toBe('powered itself off');
    }, 2);
  });
});
