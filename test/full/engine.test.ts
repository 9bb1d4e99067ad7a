import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bare } from '#engines/bare/engine.js';
import {
  type Machine,
  type MachineConfig,
  MachineFailure,
  type SampleResult,
  WorkloadUnsupported,
} from '#engines/engine.js';
import { full } from '#engines/full/engine.js';
import { makeDisk, Peer } from '#harness/native-tools.js';
import { workloads } from '#workloads/index.js';
import { work } from '../support/work.js';

const DEADLINE = { deadlineMs: 50_000 };
const DISK_BYTES = 16 << 20;
const [fullProbe, bareProbe] = [await full.probe(), await bare.probe()];

describe.skipIf(!fullProbe.ok || !bareProbe.ok)('engine full with the guest OS', () => {
  const peer = new Peer();
  let folder: string;
  let base: Omit<MachineConfig, 'vcpus'>;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'virtax-full-'));
    const port = await peer.port();
    base = { id: 0, memoryBytes: 128 << 20, peer: { port }, waiting: { pollUs: 0 }, bootDeadlineMs: 50_000 };
  });
  afterAll(async () => {
    await peer.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function disk(name: string) {
    const path = join(folder, name);
    await makeDisk(path, DISK_BYTES);
    return { path, bytes: DISK_BYTES, direct: false };
  }

  async function sample(machine: Machine, workload: string, durationMs = 20): Promise<SampleResult> {
    await machine.prepare(workload, { seed: 5, ...DEADLINE });
    return work(machine, { durationMs, seed: 11, ...DEADLINE });
  }

  describe.each([1, 2])('%i vCPUs', (vcpus) => {
    const machines: { full?: Machine; bare?: Machine } = {};
    beforeAll(async () => {
      machines.full = await full.boot({ ...base, vcpus, disk: await disk(`full${vcpus}`) });
      machines.bare = await bare.boot({ ...base, vcpus, disk: await disk(`bare${vcpus}`) });
    });
    afterAll(() => Promise.all(Object.values(machines).map((machine) => machine.stop())));

    // Policies are about several machines.
    const runnable = workloads.filter(({ minVcpus, policy }) => minVcpus <= vcpus && policy === undefined);
    it.each(runnable.map(({ name }) => name))('%s: the answer of bare metal', async (name) => {
      const [ours, native] = [machines.full as Machine, machines.bare as Machine];
      const result = await sample(ours, name);
      const reference = await sample(native, name);
      expect(result.checksum).toBe(reference.checksum);
      expect(result.errors).toBe(0);
      expect(result.units).toBeGreaterThan(0);
      expect(result.stopNs).toBeGreaterThan(result.startNs);
      expect(result.cpuSeconds).toBeGreaterThan(0);
    });

    it('an empty pair of doorbells runs no unit', async () => {
      const machine = machines.full as Machine;
      await machine.prepare('cpu/sieve', { seed: 5, ...DEADLINE });
      machine.start({ durationMs: 0, seed: 11, ...DEADLINE });
      const result = await machine.result();
      expect(result.units).toBe(0);
      expect(result.stopNs).toBeGreaterThan(result.startNs);
    });

    it('counts exits by reason and device, interrupts by source, and divides the time', async () => {
      const before = (await machines.full?.counters()) ?? {};
      // Long against the times for which a busy host takes the processor away between a stamp and its counters.
      const result = await sample(machines.full as Machine, 'block/randread-4k-qd1', 200);
      const { counters } = result;
      const causes = Object.entries(counters).filter(([name]) => name.startsWith('interrupts.'));
      expect(causes.reduce((sum, [, count]) => sum + count, 0)).toBe(counters.interrupts);
      expect(counters['interrupts.supervisor_external']).toBeGreaterThan(0);
      expect(['a', 'b', 'c', 'd'].reduce((sum, pin) => sum + (counters[`plic.pci_int${pin}`] ?? 0), 0)).toBe(
        counters['plic.claims'],
      );
      const windows = Object.entries(counters).filter(([name]) => /^mmio\..*\.writes$/.test(name));
      // Other harts may be between the two counts.
      const atWindows = windows.reduce((sum, [, count]) => sum + count, 0);
      expect(Math.abs((counters['exits.mmio_write'] as number) - atWindows)).toBeLessThan(4);
      expect(counters['exits.wfi']).toBeGreaterThan(0);
      const parts = ['translated', 'interpreter', 'devices', 'idle'].map(
        (part) => counters[`time.${part}_ns`] as number,
      );
      expect(Math.min(...parts)).toBeGreaterThanOrEqual(0);
      if (vcpus === 1) {
        const all = parts.reduce((sum, ns) => sum + ns, 0);
        expect(all / Number(result.stopNs - result.startNs)).toBeGreaterThan(0.8);
        expect(all / Number(result.stopNs - result.startNs)).toBeLessThan(1.2);
      }
      expect(before.instructions).toBeGreaterThan(0);
      expect(counters['lsi.commands']).toBeGreaterThan(0);
      expect(counters['mmio.pci-mmio.writes']).toBeGreaterThan(0);
      expect(counters['plic.claims']).toBeGreaterThan(0);
      expect(counters['io.completed']).toBeGreaterThan(0);
    });
  });

  it('says in its facts what it runs on', async () => {
    const machine = await full.boot({ ...base, vcpus: 1, disk: await disk('facts') });
    expect(machine.facts.image).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(machine.facts.cpu).toMatch(/^(interpreter$|translator)/);
    expect(machine.facts.block).toMatch(/^(io_uring|worker threads), buffered$/);
    await machine.stop();
  });

  it('a workload that wants more CPUs is unsupported, and the machine goes on', async () => {
    const machine = await full.boot({ ...base, vcpus: 1 });
    await expect(machine.prepare('os/ipi', { seed: 1, ...DEADLINE })).rejects.toThrow(WorkloadUnsupported);
    expect((await sample(machine, 'cpu/sieve')).errors).toBe(0);
    await machine.stop();
  });

  it('a workload that the guest does not know is a failure with the guest’s words', async () => {
    const machine = await full.boot({ ...base, vcpus: 1 });
    const prepared = machine.prepare('cpu/none', { seed: 1, ...DEADLINE });
    await expect(prepared).rejects.toThrow(/cpu\/none/);
    await machine.stop();
  });

  it('a disk file that is not there fails the boot with its path', async () => {
    const missing = { path: join(folder, 'missing'), bytes: DISK_BYTES, direct: false };
    const boot = full.boot({ ...base, vcpus: 1, disk: missing });
    await expect(boot).rejects.toThrow(MachineFailure);
    await expect(boot).rejects.toThrow(/missing/);
  });

  it('a disk file that is too small fails the boot with both sizes', async () => {
    const small = { ...(await disk('small')), bytes: DISK_BYTES * 2 };
    await expect(full.boot({ ...base, vcpus: 1, disk: small })).rejects.toThrow(/16777216 bytes; 33554432/);
  });
});
