/** The engine with its hypervisor's process and the committed guest image, as the harness uses it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Machine, MachineConfig } from '#engines/engine.js';
import { para } from '#engines/para/engine.js';
import { work } from '../support/work.js';
import { writePristineDisk } from './pristine-disk.js';

const DISK_BYTES = 4 << 20;
let folder: string;

function makeDisk(name: string): string {
  const path = join(folder, name);
  writePristineDisk(path, DISK_BYTES);
  return path;
}

const config = (more: Partial<MachineConfig> = {}): MachineConfig => ({
  id: 0,
  vcpus: 1,
  memoryBytes: 64 << 20,
  waiting: { pollUs: 0 },
  bootDeadlineMs: 30_000,
  ...more,
});

/** The engine's child process, by its command line (proc(5)). */
function hypervisorPid(): number {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ');
  const isIt = (pid: string) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('hypervisor-main');
  return Number(children.find(isIt));
}

async function sample(machine: Machine, workload: string, seed = 1) {
  await machine.prepare(workload, { seed: 1, deadlineMs: 30_000 });
  return work(machine, { durationMs: 20, seed, deadlineMs: 30_000 });
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'virtax-para-'));
});

afterAll(async () => {
  await para.close();
  rmSync(folder, { recursive: true });
});

describe('the engine para', () => {
  it('can run here', async () => {
    expect(await para.probe()).toMatchObject({ ok: true });
  });

  it('runs a workload on one and on three vCPUs', async () => {
    const one = await para.boot(config());
    const three = await para.boot(config({ id: 1, vcpus: 3 }));
    const alone = await sample(one, 'cpu/sieve');
    const together = await sample(three, 'cpu/sieve');
    for (const result of [alone, together]) {
      expect(result).toMatchObject({ errors: 0 });
      expect(result.units).toBeGreaterThan(0);
      expect(result.stopNs > result.startNs).toBe(true);
      expect(result.cpuSeconds).toBeGreaterThan(0);
    }
    const again = await sample(one, 'cpu/sieve');
    expect(again.checksum).toBe(alone.checksum);
    await Promise.all([one.stop(), three.stop()]);
  });

  it('reads and writes its disk, and finds there what it wrote', async () => {
    const disk = { path: makeDisk('a'), bytes: DISK_BYTES, direct: true };
    const machine = await para.boot(config({ vcpus: 2, disk }));
    expect(machine.facts.block).toMatch(/io_uring|worker threads/);
    for (const workload of ['block/randread-4k-qd1', 'block/randread-4k-qd32', 'block/randwrite-4k-qd32']) {
      const result = await sample(machine, workload);
      expect(result, workload).toMatchObject({ errors: 0 });
      expect(result.counters.block_requests, workload).toBeGreaterThanOrEqual(result.units);
    }
    expect(await machine.counters()).toMatchObject({ block_errors: 0 });
    await machine.stop();
  });

  it('finds wrong data on a disk', async () => {
    const path = join(folder, 'wrong');
    writeFileSync(path, new Uint8Array(DISK_BYTES));
    const machine = await para.boot(config({ disk: { path, bytes: DISK_BYTES, direct: false } }));
    expect((await sample(machine, 'block/randread-4k-qd1')).errors).toBeGreaterThan(0);
    await machine.stop();
  });

  it('skips what it cannot run, with the reason', async () => {
    const machine = await para.boot(config());
    await expect(sample(machine, 'os/map')).rejects.toMatchObject({ name: 'WorkloadUnsupported', message: /MMU/ });
    await expect(sample(machine, 'block/read-1m')).rejects.toMatchObject({
      name: 'WorkloadUnsupported',
      message: /disk/,
    });
    const trap = await sample(machine, 'os/trap');
    expect(trap.errors).toBe(0);
    // Each operation is one hypercall; a unit of thousands of them adds a clock reading and a poll.
    const names = Object.keys(trap.counters).filter((name) => /^hypercall_(?!errors$)/.test(name));
    const crossings = names.reduce((sum, name) => sum + (trap.counters[name] as number), 0);
    expect(crossings / trap.ops).toBeGreaterThanOrEqual(1);
    expect(crossings / trap.ops).toBeLessThan(1.05);
    await machine.stop();
  });

  it('says what is wrong with a disk that is not there', async () => {
    const disk = { path: join(folder, 'none'), bytes: DISK_BYTES, direct: true };
    await expect(para.boot(config({ disk }))).rejects.toMatchObject({ name: 'MachineFailure', message: /none/ });
  });

  it('refuses more memory than its guests can have', async () => {
    await expect(para.boot(config({ memoryBytes: 2 ** 31 }))).rejects.toThrow(
      '2048 MiB of memory asked for; give it 8 to 1024',
    );
  });

  it('fails a machine that was stopped, and stops twice', async () => {
    const machine = await para.boot(config());
    const counting = machine.counters();
    expect(await counting).toMatchObject({ hypercall_unknown: 0 });
    await machine.stop();
    await machine.stop();
    await expect(machine.prepare('cpu/sieve', { seed: 1, deadlineMs: 1000 })).rejects.toMatchObject({
      name: 'MachineFailure',
    });
    await expect(machine.counters()).rejects.toMatchObject({ name: 'MachineFailure' });
  });

  it('loses its machines with the hypervisor, says so, and goes on with a new one', async () => {
    const machine = await para.boot(config());
    await machine.prepare('cpu/sieve', { seed: 1, deadlineMs: 30_000 });
    machine.start({ durationMs: 20_000, seed: 1, deadlineMs: 30_000 });
    process.kill(hypervisorPid(), 'SIGKILL');
    const lost = { name: 'MachineFailure', message: /lost its hypervisor \(signal SIGKILL\)/ };
    await expect(machine.result()).rejects.toMatchObject(lost);
    const next = await para.boot(config());
    expect((await sample(next, 'cpu/nbody')).errors).toBe(0);
    await Promise.all([machine.stop(), next.stop()]);
  });

  it('starts a new hypervisor after the old one was ended', async () => {
    await para.close();
    const machine = await para.boot(config());
    expect((await sample(machine, 'cpu/nbody')).errors).toBe(0);
    await machine.stop();
  });
});
