/** Weight and pinning: what the host's scheduler says of the threads of a domain's vCPUs. */
import { readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CpuShare, niceOf } from '#engines/para/cpu-share.js';
import { Hypervisor } from '#engines/para/hypervisor.js';
import { type HypervisorMemory, VCPU } from '#engines/para/hypervisor-memory.js';
import { allowedCpus } from '#engines/process/affinity.js';
import { createThreadGroup, type ThreadGroup } from '#engines/process/cgroup.js';
import { ParaGuest } from './para-guest.js';

let hypervisor: Hypervisor;
beforeAll(() => {
  hypervisor = new Hypervisor();
});
afterAll(() => hypervisor.close());

/** kernel/sched/core.c, sched_prio_to_weight: of nice -6, -3, 0, 6. */
const KERNEL = { '-6': 3906, '-3': 1991, '0': 1024, '6': 272 };

describe('weights', () => {
  it.each(Object.entries(KERNEL))('nice %s is the next to its share of the kernel’s', (nice, kernel) => {
    expect(niceOf((256 * kernel) / 1024, 0)).toBe(Number(nice));
  });

  it('end where nice values do, from whatever the process has', () => {
    expect(niceOf(1, 0)).toBe(19);
    expect(niceOf(65535, -10)).toBe(-20);
    expect(niceOf(256, 5)).toBe(5);
  });
});

describe('a cap', () => {
  it('is not pretended: what the host refuses is said, and nothing is noted', () => {
    const share = new CpuShare(
      () => [],
      () => {
        throw new Error('there are no groups');
      },
    );
    expect(() => share.setCap(50)).toThrow('the host enforces no cap: there are no groups');
    expect(share.cap).toBeUndefined();
    share.setCap(0); // there is none to take away
  });

  it('that not all threads can be put under holds for none', () => {
    const log: string[] = [];
    const group = {
      setCap: (percent: number) => log.push(`cap ${percent}`),
      setWeight: (threads: number) => log.push(`weight ${threads}`),
      add: (tid: number) => {
        if (tid === 3) throw new Error('no such thread');
        log.push(`add ${tid}`);
      },
      remove: (tid: number) => log.push(`remove ${tid}`),
      delete: () => log.push('delete'),
    } as unknown as ThreadGroup;
    const tids = [2, 3];
    const share = new CpuShare(
      () => tids,
      () => group,
    );
    expect(() => share.setCap(50)).toThrow('no such thread');
    expect([log.splice(0), share.cap]).toEqual([['cap 50', 'add 2', 'weight 1', 'remove 2', 'delete'], undefined]);
    tids.pop();
    share.setCap(50);
    share.applyTo(5);
    expect(share.leave(2)).toBe(true);
    share.dissolve();
    expect(log).toEqual(['cap 50', 'add 2', 'weight 1', 'add 5', 'weight 2', 'remove 2', 'remove 5', 'delete']);
  });

  const refusal = ((): string | undefined => {
    try {
      createThreadGroup('probe').delete();
      return undefined;
    } catch (error) {
      return String(error);
    }
  })();

  it.skipIf(refusal !== undefined)('is enforced by the kernel, and goes with the domain', async () => {
    const guest = await ParaGuest.start(hypervisor, { vcpus: 2 });
    guest.domain.share.setCap(20);
    guest.send('prepare cpu/sieve seed=1 cpus=2');
    await guest.line('ready');
    guest.send('start ms=60000 seed=7');
    await guest.sampleBegun();
    const { hv } = hypervisor as unknown as { hv: HypervisorMemory };
    const tid = hv.i32[hv.vcpuWord(guest.domain.id, 0) + VCPU.tid];
    const groupOf = () => readFileSync(`/proc/self/task/${tid}/cgroup`, 'utf8');
    expect(groupOf()).toContain(`virtax-${process.pid}-${guest.domain.id}`);
    const [before, seconds] = [guest.domain.cpuSeconds, performance.now() / 1000];
    await expect.poll(() => guest.domain.cpuSeconds - before, { timeout: 60_000 }).toBeGreaterThan(0.05);
    const share = (guest.domain.cpuSeconds - before) / (performance.now() / 1000 - seconds);
    expect(share).toBeLessThan(0.2 * 1.5); // a busy machine gives less, never more
    guest.domain.destroy();
    await guest.ended();
    expect(groupOf()).not.toContain('virtax-');
  });
});

describe('a domain', () => {
  it('has its weight and its CPUs on all vCPUs, those that come up later too', async () => {
    const guest = await ParaGuest.start(hypervisor, { vcpus: 1, maxVcpus: 2 });
    const { hv } = hypervisor as unknown as { hv: HypervisorMemory };
    const tid = (vcpu: number) => hv.i32[hv.vcpuWord(guest.domain.id, vcpu) + VCPU.tid];
    const cpus = (vcpu: number) =>
      /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync(`/proc/self/task/${tid(vcpu)}/status`, 'utf8'))?.[1];
    const [first] = allowedCpus();
    const base = getPriority();
    guest.domain.share.setWeight(64);
    guest.domain.share.pin([first]);
    await guest.domain.control.setVcpus(2, { deadlineMs: 60_000 });
    for (const vcpu of [0, 1]) {
      await expect.poll(() => getPriority(tid(vcpu))).toBe(Math.min(19, base + 6)); // when its thread has said that it is there
      expect(cpus(vcpu)).toBe(String(first));
    }
    expect(() => guest.domain.share.pin([1023])).toThrow(/CPU 1023 is not for this process; it has /);
    guest.domain.destroy();
    await guest.ended();
    expect(getPriority()).toBe(base);
  });
});
