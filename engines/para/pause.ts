/**
 * A domain that is paused: its vCPUs stop at their next hypercall or where they sleep, and run no guest code until it is resumed. As
 * in Xen the core OS goes on meanwhile: requests under way are finished, and the guest finds events and due timers when it runs again.
 * Its time is RUNSTATE_offline.
 */
import type { Kicker } from '../backends/io.js';
import { DOM, DomainState, type HypervisorMemory, VCPU, VcpuState } from './hypervisor-memory.js';
import type { Vcpu } from './vcpu.js';

const PARKED_NS = 1e9;
const DEADLINE_MS = 5000;
const LOOK_MS = 2;

/** The toolstack's side. */
export class DomainPause {
  private readonly word: number;

  constructor(
    private readonly hv: HypervisorMemory,
    private readonly domain: number,
    private readonly kicker: Kicker,
    /** vCPUs that have threads. */
    private readonly threads: () => Iterable<number>,
  ) {
    this.word = hv.domainWord(domain) + DOM.paused;
  }

  get paused(): boolean {
    return Atomics.load(this.hv.i32, this.word) !== 0;
  }

  /** Before its first thread runs: the domain begins paused. */
  begin(): void {
    Atomics.store(this.hv.i32, this.word, 1);
  }

  /**
   * Fulfilled when none of its vCPUs runs; rejected with a sentence when one has not stopped in time: it will, at its next hypercall.
   * A domain may be paused already.
   */
  async pause(deadlineMs = DEADLINE_MS): Promise<void> {
    this.begin();
    this.kickAll();
    const end = performance.now() + deadlineMs;
    for (;;) {
      const runs = this.running();
      if (runs === undefined || !this.paused) return;
      if (performance.now() > end) {
        throw new Error(`vCPU ${runs} made no hypercall for ${deadlineMs} ms: it is paused at its next`);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  resume(): void {
    Atomics.store(this.hv.i32, this.word, 0);
    this.kickAll();
  }

  private running(): number | undefined {
    for (const vcpu of this.threads()) {
      if (Atomics.load(this.hv.i32, this.hv.vcpuWord(this.domain, vcpu) + VCPU.parked) === 0) return vcpu;
    }
    return undefined;
  }

  /** Those that run too: their next sleep does not begin before they have looked. */
  private kickAll(): void {
    for (const vcpu of this.threads()) {
      this.kicker.kick(this.hv.i32[this.hv.vcpuWord(this.domain, vcpu) + VCPU.kickSlot]);
    }
  }
}

export const isPaused = (hv: HypervisorMemory, domainWord: number): boolean =>
  Atomics.load(hv.i32, domainWord + DOM.paused) !== 0;

/** On the vCPU's own thread, where its guest is in a hypercall: stays until the domain is resumed or ends. */
export function holdWhilePaused(vcpu: Vcpu): void {
  const { hv, word, domainWord } = vcpu;
  const { i32 } = hv;
  vcpu.goesDown();
  Atomics.store(i32, word + VCPU.state, VcpuState.blocked); // who wants its attention kicks it
  while (isPaused(hv, domainWord) && Atomics.load(i32, domainWord + DOM.state) === DomainState.running) {
    Atomics.store(i32, word + VCPU.parked, 1);
    vcpu.coreOs.service();
    vcpu.io.wait(Math.min(PARKED_NS, vcpu.coreOs.dueInNs())); // a kick that came before ends it
    Atomics.store(i32, word + VCPU.parked, 0); // before the look: who pauses it anew looks in the other order
  }
  Atomics.store(i32, word + VCPU.state, VcpuState.running);
  vcpu.accounts.up();
  vcpu.publishRunstate();
}
