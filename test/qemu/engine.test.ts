import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Machine, type MachineConfig, MachineFailure } from '#engines/engine.js';
import { QemuEngine } from '#engines/qemu/engine.js';
import { registry } from '#engines/registry.js';
import { builtInProfiles } from '#harness/profiles.js';
import { alive } from '../support/alive.js';
import { FakeQemu } from './support.js';

const DEADLINE = { deadlineMs: 20_000 };
const DISK = { path: '/tmp/a,b.img', bytes: 1 << 20, direct: true };

describe('engine qemu', () => {
  const up: Machine[] = [];
  let fake: FakeQemu;
  beforeEach(() => {
    fake = new FakeQemu();
  });
  afterEach(async () => {
    await Promise.all(up.splice(0).map((machine) => machine.stop()));
    fake.remove();
  });

  async function boot(over: Partial<MachineConfig> = {}, engine = new QemuEngine()): Promise<Machine> {
    const config = { id: 0, vcpus: 1, memoryBytes: 64 << 20, waiting: { pollUs: 0 }, bootDeadlineMs: 20_000, ...over };
    const machine = await engine.boot(config);
    up.push(machine);
    return machine;
  }

  async function failure(work: Promise<unknown>): Promise<MachineFailure> {
    const error = await work.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(MachineFailure);
    return error as MachineFailure;
  }

  it('is in the registry, but in no profile of our own guest', async () => {
    expect(registry.map(({ name }) => name)).toEqual(expect.arrayContaining(['qemu', 'qemu-virtio']));
    const own = (await builtInProfiles()).filter(({ guest }) => guest === undefined);
    expect(own).toHaveLength(3);
    for (const profile of own) expect(profile.engines).not.toContain('qemu');
  });

  it('says which package brings it where it is missing', async () => {
    process.env.PATH = '/nowhere';
    expect(await new QemuEngine().probe()).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/qemu-system-riscv64 is not on the PATH.*qemu-system-misc/),
    });
    expect((await failure(boot())).message).toContain('is not on the PATH');
  });

  it('says what is wrong with a program of its name that is something else', async () => {
    const probe = (reason: string) =>
      expect(new QemuEngine().probe()).resolves.toMatchObject({ ok: false, reason: expect.stringContaining(reason) });
    fake.behave({ version: 'something else 1.0' });
    await probe('is no QEMU');
    const program = join(fake.folder, 'qemu-system-riscv64');
    writeFileSync(program, '#!/bin/sh\necho broken >&2; exit 1\n');
    await probe('--version fails');
    chmodSync(program, 0o644);
    await probe('not on the PATH');
  });

  it('runs, with a note, where nothing ends it with a parent that is killed', async () => {
    expect(await new QemuEngine().probe()).toEqual({ ok: true, notes: [expect.stringContaining('setpriv')] });
  });

  it('starts the machine that `full` is, with what was asked for and nothing else', async () => {
    await boot({ vcpus: 3, disk: DISK, peer: { port: 9 } });
    const text = fake.started().args.join(' ');
    expect(text).toContain('-M virt -accel tcg,thread=multi -smp 3 -m 67108864B -bios none -kernel ');
    expect(text).toContain(
      'file=/tmp/a,,b.img,file.locking=off,cache=none,aio=io_uring -device lsi53c895a,id=scsi0 -device scsi-hd,',
    );
    expect(text).toContain('-netdev user,id=net0 -device rtl8139,romfile=,netdev=net0');
    expect(text).toContain('-nodefaults');
    await boot({}, new QemuEngine('virtio'));
    expect(fake.started().args.join(' ')).not.toMatch(/-drive|-netdev|lsi|virtio/);
  });

  it('has virtio devices as a configuration', async () => {
    await boot({ disk: { ...DISK, direct: false }, peer: { port: 9 } }, new QemuEngine('virtio'));
    const text = fake.started().args.join(' ');
    expect(text).toContain('cache=writeback,aio=io_uring -device virtio-blk-pci,disable-legacy=on,drive=disk0');
    expect(text).toContain('-device virtio-net-pci,disable-legacy=on,romfile=,netdev=net0');
  });

  it('takes the next kind of file I/O where one is refused, and says which it is', async () => {
    fake.behave({ refuse: ['io_uring', 'native'] });
    const engine = new QemuEngine();
    const machine = await boot({ disk: DISK }, engine);
    expect(machine.facts).toMatchObject({ block: 'worker threads, O_DIRECT', version: 'QEMU 7.2.22' });
    fake.behave({ refuse: ['io_uring', 'native', 'threads'] });
    expect((await failure(boot({ disk: DISK }, engine))).message).toMatch(/ended: exit status 1 .*aio=threads/);
  });

  it('stamps a sample by the host’s clock, as the guest rang, and hands its counters on', async () => {
    fake.behave({ sampleMs: 30 });
    const machine = await boot();
    await machine.prepare('cpu/sieve', { seed: 1, ...DEADLINE });
    const before = process.hrtime.bigint();
    machine.start({ durationMs: 30, seed: 1, ...DEADLINE });
    const result = await machine.result();
    const after = process.hrtime.bigint();
    expect(result).toMatchObject({ units: 2, ops: 8, checksum: '0123456789abcdef', counters: { exits: 5 } });
    expect(result.startNs).toBeGreaterThan(before);
    expect(result.stopNs).toBeLessThan(after);
    expect(result.stopNs - result.startNs).toBeGreaterThanOrEqual(29_000_000n);
    expect(result.cpuSeconds).toBeGreaterThan(0);
    expect(machine.facts.doorbells).toBe('stamped by the kernel as the guest rings');
    expect(await machine.counters()).toEqual({ exits: 5 });
  });

  it('fails with QEMU’s end in mid-sample, and rejects all that comes later', async () => {
    fake.behave({ exitAt: 'start' });
    const machine = await boot();
    await machine.prepare('cpu/sieve', { seed: 1, ...DEADLINE });
    machine.start({ durationMs: 30, seed: 1, ...DEADLINE });
    expect((await failure(machine.result())).message).toContain('qemu VM 0 ended: exit status 3');
    await failure(machine.prepare('cpu/sieve', { seed: 1, ...DEADLINE }));
  });

  it('refuses a machine that counts other CPUs than it was given, and leaves no process', async () => {
    fake.behave({ cpus: 2 });
    expect((await failure(boot())).message).toContain('counts 2 CPUs, but has 1');
    expect(alive(fake.started().pid)).toBe(false);
  });

  it('leaves no process after stop(), which may be called twice', async () => {
    const machine = await boot();
    const { pid } = fake.started();
    expect(alive(pid)).toBe(true);
    await Promise.all([machine.stop(), machine.stop()]);
    expect(alive(pid)).toBe(false);
  });
});
