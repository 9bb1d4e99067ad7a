/** Weight and pinning: what the host's scheduler says of the threads of a domain's vCPUs. */
import { readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { niceOf } from '#engines/para/cpu-share.js';
import { Hypervisor } from '#engines/para/hypervisor.js';
import { type HypervisorMemory, VCPU } from '#engines/para/hypervisor-memory.js';
import { allowedCpus } from '#engines/process/affinity.js';
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
