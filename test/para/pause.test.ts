/** A domain that is paused runs nothing, and goes on where it was. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { domainCpuSeconds } from '#engines/para/cpu-clock.js';
import type { Domain } from '#engines/para/domain.js';
import { Hypervisor } from '#engines/para/hypervisor.js';
import { deviceWord, type HypervisorMemory } from '#engines/para/hypervisor-memory.js';
import { Device, REC } from '#engines/para/io-queue/records.js';
import { ParaGuest } from './para-guest.js';
import { writePristineDisk } from './pristine-disk.js';
import { guestFile, op } from './wasm-guest.js';

let hypervisor: Hypervisor;
let hv: HypervisorMemory;
beforeAll(() => {
  hypervisor = new Hypervisor();
  hv = (hypervisor as unknown as { hv: HypervisorMemory }).hv;
});
afterAll(() => hypervisor.close());

/** CPU seconds that the domain uses while this thread is busy for 100 ms. */
async function cpuOf(domain: Domain, vcpus: number): Promise<number> {
  const before = domainCpuSeconds(hv, domain.id, vcpus);
  const end = performance.now() + 100;
  while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
  return domainCpuSeconds(hv, domain.id, vcpus) - before;
}

const cpuMeanwhile = (guest: ParaGuest, vcpus: number): Promise<number> => cpuOf(guest.domain, vcpus);

/** Requests that the devices have, of all domains. */
const inFlight = (): number => hv.i32[deviceWord(Device.vbd) + REC.inFlight];
const SOON = { timeout: 60_000 };

describe('a paused domain', () => {
  it('uses no CPU in the middle of its work, and works on when resumed', async () => {
    const guest = await ParaGuest.start(hypervisor, { vcpus: 2 });
    guest.send('prepare cpu/sieve seed=1 cpus=2');
    await guest.line('ready');
    guest.send('start ms=60000 seed=7');
    await guest.sampleBegun();
    await guest.domain.pause.pause();
    expect(await cpuMeanwhile(guest, 2)).toBeLessThan(0.005);
    guest.domain.pause.resume();
    while ((await cpuMeanwhile(guest, 2)) === 0);
    guest.domain.destroy();
    await guest.ended();
  });

  it('ends its sample when resumed, with the right sum', async () => {
    const guest = await ParaGuest.start(hypervisor, { vcpus: 2 });
    guest.send('prepare cpu/sieve seed=1 cpus=2');
    await guest.line('ready');
    guest.send('start ms=300 seed=7');
    await guest.sampleBegun();
    await guest.domain.pause.pause();
    expect(guest.domain.pause.paused).toBe(true);
    guest.domain.pause.resume();
    expect(await guest.line('result')).toMatch(/units=[1-9].*errors=0/);
    guest.send('poweroff');
    expect(await guest.ended()).toBe('powered itself off');
  });

  it('takes no input while it sleeps, and all of it afterwards', async () => {
    const guest = await ParaGuest.start(hypervisor);
    await guest.domain.pause.pause();
    await guest.domain.pause.pause(); // it is already
    guest.send('poweroff');
    expect(await cpuMeanwhile(guest, 1)).toBeLessThan(0.005);
    expect(guest.reason).toBeUndefined();
    guest.domain.pause.resume();
    guest.domain.pause.resume();
    expect(await guest.ended()).toBe('powered itself off');
  });

  it('stops at whatever hypercall its guest makes', async () => {
    const version = [0x03, 0x40, ...op.hypercall(17, 0), 0x0c, 0x00, 0x0b]; // XENVER_version for ever: it never sleeps
    const image = guestFile({ start: version });
    const config = { name: 'v', vcpus: 1, memoryBytes: 1 << 20, image, bootargs: '', pollUs: 0 };
    const over = { ended: () => {} };
    const ended = new Promise<void>((resolve) => {
      over.ended = resolve;
    });
    const listener = { output() {}, doorbell() {}, facts() {}, ended: () => over.ended() };
    const domain = await hypervisor.create(config, listener);
    const calls = () => domain.counters().hypercall_xen_version;
    await expect.poll(calls, SOON).toBeGreaterThan(0);
    await domain.pause.pause(60_000);
    const before = calls();
    expect(await cpuOf(domain, 1)).toBeLessThan(0.005);
    expect(calls()).toBe(before);
    domain.pause.resume();
    await expect.poll(calls, SOON).toBeGreaterThan(before);
    domain.destroy();
    await ended;
    rmSync(dirname(image), { recursive: true });
  });

  it('finds its timers due when it runs again', async () => {
    const guest = await ParaGuest.start(hypervisor);
    guest.send('prepare os/timer seed=1 cpus=1');
    await guest.line('ready');
    guest.send('start ms=60000 seed=7');
    await guest.sampleBegun();
    for (let turn = 0; turn < 3; turn++) {
      await guest.domain.pause.pause(60_000);
      const fired = guest.domain.counters().timers_fired;
      await cpuOf(guest.domain, 1);
      expect(guest.domain.counters().timers_fired).toBe(fired);
      guest.domain.pause.resume();
      await expect.poll(() => guest.domain.counters().timers_fired, SOON).toBeGreaterThan(fired);
    }
    guest.domain.destroy();
    await guest.ended();
  });

  it('has its requests finished by the core OS, and takes them when it runs again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'virtax-pause-'));
    const path = join(folder, 'disk.img');
    const bytes = 64 << 20;
    writePristineDisk(path, bytes);
    const disk = { path, bytes, direct: false };
    const guest = await ParaGuest.start(hypervisor, { vcpus: 2, memoryBytes: 64 << 20, disk });
    guest.send('prepare block/randread-4k-qd32 seed=1 cpus=2');
    await guest.line('ready');
    guest.send('start ms=500 seed=7');
    await guest.sampleBegun();
    for (let turn = 0; turn < 5; turn++) {
      await guest.domain.pause.pause(60_000);
      await expect.poll(inFlight, SOON).toBe(0);
      guest.domain.pause.resume();
    }
    expect(await guest.line('result')).toMatch(/units=[1-9].*errors=0/);
    guest.domain.destroy();
    await guest.ended();
    rmSync(folder, { recursive: true });
  });

  it('can be built so, and be destroyed so', async () => {
    const text: number[] = [];
    let over: (reason: string) => void = () => {};
    const ended = new Promise<string>((resolve) => {
      over = resolve;
    });
    const image = guestFile({ start: [...op.hypercall(29, 2, 0)] });
    const config = { name: 'p', vcpus: 1, memoryBytes: 1 << 20, image, bootargs: '', pollUs: 0, paused: true };
    const listener = { output: (b: Uint8Array) => void text.push(...b), doorbell() {}, facts() {}, ended: over };
    const domain = await hypervisor.create(config, listener);
    await domain.pause.pause(); // its thread is there and waits
    expect(domain.control.vcpusUp).toBe(0);
    domain.destroy();
    expect(await ended).toBe('was destroyed');
    expect(text).toEqual([]);
    rmSync(dirname(image), { recursive: true });
  });

  it('that is destroyed in the middle of its work ends', async () => {
    const guest = await ParaGuest.start(hypervisor, { vcpus: 2 });
    await guest.domain.pause.pause();
    guest.domain.destroy();
    expect(await guest.ended()).toBe('was destroyed');
  });

  it('is not yet, when a vCPU does not come out of the guest: that is said', async () => {
    const image = guestFile({ start: op.forever });
    let over: () => void = () => {};
    const ended = new Promise<void>((resolve) => {
      over = resolve;
    });
    const config = { name: 's', vcpus: 1, memoryBytes: 1 << 20, image, bootargs: '', pollUs: 0 };
    const listener = { output() {}, doorbell() {}, facts() {}, ended: () => over() };
    const domain = await hypervisor.create(config, listener);
    while (domain.control.vcpusUp === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    while (domainCpuSeconds(hv, domain.id, 1) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await expect(domain.pause.pause(30)).rejects.toThrow('vCPU 0 made no hypercall for 30 ms');
    domain.destroy();
    await ended;
    rmSync(dirname(image), { recursive: true });
  });

  it('has its paused time as RUNSTATE_offline', async () => {
    const guest = await ParaGuest.start(hypervisor);
    await guest.domain.pause.pause();
    const offline = () => guest.domain.runstates()[0].timeNs[3];
    const before = offline();
    await cpuMeanwhile(guest, 1);
    expect(guest.domain.runstates()[0].state).toBe(3);
    expect(offline() - before).toBeGreaterThan(90e6);
    guest.domain.pause.resume();
    guest.domain.destroy();
    await guest.ended();
  });
});
