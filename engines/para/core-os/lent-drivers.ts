/** The block drivers that the threads of a domain's vCPUs lend to the core OS, as the main thread sees them. */
import type { Kicker } from '../../backends/io.js';
import { CORE, DOM, DomainState, type HypervisorMemory, VCPU } from '../hypervisor-memory.js';
import { ATTENTION_RESTART } from '../io-queue.js';
import type { Store } from '../store.js';

const DEADLINE_MS = 5000;
const LOOK_MS = 1;

export class LentDrivers {
  constructor(
    private readonly hv: HypervisorMemory,
    private readonly domain: number,
    private readonly store: Store,
    private readonly kicker: Kicker,
    /** vCPUs that have threads. */
    private readonly threads: () => Iterable<number>,
  ) {}

  /** Tells the guest which generation of the driver it has. */
  tell(): void {
    this.store.set('device/vbd/0/backend-generation', String(Atomics.load(this.hv.i32, CORE.generation)));
  }

  /** As the guest was told; null: it has no disk. */
  get generation(): number | null {
    const told = this.store.get('device/vbd/0/backend-generation');
    return told === undefined ? null : Number(told);
  }

  /**
   * Each is killed with its requests in flight, and started anew: fulfilled when all are of this generation, or the domain has
   * ended. Rejected when a vCPU's thread does not come out of its guest: its driver is killed at its next hypercall.
   */
  async restart(generation: number, deadlineMs = DEADLINE_MS): Promise<void> {
    if (this.store.get('device/vbd/0/bytes') === undefined) return;
    for (const vcpu of this.threads()) {
      const word = this.hv.vcpuWord(this.domain, vcpu);
      Atomics.or(this.hv.i32, word + VCPU.attention, ATTENTION_RESTART);
      this.kicker.kick(this.hv.i32[word + VCPU.kickSlot]);
    }
    const end = performance.now() + deadlineMs;
    for (let late = this.older(generation); late !== undefined; late = this.older(generation)) {
      if (performance.now() > end) {
        throw new Error(
          `vCPU ${late} of domain ${this.domain} made no hypercall for ${deadlineMs} ms: its driver is restarted at its next`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    if (this.runs) this.tell();
  }

  private get runs(): boolean {
    return Atomics.load(this.hv.i32, this.hv.domainWord(this.domain) + DOM.state) === DomainState.running;
  }

  /** A vCPU whose driver is of an earlier generation; undefined: none. */
  private older(generation: number): number | undefined {
    if (!this.runs) return undefined;
    for (const vcpu of this.threads()) {
      const word = this.hv.vcpuWord(this.domain, vcpu);
      if (Atomics.load(this.hv.i32, word + VCPU.driverGeneration) < generation) return vcpu;
    }
    return undefined;
  }
}
