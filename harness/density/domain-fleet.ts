/** Domains of `para` in one hypervisor, that start and work together. */
import { readFileSync } from 'node:fs';
import type { Machine } from '../../engines/engine.js';
import { para } from '../../engines/para/engine.js';
import { hypervisorPids } from '../../engines/para/management/folder.js';
import { firstWorkloadMs, sampleTogether, unitsPerSecond } from './together.js';

const BOOT_DEADLINE_MS = 300_000;
/** A size that no other mapping of the process has. */
export const DOMAIN_BYTES = 41 << 20;

/** Process of the engine's hypervisor: the child of this one among those that run. */
export function hypervisorPid(): number {
  const pid = hypervisorPids().find((each) => parentOf(each) === process.pid);
  if (pid === undefined) throw new Error('the hypervisor has no socket: its messages say why');
  return pid;
}

/** proc(5): pid (comm) state ppid. */
function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

export class DomainFleet {
  private machines: Machine[] = [];

  /** `workload`: one that needs no device. */
  constructor(
    readonly domains: number,
    readonly vcpus: number,
    readonly workload = 'cpu/sieve',
  ) {}

  /** Milliseconds from the call to the first doorbell of the last domain's first sample. */
  async start(): Promise<number> {
    const began = process.hrtime.bigint();
    this.machines = await Promise.all(Array.from({ length: this.domains }, (_, id) => this.boot(id)));
    return firstWorkloadMs(this.machines, this.workload, began);
  }

  private boot(id: number): Promise<Machine> {
    const { vcpus } = this;
    const waiting = { pollUs: 0 };
    return para.boot({ id, vcpus, memoryBytes: DOMAIN_BYTES, waiting, bootDeadlineMs: BOOT_DEADLINE_MS });
  }

  /** Units of all domains a second, from the first start to the last stop. */
  async throughput(durationMs: number): Promise<number> {
    return unitsPerSecond(await sampleTogether(this.machines, durationMs));
  }

  async stop(): Promise<void> {
    await Promise.all(this.machines.map((each) => each.stop()));
  }
}
