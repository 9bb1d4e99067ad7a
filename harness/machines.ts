/**
 * The VMs of one engine in one group of cells: booted once, kept between samples and workloads, held at a barrier so
 * that they start together, and replaced as a whole when one of them fails.
 */
import type { Engine, GuestSystem, Machine, MachineConfig, SampleResult } from '../engines/engine.js';
import { MachineFailure } from '../engines/engine.js';
import type { IoPolicy } from '../engines/io-policy.js';
import { guarded, within } from './guard.js';
import { deriveSeed } from './random.js';

/** How long things may take, milliseconds. The engine is told; the harness itself waits `graceMs` longer. */
export interface Deadlines {
  bootMs: number;
  prepareMs: number;
  /** Beyond the sample's own length: begin, the last unit, drain and verification. */
  sampleMs: number;
  graceMs: number;
}

export const DEFAULT_DEADLINES: Deadlines = { bootMs: 30_000, prepareMs: 30_000, sampleMs: 20_000, graceMs: 5_000 };

/** A whole operating system boots, and a unit is a program's run: what takes a minute on an interpreter is no hang. */
export const SYSTEM_DEADLINES: Deadlines = { bootMs: 300_000, prepareMs: 180_000, sampleMs: 180_000, graceMs: 5_000 };

/** Deadlines for machines that share `cores`: with more vCPUs than cores everything takes as many times longer. */
export function scaledDeadlines(deadlines: Deadlines, vcpus: number, cores: number): Deadlines {
  const factor = Math.max(1, vcpus / cores);
  const { bootMs, prepareMs, sampleMs, graceMs } = deadlines;
  return { bootMs: bootMs * factor, prepareMs: prepareMs * factor, sampleMs: sampleMs * factor, graceMs };
}

/** An engine that did not boot this often in a row is not asked again in its group: each try may take the whole deadline. */
const BOOT_TRIES = 2;

/** A machine that does not stop by then is left to the end of the process, which ends its children. */
export const STOP_MS = 10_000;

export interface MachineSetOptions {
  engine: Engine;
  /** One a VM; waiting policy, disk and peer included. */
  configs: readonly MachineConfig[];
  deadlines: Deadlines;
  signal: AbortSignal;
  /** VMs that boot at once. */
  bootParallel: number;
  nowNs(): bigint;
}

export class MachineSet {
  private machines: Machine[] | undefined;
  private failedBoots = 0;
  private bootFailure: unknown;
  /** Time that each boot so far took, milliseconds. */
  readonly bootMs: number[] = [];

  constructor(private readonly options: MachineSetOptions) {}

  /** What the first machine says of itself; empty when none is up. */
  get facts(): Readonly<Record<string, string>> {
    return this.machines?.[0]?.facts ?? {};
  }

  /** Boots the VMs unless they are up. @throws MachineFailure, after which none is left */
  async boot(): Promise<void> {
    if (this.machines !== undefined) return;
    if (this.failedBoots >= BOOT_TRIES) throw this.bootFailure;
    const { configs, bootParallel } = this.options;
    const booted: Machine[] = [];
    try {
      for (let at = 0; at < configs.length; at += bootParallel) {
        const batch = configs.slice(at, at + bootParallel).map((config) => this.bootOne(config, booted));
        await settleAll(batch);
      }
    } catch (error) {
      this.failedBoots++;
      this.bootFailure = error;
      await Promise.all(booted.map((machine) => within(machine.stop(), STOP_MS)));
      throw error;
    }
    this.machines = booted;
    this.failedBoots = 0;
  }

  private async bootOne(config: MachineConfig, booted: Machine[]): Promise<void> {
    const { engine, deadlines, signal, nowNs } = this.options;
    const began = nowNs();
    const booting = engine.boot(config);
    // A machine that comes up after it was given up must not stay.
    let givenUp = false;
    booting.then(
      (machine) => (givenUp ? void machine.stop() : undefined),
      () => {},
    );
    try {
      const machine = await guarded(
        booting,
        config.bootDeadlineMs + deadlines.graceMs,
        `boot of VM ${config.id}`,
        signal,
      );
      booted[config.id] = machine;
      this.bootMs.push(Number(nowNs() - began) / 1e6);
    } catch (error) {
      givenUp = true;
      throw error;
    }
  }

  /**
   * Boots machines beside those that are up, with the guest system's RAM disk for this, and stops them.
   * @returns the host's clock before the first boot and after the last
   * @throws MachineFailure
   */
  async bootAnew(): Promise<{ startNs: bigint; stopNs: bigint }> {
    const { engine, deadlines, signal, nowNs } = this.options;
    const configs = this.options.configs.map((config) => ({ ...config, ...startOnly(config.guest) }));
    const startNs = nowNs();
    const booting = configs.map((config) => engine.boot(config));
    const limit = configs[0].bootDeadlineMs + deadlines.graceMs;
    const booted = booting.map((each, vm) => guarded(each, limit, `boot of VM ${vm}`, signal));
    try {
      await settleAll(booted);
      return { startNs, stopNs: nowNs() };
    } finally {
      // Those too that come up after they were given up.
      const stopped = booting.map((each) => each.then((machine) => within(machine.stop(), STOP_MS)).catch(() => {}));
      await within(Promise.all(stopped), STOP_MS);
    }
  }

  /** For all VMs, from the next command on. */
  applyPolicy(policy: IoPolicy): void {
    this.options.engine.applyPolicy?.(policy);
  }

  /** Makes the workload ready on all VMs, or each its own. @throws WorkloadUnsupported, MachineFailure */
  async prepare(workloads: string | readonly string[], seed: number): Promise<void> {
    const workloadOf = (vm: number): string => (typeof workloads === 'string' ? workloads : workloads[vm]);
    const { deadlines, signal } = this.options;
    const deadlineMs = deadlines.prepareMs;
    await settleAll(
      this.up().map((machine, vm) =>
        guarded(
          machine.prepare(workloadOf(vm), { seed: vmSeed(seed, vm), deadlineMs }),
          deadlineMs + deadlines.graceMs,
          `prepare of ${workloadOf(vm)} on VM ${vm}`,
          signal,
        ),
      ),
    );
  }

  /** One sample on `count` VMs (all of them by default), started together. @throws MachineFailure */
  async sample(durationMs: number, seed: number, count?: number): Promise<SampleResult[]> {
    const { deadlines, signal } = this.options;
    const machines = this.up().slice(0, count);
    const deadlineMs = durationMs + deadlines.sampleMs;
    machines.forEach((machine, vm) => {
      machine.start({ durationMs, seed: vmSeed(seed, vm), deadlineMs });
    });
    const results = machines.map((machine, vm) =>
      guarded(machine.result(), deadlineMs + deadlines.graceMs, `a sample of ${durationMs} ms on VM ${vm}`, signal),
    );
    return settleAll(results);
  }

  /** Stops the VMs; the next boot() starts new ones. Never rejects. */
  async discard(): Promise<void> {
    const machines = this.machines ?? [];
    this.machines = undefined;
    await Promise.all(machines.map((machine) => within(machine.stop(), STOP_MS)));
  }

  private up(): Machine[] {
    if (this.machines === undefined) throw new MachineFailure('the machine is not up');
    return this.machines;
  }
}

/** A guest system that does nothing but start. */
function startOnly(guest: MachineConfig['guest']): { guest?: GuestSystem } {
  if (guest?.bootInitrd === undefined) return {};
  return { guest: { ...guest, initrd: guest.bootInitrd } };
}

/** Seeds that a guest gets fit in 31 bits and are never 0: generation 0 is the pristine disk. */
function vmSeed(seed: number, vm: number): number {
  return deriveSeed(seed, 'vm', vm) >>> 1 || 1;
}

/** Waits for all of them, then throws the first one's error if there is one: nothing is left running unseen. */
async function settleAll<T>(promises: Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  const failed = settled.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return settled.map((outcome) => (outcome as PromiseFulfilledResult<T>).value);
}
