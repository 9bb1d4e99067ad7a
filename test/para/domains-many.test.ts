/** As many domains as there can be, and domains that are created, driven and destroyed at the same time. */
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Domain } from '#engines/para/domain.js';
import { Hypervisor } from '#engines/para/hypervisor.js';
import { type HypervisorMemory, POOL } from '#engines/para/hypervisor-memory.js';
import { ParaGuest } from './para-guest.js';
import { guestFile, op } from './wasm-guest.js';

const MOST = 63;
/** SCHEDOP_block for ever. */
const SLEEP = [0x03, 0x40, ...op.hypercall(29, 1), 0x0c, 0x00, 0x0b];
const images = { sleep: guestFile({ start: SLEEP }), off: guestFile({ start: op.hypercall(29, 2, 0) }) };
afterAll(() => {
  for (const image of Object.values(images)) rmSync(dirname(image), { recursive: true });
});

interface Running {
  domain: Domain;
  ended: Promise<string>;
}

async function create(hypervisor: Hypervisor, image: string, vcpus = 1): Promise<Running> {
  let over: (reason: string) => void = () => {};
  const ended = new Promise<string>((resolve) => {
    over = resolve;
  });
  const config = { name: 'many', vcpus, memoryBytes: 1 << 20, image, bootargs: '', pollUs: 0 };
  const domain = await hypervisor.create(config, { output() {}, doorbell() {}, facts() {}, ended: over });
  return { domain, ended };
}

const taken = (hypervisor: Hypervisor) => (hypervisor as unknown as { hv: HypervisorMemory }).hv.i32[POOL.taken];

describe('domains', () => {
  it(`are ${MOST} at once, and one more is refused`, async () => {
    const hypervisor = new Hypervisor();
    const all = await Promise.all(Array.from({ length: MOST }, () => create(hypervisor, images.sleep)));
    expect(new Set(all.map(({ domain }) => domain.id)).size).toBe(MOST);
    await expect.poll(() => all.every(({ domain }) => domain.control.vcpusUp === 1), { timeout: 60_000 }).toBe(true);
    await expect(create(hypervisor, images.off)).rejects.toThrow(/there are 63 domains already/);
    all[30].domain.destroy();
    await all[30].ended;
    const again = await create(hypervisor, images.off);
    expect(again.domain.id).toBe(all[30].domain.id);
    expect(await again.ended).toBe('powered itself off');
    for (const { domain } of all) domain.destroy();
    expect(new Set(await Promise.all(all.map(({ ended }) => ended)))).toEqual(new Set(['was destroyed']));
    expect([hypervisor.running, taken(hypervisor)]).toEqual([[], 0]);
    hypervisor.close();
  });

  it('are destroyed as they are created, paused, resumed and given vCPUs', async () => {
    const hypervisor = new Hypervisor();
    const said = new Set<string>();
    const one = async (n: number) => {
      const { domain, ended } = await create(hypervisor, n % 3 === 0 ? images.off : images.sleep, 1 + (n % 2));
      const hear = (error: Error) => void said.add(error.message.replace(/\d+/g, 'N'));
      const acts = [
        () => domain.pause.pause(60_000).catch(hear),
        () => domain.control.setVcpus(1 + (n % 2), { deadlineMs: 60_000 }).catch(hear),
        () => domain.pause.resume(),
        () => domain.destroy(),
        () => domain.control.shutdown('poweroff', { deadlineMs: 60_000 }).catch(hear),
        () => domain.destroy(),
      ];
      const under = acts.map((_, at) => acts[(at + n) % acts.length]());
      await Promise.all(under);
      return ended;
    };
    const reasons = await Promise.all(Array.from({ length: 30 }, (_, n) => one(n)));
    for (const reason of reasons) expect(reason).toMatch(/^(was destroyed|powered itself off)$/);
    for (const sentence of said) expect(sentence).toBe('the domain has ended');
    expect([hypervisor.running, taken(hypervisor)]).toEqual([[], 0]);
    hypervisor.close();
  });

  it('end in the middle of vCPUs and memory that come and go, and leave the next ones whole', async () => {
    const hypervisor = new Hypervisor();
    for (let turn = 0; turn < 6; turn++) {
      const guest = await ParaGuest.start(hypervisor, { maxVcpus: 4, memoryBytes: 16 << 20, maxMemoryBytes: 32 << 20 });
      const late = { deadlineMs: 60_000 };
      const quiet = (promise: Promise<void>) => promise.catch((error: Error) => error.message);
      const under = [
        quiet(guest.domain.control.setVcpus(4, late)),
        quiet(guest.domain.control.setMemory(32 << 20, late)),
      ];
      if (turn % 2 === 0) await under[0];
      if (turn === 1) {
        await Promise.all(under);
        expect((await guest.runWhenThere('cpu/sieve', 4, 50)).errors).toBe('0');
      }
      guest.domain.destroy();
      for (const answer of await Promise.all(under)) expect([undefined, 'the domain has ended']).toContain(answer);
      expect(await guest.ended()).toBe('was destroyed');
    }
    expect(taken(hypervisor)).toBe(0);
    hypervisor.close();
  });
});
