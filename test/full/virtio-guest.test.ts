/** Our guest's virtio drivers on our virtio devices: the same answers as bare metal, by the queues that it should go by. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bare } from '#engines/bare/engine.js';
import type { Machine, SampleResult } from '#engines/engine.js';
import { full } from '#engines/full/engine.js';
import { VmProcess } from '#engines/full/vm/vm-process.js';
import { makeDisk, Peer } from '#harness/native-tools.js';
import { riscvImage } from '#workloads/images.js';
import { work } from '../support/work.js';

const DEADLINE = { deadlineMs: 50_000 };
const DISK_BYTES = 16 << 20;
const MEMORY_BYTES = 128 << 20;
const WORK = ['read-1m', 'write-1m', 'randread-4k-qd1', 'randread-4k-qd32', 'randwrite-4k-qd32'].map(
  (n) => `block/${n}`,
);
WORK.push('net/udp-rr', 'net/udp-stream');
const [fullProbe, bareProbe] = [await full.probe(), await bare.probe()];

describe.skipIf(!fullProbe.ok || !bareProbe.ok).each([1, 2])('virtio in our guest, %i harts', (harts) => {
  const peer = new Peer();
  let folder: string;
  let ours: Machine;
  let native: Machine;

  async function disk(name: string) {
    const path = join(folder, name);
    await makeDisk(path, DISK_BYTES);
    return { path, bytes: DISK_BYTES, direct: false };
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'virtax-virtio-'));
    const port = await peer.port();
    const config = { id: 0, vcpus: harts, memoryBytes: MEMORY_BYTES, peer: { port }, waiting: { pollUs: 0 } };
    native = await bare.boot({ ...config, disk: await disk('bare'), bootDeadlineMs: 50_000 });
    ours = await VmProcess.boot({
      config: {
        id: 0,
        harts,
        memoryBytes: MEMORY_BYTES,
        kernel: riscvImage().path,
        append: '',
        disks: [{ ...(await disk('full')), interface: 'virtio', readonly: false, media: 'disk' }],
        nic: { mode: 'switch', model: 'virtio' },
        pollUs: 0,
      },
      bootDeadlineMs: 50_000,
      peerPort: port,
      facts: {},
    });
  });
  afterAll(async () => {
    await Promise.all([ours?.stop(), native?.stop(), peer.stop()]);
    await rm(folder, { recursive: true, force: true });
  });

  async function sample(machine: Machine, workload: string): Promise<SampleResult> {
    await machine.prepare(workload, { seed: 5, ...DEADLINE });
    return work(machine, { durationMs: 20, seed: 11, ...DEADLINE });
  }

  it.each(WORK)('%s: the answer of bare metal', async (workload) => {
    const result = await sample(ours, workload);
    const reference = await sample(native, workload);
    expect(result.checksum).toBe(reference.checksum);
    expect([result.errors, result.units > 0]).toEqual([0, true]);
  });

  it('goes by virtio, many requests to an interrupt, and breaks no rule', async () => {
    const { counters } = await sample(ours, 'block/randread-4k-qd32');
    expect(counters['virtio-blk0.requests']).toBeGreaterThan(0);
    expect(counters['virtio-blk0.interrupts']).toBeLessThan(counters['virtio-blk0.requests']);
    const all = await ours.counters();
    expect([all['virtio-blk0.resets_wanted'], all['virtio-net.resets_wanted']]).toEqual([0, 0]);
    expect(all['virtio-net.requests']).toBeGreaterThan(0);
  });
});
