/**
 * What the toolstack asks of a running guest by its part of the store, as Xen's does: cpu/N/availability, memory/target,
 * control/shutdown (para-abi.h, store_op). The guest does it; the hypervisor only lets it do no more than was asked.
 */
import { PARA_FRAME_BYTES } from './abi.js';
import { DOM, DomainState, type HypervisorMemory, VCPU, VcpuState } from './hypervisor-memory.js';
import type { Store } from './store.js';

const KIB_FRAMES = PARA_FRAME_BYTES / 1024;
const MIB = 2 ** 20;
const MIN_MEMORY = 8 * MIB;
/** How long a guest may take by default, and how often is looked. */
const DEADLINE_MS = 5000;
const LOOK_MS = 5;

export interface ControlOptions {
  /** How long the guest may take, in milliseconds. */
  deadlineMs?: number;
}

export class DomainControl {
  private readonly word: number;

  constructor(
    private readonly hv: HypervisorMemory,
    private readonly domain: number,
    private readonly store: Store,
    private readonly startThread: (vcpu: number) => void,
  ) {
    this.word = hv.domainWord(domain);
  }

  private get(field: number): number {
    return Atomics.load(this.hv.i32, this.word + field);
  }

  /** While the domain is built. */
  fillStore(vcpus: number): void {
    this.store.set('cpus', String(vcpus));
    this.store.set('max-cpus', String(this.get(DOM.vcpus)));
    for (let vcpu = 0; vcpu < this.get(DOM.vcpus); vcpu++) this.setAvailability(vcpu, vcpu < vcpus);
    this.store.set('memory/target', String(this.get(DOM.frames) * KIB_FRAMES));
    this.store.set('memory/static-max', String(this.get(DOM.maxFrames) * KIB_FRAMES));
  }

  private setAvailability(vcpu: number, online: boolean): void {
    this.store.set(`cpu/${vcpu}/availability`, online ? 'online' : 'offline');
  }

  /**
   * vCPUs 0 to `vcpus` - 1 are to run (1 to the domain's maximum). Fulfilled when they do and the others are down; rejected with a
   * sentence when the number is none, or the guest has not obeyed in time: it still may, and cannot bring more up.
   */
  async setVcpus(vcpus: number, options: ControlOptions = {}): Promise<void> {
    const most = this.get(DOM.vcpus);
    if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > most) {
      throw new RangeError(`${vcpus} vCPUs: the domain can have 1 to ${most}`);
    }
    for (let vcpu = 1; vcpu < vcpus; vcpu++) this.startThread(vcpu);
    Atomics.store(this.hv.i32, this.word + DOM.available, vcpus);
    for (let vcpu = 1; vcpu < most; vcpu++) {
      const online = vcpu < vcpus;
      if ((this.store.get(`cpu/${vcpu}/availability`) === 'online') !== online) this.setAvailability(vcpu, online);
    }
    await this.until(
      () => this.wrongVcpu(vcpus) < 0,
      options,
      () => `vCPU ${this.wrongVcpu(vcpus)} is not ${this.wrongVcpu(vcpus) < vcpus ? 'up' : 'down'}`,
    );
  }

  /** vCPUs that run guest code. */
  get vcpusUp(): number {
    const all = Array.from({ length: this.get(DOM.vcpus) }, (_, vcpu) => vcpu);
    return all.filter((vcpu) => this.isUp(vcpu)).length;
  }

  private isUp(vcpu: number): boolean {
    const state = Atomics.load(this.hv.i32, this.hv.vcpuWord(this.domain, vcpu) + VCPU.state);
    return state === VcpuState.running || state === VcpuState.blocked;
  }

  private wrongVcpu(vcpus: number): number {
    for (let vcpu = 0; vcpu < this.get(DOM.vcpus); vcpu++) if (this.isUp(vcpu) !== vcpu < vcpus) return vcpu;
    return -1;
  }

  /**
   * The domain is to have `bytes` of memory (8 MiB to its maximum; whole frames). Fulfilled when it has; rejected as setVcpus(): what
   * the guest's balloon has not given back by then it still may.
   */
  async setMemory(bytes: number, options: ControlOptions = {}): Promise<void> {
    const most = this.get(DOM.maxFrames);
    const frames = Math.floor(bytes / PARA_FRAME_BYTES);
    if (!(bytes >= MIN_MEMORY && frames <= most)) {
      throw new RangeError(`${bytes} bytes of memory: the domain can have ${MIN_MEMORY} to ${most * PARA_FRAME_BYTES}`);
    }
    Atomics.store(this.hv.i32, this.word + DOM.allowed, frames);
    this.store.set('memory/target', String(frames * KIB_FRAMES));
    await this.until(
      () => this.get(DOM.populated) === frames,
      options,
      () => `it has ${(this.get(DOM.populated) * PARA_FRAME_BYTES) / MIB} MiB`,
    );
  }

  get maxVcpus(): number {
    return this.get(DOM.vcpus);
  }

  get maxMemoryBytes(): number {
    return this.get(DOM.maxFrames) * PARA_FRAME_BYTES;
  }

  /** Populated memory, in bytes. */
  get memoryBytes(): number {
    return this.get(DOM.populated) * PARA_FRAME_BYTES;
  }

  /** Asks the guest to end in order. Fulfilled when it has begun to end; rejected when it has not in time: destroy it then. */
  async shutdown(how: 'poweroff' | 'reboot' = 'poweroff', options: ControlOptions = {}): Promise<void> {
    const isThere = this.presence();
    this.store.set('control/shutdown', how, { guestWrites: true });
    const taken = () =>
      this.store.get('control/shutdown') === '' ? 'it has taken notice' : 'it does not watch for it';
    await this.until(() => !isThere(), options, taken);
  }

  private async until(done: () => boolean, options: ControlOptions, how: () => string): Promise<void> {
    const { deadlineMs = DEADLINE_MS } = options;
    const end = performance.now() + deadlineMs;
    const isThere = this.presence();
    while (!done()) {
      if (performance.now() > end) throw new Error(`the guest did not do so within ${deadlineMs} ms: ${how()}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      if (!isThere() && !done()) throw new Error('the domain has ended');
    }
  }

  /** Whether the domain that is there now still runs, and no later one in its place. */
  private presence(): () => boolean {
    const generation = this.get(DOM.generation);
    return () => this.get(DOM.generation) === generation && this.get(DOM.state) === DomainState.running;
  }
}
