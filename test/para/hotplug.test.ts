/** vCPUs and memory that come and go while our guest kernel runs work, asked for by the store. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DiskConfig } from '#engines/engine.js';
import { Hypervisor } from '#engines/para/hypervisor.js';
import { ParaGuest } from './para-guest.js';
import { writePristineDisk } from './pristine-disk.js';
import { guestFile, op } from './wasm-guest.js';

const MIB = 2 ** 20;
/** A host that is busy takes its time. */
const SOON = { deadlineMs: 50_000 };

let hypervisor: Hypervisor;
beforeAll(() => {
  hypervisor = new Hypervisor();
});
afterAll(() => hypervisor.close());

const folder = mkdtempSync(join(tmpdir(), 'virtax-hotplug-'));
afterAll(() => rmSync(folder, { recursive: true }));

function disk(): DiskConfig {
  const path = join(folder, 'disk');
  writePristineDisk(path, 4 * MIB);
  return { path, bytes: 4 * MIB, direct: false };
}

async function stop(guest: ParaGuest): Promise<void> {
  guest.domain.destroy();
  await guest.ended();
}

describe('vCPUs', () => {
  it('come while the guest runs work, and take part in the next', async () => {
    const guest = await ParaGuest.start(hypervisor, { maxVcpus: 4 });
    const alone = await guest.run('cpu/sieve', 1, 20);
    const adding = guest.domain.control.setVcpus(4, SOON);
    await guest.run('cpu/sieve', 1, 60);
    await adding;
    expect(guest.domain.control.vcpusUp).toBe(4);
    const all = await guest.runWhenThere('cpu/sieve', 4, 20);
    expect(all.errors).toBe('0');
    expect(all.checksum).not.toBe(alone.checksum); // of four seeds
    await stop(guest);
  });

  it('go while they run work: it ends at a unit, all of it counted, the rest goes on', async () => {
    const guest = await ParaGuest.start(hypervisor, { vcpus: 3 });
    const full = await guest.run('cpu/sieve', 3, 20);
    guest.send('start ms=1500 seed=7');
    await guest.sampleBegun();
    await guest.domain.control.setVcpus(1, SOON);
    const result = (await guest.line('result')).split(' ');
    expect(result).toContain('errors=0');
    expect(result).toContain(`checksum=${full.checksum}`); // the removed ones' first units are in it
    expect(guest.domain.control.vcpusUp).toBe(1);
    await expect(guest.run('cpu/sieve', 2, 20)).rejects.toThrow('this machine has 1 to 1');
    await stop(guest);
  });

  it('come and go in any order and haste, and work is never lost', async () => {
    const guest = await ParaGuest.start(hypervisor, { maxVcpus: 4 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ vcpus: fc.integer({ min: 1, max: 4 }), wait: fc.boolean() }), {
          minLength: 1,
          maxLength: 6,
        }),
        async (steps) => {
          const running = guest.run('cpu/sieve', 1, 10);
          const asked: Promise<void>[] = [];
          for (const { vcpus, wait } of steps) {
            const done = guest.domain.control.setVcpus(vcpus, SOON);
            asked.push(done.catch(() => {})); // one that is overtaken by the next is not fulfilled
            if (wait) await done;
          }
          const { vcpus } = steps[steps.length - 1];
          await guest.domain.control.setVcpus(vcpus, SOON);
          await running;
          await Promise.all(asked.slice(-1));
          expect(guest.domain.control.vcpusUp).toBe(vcpus);
          expect((await guest.runWhenThere('cpu/sieve', vcpus, 2)).errors).toBe('0');
        },
      ),
      { numRuns: 8 },
    );
    await stop(guest);
  });

  it('are 1 to 32, with their own queues of the disk, and a queue of a CPU that went serves it again', async () => {
    const guest = await ParaGuest.start(hypervisor, { maxVcpus: 32, memoryBytes: 128 * MIB, disk: disk() });
    const { control } = guest.domain;
    await control.setVcpus(32, SOON);
    expect((await guest.runWhenThere('block/randread-4k-qd1', 32, 20)).errors).toBe('0');
    await control.setVcpus(1, SOON);
    expect(control.vcpusUp).toBe(1);
    await control.setVcpus(3, SOON);
    expect((await guest.runWhenThere('block/randread-4k-qd1', 3, 20)).errors).toBe('0');
    await control.shutdown('poweroff', SOON); // flushes the disk first
    expect(await guest.ended()).toBe('powered itself off');
  });

  it('are no more than the toolstack says, whatever the guest asks for', async () => {
    // Brings vCPU 1 up, which is not available; its answer becomes the reason of the shutdown: -EPERM is none, so it goes on to 0.
    const context = Buffer.from(new Int32Array([16384, 0, 5]).buffer);
    const image = guestFile({
      data: { address: 1024, bytes: context },
      start: [
        ...op.hypercall(24, 0, 1, 1024),
        ...op.i32(24),
        ...op.i32(1),
        ...op.i32(1),
        ...op.i32(0),
        ...op.call(0), // VCPUOP_up
        ...op.i32(-1),
        0x47,
        0x04,
        0x40,
        ...op.unreachable,
        0x0b, // i32.ne, if: trap
        ...op.hypercall(29, 2, 0),
      ],
      vcpuStart: op.unreachable,
    });
    const reason = await new Promise<string>((ended, reject) => {
      const config = { name: 'x', vcpus: 1, maxVcpus: 2, memoryBytes: MIB, image, bootargs: '', pollUs: 0 };
      hypervisor.create(config, { output() {}, doorbell() {}, facts() {}, ended }).catch(reject);
    });
    expect(reason).toBe('powered itself off');
  });

  it('are refused with a sentence when there cannot be so many, or the guest does not listen', async () => {
    const guest = await ParaGuest.start(hypervisor, { maxVcpus: 2 });
    await expect(guest.domain.control.setVcpus(3, SOON)).rejects.toThrow('3 vCPUs: the domain can have 1 to 2');
    await expect(guest.domain.control.setVcpus(0, SOON)).rejects.toThrow('1 to 2');
    await stop(guest);
    await expect(guest.domain.control.setVcpus(2, SOON)).rejects.toThrow();
  });
});

describe('memory', () => {
  it('comes while the guest runs work and is there for the next, goes back to the host, and comes again', async () => {
    const guest = await ParaGuest.start(hypervisor, { memoryBytes: 8 * MIB, maxMemoryBytes: 256 * MIB });
    const { control } = guest.domain;
    await expect(guest.run('memory/chase', 1, 10)).rejects.toThrow('not enough memory');
    const [, work] = await Promise.all([control.setMemory(200 * MIB, SOON), guest.run('cpu/sieve', 1, 60)]);
    expect(work.errors).toBe('0');
    expect(control.memoryBytes).toBe(200 * MIB);
    expect((await guest.run('memory/chase', 1, 20)).errors).toBe('0');
    await control.setMemory(160 * MIB, SOON);
    expect(control.memoryBytes).toBe(160 * MIB);
    await control.setMemory(256 * MIB, SOON);
    expect((await guest.run('memory/copy', 1, 20)).errors).toBe('0');
    await stop(guest);
  });

  it('is refused with a sentence beyond its bounds, and what the guest cannot give it keeps', async () => {
    const guest = await ParaGuest.start(hypervisor, { memoryBytes: 64 * MIB });
    const { control } = guest.domain;
    await expect(control.setMemory(65 * MIB, SOON)).rejects.toThrow(/can have 8388608 to 67108864/);
    await guest.run('memory/copy', 1, 5);
    await expect(control.setMemory(8 * MIB, { deadlineMs: 100 })).rejects.toThrow(/within 100 ms: it has \d/);
    expect((await guest.run('memory/copy', 1, 5)).errors).toBe('0');
    await stop(guest);
  });
});

describe('control/shutdown', () => {
  it('ends the guest in order, also in the middle of a sample', async () => {
    const guest = await ParaGuest.start(hypervisor, { vcpus: 2 });
    guest.send('prepare cpu/sieve seed=1 cpus=2');
    await guest.line('ready');
    guest.send('start ms=60000 seed=1');
    await guest.sampleBegun();
    await guest.domain.control.shutdown('poweroff', SOON);
    expect(await guest.ended()).toBe('powered itself off');
    const second = await ParaGuest.start(hypervisor);
    await second.domain.control.shutdown('reboot', SOON);
    expect(await second.ended()).toBe('rebooted itself');
  });
});
