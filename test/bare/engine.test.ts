import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bare, bareNovec } from '#engines/bare/engine.js';
import { type Machine, type MachineConfig, MachineFailure, WorkloadUnsupported } from '#engines/engine.js';
import { makeDisk, Peer } from '#harness/native-tools.js';
import { work } from '../support/work.js';

const probe = await bare.probe();
const DEADLINE = { deadlineMs: 20_000 };
const START = { durationMs: 30, seed: 3, ...DEADLINE };
const DISK_BYTES = 16 << 20;

describe.skipIf(!probe.ok)('engine bare', () => {
  const up: Machine[] = [];
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'virtax-bare-'));
  });
  afterEach(async () => {
    await Promise.all(up.splice(0).map((machine) => machine.stop()));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function boot(over: Partial<MachineConfig> = {}, engine = bare): Promise<Machine> {
    const config = { id: 0, vcpus: 1, memoryBytes: 64 << 20, waiting: { pollUs: 0 }, bootDeadlineMs: 50_000, ...over };
    const machine = await engine.boot(config);
    up.push(machine);
    return machine;
  }

  async function sample(machine: Machine, durationMs = 30, seed = 3) {
    machine.start({ durationMs, seed, ...DEADLINE });
    return machine.result();
  }

  /** Native guests that this process has started and that still run. */
  function guests(): number[] {
    const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1');
    const pids = children.split(' ').filter((word) => word !== '');
    return pids.map(Number).filter((pid) => readFileSync(`/proc/${pid}/comm`, 'latin1').startsWith('virtax-guest'));
  }

  it('stamps a sample by the host’s clock, within the time in which it was asked for', async () => {
    const machine = await boot();
    await machine.prepare('cpu/sieve', { seed: 1, ...DEADLINE });
    const before = process.hrtime.bigint();
    const result = await sample(machine);
    const after = process.hrtime.bigint();
    expect(result.startNs).toBeGreaterThan(before);
    expect(result.stopNs).toBeLessThan(after);
    expect(result.stopNs - result.startNs).toBeGreaterThanOrEqual(30_000_000n);
    expect(result.units).toBeGreaterThan(0);
    expect(result.errors).toBe(0);
    // The guest's clock is the host's; between two readings it may be preempted, but never for longer than all of it took.
    expect(result.guestNs).toBeGreaterThanOrEqual(30_000_000);
    expect(result.guestNs).toBeLessThan(Number(after - before));
  });

  it('gives the same answer with and without vectorization, and on the next sample; another for another seed', async () => {
    const machines = [await boot(), await boot({}, bareNovec)];
    const answers: string[] = [];
    for (const machine of machines) {
      await machine.prepare('cpu/quicksort', { seed: 1, ...DEADLINE });
      for (const seed of [3, 3, 4]) answers.push((await sample(machine, 10, seed)).checksum);
    }
    expect(answers.slice(0, 3)).toEqual(answers.slice(3));
    expect(answers[0]).toBe(answers[1]);
    expect(machines[0].facts.image).not.toBe(machines[1].facts.image);
  });

  it('runs a thread for each vCPU, and counts the CPU time of all of them', async () => {
    const machine = await boot({ vcpus: 2 });
    await machine.prepare('cpu/sieve', { seed: 1, ...DEADLINE });
    const [pid] = guests();
    expect(/^Threads:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]).toBe('2');
    const before = process.hrtime.bigint();
    const result = await sample(machine, 100);
    expect(result.cpuSeconds).toBeGreaterThan(0);
    expect(result.cpuSeconds).toBeLessThan((2.1 * Number(process.hrtime.bigint() - before)) / 1e9);
  });

  it('reads the disk that mkdisk made, and says how', async () => {
    const path = join(folder, 'disk.img');
    await makeDisk(path, DISK_BYTES);
    const machine = await boot({ disk: { path, bytes: DISK_BYTES, direct: true } });
    expect(machine.facts.block).toMatch(/^(io_uring|worker threads), (O_DIRECT|buffered)$/);
    await machine.prepare('block/randread-4k-qd32', { seed: 1, ...DEADLINE });
    const result = await work(machine, START);
    expect(result).toMatchObject({ errors: 0 });
    expect(result.ops).toBeGreaterThan(0);
  });

  it('talks to the peer, which is started once and again when it died', async () => {
    const peer = new Peer();
    try {
      const port = await peer.port();
      expect(await peer.port()).toBe(port);
      const machine = await boot({ peer: { port } });
      await machine.prepare('net/udp-rr', { seed: 1, ...DEADLINE });
      expect((await work(machine, START)).ops).toBeGreaterThan(0);
    } finally {
      await peer.stop();
    }
    expect(await peer.port()).toBeGreaterThan(0);
    await peer.stop();
  });

  it('skips what needs a disk that is not there, with the guest’s reason', async () => {
    const machine = await boot();
    const preparing = machine.prepare('block/read-1m', { seed: 1, ...DEADLINE });
    await expect(preparing).rejects.toThrow(WorkloadUnsupported);
    await expect(preparing).rejects.toThrow(/disk/);
  });

  it('fails with a reason when the process is killed in mid-sample, and leaves nothing behind', async () => {
    const machine = await boot();
    await machine.prepare('cpu/sieve', { seed: 1, ...DEADLINE });
    machine.start({ durationMs: 60_000, seed: 1, ...DEADLINE });
    process.kill(guests()[0], 'SIGKILL');
    const failure = await machine.result().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(MachineFailure);
    expect((failure as MachineFailure).message).toMatch(/bare VM 0 ended: signal SIGKILL/);
    expect((failure as MachineFailure).consoleTail.join()).toMatch(/ready cpu\/sieve/);
    await expect(machine.prepare('cpu/sieve', { seed: 1, ...DEADLINE })).rejects.toThrow(MachineFailure);
    await machine.stop();
    expect(guests()).toEqual([]);
  });

  it('says why a machine with a disk that is not there does not boot', async () => {
    const disk = { path: join(folder, 'none.img'), bytes: DISK_BYTES, direct: false };
    await expect(boot({ disk })).rejects.toThrow(/bare VM 0 ended: exit status \d+ \(.*none\.img/);
    expect(guests()).toEqual([]);
  });

  it('leaves no process after stop(), which may be called twice', async () => {
    const machine = await boot();
    expect(guests()).toHaveLength(1);
    await machine.stop();
    await machine.stop();
    expect(guests()).toEqual([]);
  });
});
