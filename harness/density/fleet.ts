/** Machines of `full` that boot together and work together: times, throughput and memory of all. */
import type { Machine } from '../../engines/engine.js';
import { full } from '../../engines/full/engine.js';
import { VmProcess } from '../../engines/full/vm/vm-process.js';
import { processCpuSeconds } from '../../engines/process/cpu-time.js';
import { memoryOf, type ProcessMemory } from './memory.js';
import { firstWorkloadMs, sampleTogether, unitsPerSecond } from './together.js';

const MEMORY_BYTES = 256 << 20;
const BOOT_DEADLINE_MS = 300_000;
/** Memory is read when a machine has done its compiling, and is at work. */
const SETTLED = 0.75;

export interface Started {
  /** From the call to the first doorbell of the last machine's first sample, milliseconds. */
  firstWorkloadMs: number;
  /** CPU time of a machine's process until it has booted, milliseconds; the median of all. */
  bootCpuMs: number;
}

export class Fleet {
  private machines: VmProcess[] = [];
  private bootCpuMs: number[] = [];

  constructor(
    readonly vms: number,
    readonly harts: number,
    /** One that needs no device. */
    readonly workload = 'cpu/sieve',
  ) {}

  async start(): Promise<Started> {
    const began = process.hrtime.bigint();
    this.machines = await Promise.all(Array.from({ length: this.vms }, (_, id) => this.boot(id)));
    const startedMs = await firstWorkloadMs(this.machines, this.workload, began);
    return { firstWorkloadMs: startedMs, bootCpuMs: medianOf(this.bootCpuMs) };
  }

  private async boot(id: number): Promise<VmProcess> {
    const waiting = { pollUs: 0 };
    const config = { id, vcpus: this.harts, memoryBytes: MEMORY_BYTES, waiting, bootDeadlineMs: BOOT_DEADLINE_MS };
    const machine: Machine = await full.boot(config);
    if (!(machine instanceof VmProcess)) throw new Error('a machine of full is a process of its own');
    this.bootCpuMs.push((processCpuSeconds(machine.pid) ?? 0) * 1000);
    return machine;
  }

  /** Units of all machines a second, from the first start to the last stop; and a CPU second of theirs. */
  async throughput(durationMs: number): Promise<{ perSecond: number; perCpuSecond: number }> {
    const samples = await sampleTogether(this.machines, durationMs);
    const perSecond = unitsPerSecond(samples);
    const units = sum(samples.map((sample) => sample.units));
    return { perSecond, perCpuSecond: units / sum(samples.map((sample) => sample.cpuSeconds)) };
  }

  /** Of the machine in the middle, while all of them work for `durationMs`. */
  async memory(durationMs: number): Promise<ProcessMemory> {
    const done = this.throughput(durationMs);
    await new Promise((resolve) => setTimeout(resolve, durationMs * SETTLED));
    const config = { id: 0, harts: this.harts, memoryBytes: MEMORY_BYTES, disks: [], append: '', pollUs: 0 };
    const all = this.machines.map((vm) => memoryOf(vm.pid, config));
    await done;
    all.sort((a, b) => a.pssBytes - a.ramBytes - (b.pssBytes - b.ramBytes));
    return all[all.length >> 1];
  }

  async stop(): Promise<void> {
    await Promise.all(this.machines.map((vm) => vm.stop()));
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
