import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bare } from '#engines/bare/engine.js';
import type { Engine, Machine } from '#engines/engine.js';
import { qemu } from '#engines/qemu/engine.js';
import { makeDisk, Peer } from '#harness/native-tools.js';
import { alive } from '../support/alive.js';

const DEADLINE = { deadlineMs: 60_000 };
const DISK_BYTES = 16 << 20;
const WORKLOADS = [
  'cpu/lists',
  'memory/copy',
  'block/randread-4k-qd32',
  'block/write-1m',
  'net/udp-rr',
  'mixed/average',
];

/** Process ids of the children of a process. */
function children(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

const qemus = (pid: number) =>
  children(pid).filter((child) => readFileSync(`/proc/${child}/comm`, 'latin1').startsWith('qemu-system'));

describe('engine qemu with the real QEMU', () => {
  const peer = new Peer();
  const machines: Machine[] = [];
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'virtax-qemu-engine-'));
    for (const engine of [bare, qemu]) machines.push(await boot(engine));
  });
  afterAll(async () => {
    await Promise.all(machines.map((machine) => machine.stop()));
    await peer.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function boot(engine: Engine): Promise<Machine> {
    const path = join(folder, `${engine.name}.img`);
    await makeDisk(path, DISK_BYTES);
    return engine.boot({
      id: 0,
      vcpus: 2,
      memoryBytes: 256 << 20,
      disk: { path, bytes: DISK_BYTES, direct: true },
      peer: { port: await peer.port() },
      waiting: { pollUs: 0 },
      bootDeadlineMs: 60_000,
    });
  }

  it('can run here, and says what it is', async () => {
    expect(await qemu.probe()).toEqual({ ok: true });
    expect(machines[1].facts).toMatchObject({
      version: expect.stringMatching(/^QEMU \d+\.\d+/),
      block: expect.stringMatching(/^(io_uring|Linux AIO|worker threads), O_DIRECT$/),
    });
  });

  it.each(WORKLOADS)('%s: the answer of bare metal, stamped by the host’s clock', async (workload) => {
    const results = [];
    for (const machine of machines) {
      await machine.prepare(workload, { seed: 1, ...DEADLINE });
      machine.start({ durationMs: 40, seed: 5, ...DEADLINE });
      results.push(await machine.result());
    }
    const [native, guest] = results;
    expect(guest).toMatchObject({ checksum: native.checksum, errors: 0 });
    // The guest reads its clock between the doorbells: they enclose what it measured.
    expect(Number(guest.stopNs - guest.startNs)).toBeGreaterThanOrEqual(guest.guestNs);
    expect(guest.cpuSeconds).toBeGreaterThan(0);
    expect(machines[1].facts.doorbells).toBe('stamped by the kernel as the guest rings');
  });

  it('does not outlive a harness that is killed', async () => {
    const fixture = join(import.meta.dirname, '../qemu/fixtures/qemu-parent.mjs');
    const parent = spawn(process.execPath, [fixture], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(parent.stdout, 'data');
    const [pid] = qemus(parent.pid ?? 0);
    expect(alive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await expect.poll(() => alive(pid), { timeout: 20_000 }).toBe(false);
  });
});
