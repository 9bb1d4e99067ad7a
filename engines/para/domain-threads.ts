/** The threads of a domain's vCPUs, from the pool and back to it. */
import type { KickArea } from '../backends/kick.js';
import { threadSleeps } from '../process/scheduling.js';
import { vcpuCpuSeconds } from './cpu-clock.js';
import { type HypervisorMemory, VCPU } from './hypervisor-memory.js';
import type { PooledThread, ThreadPool } from './thread-pool.js';
import type { FromVcpu, ToThread, VcpuThreadConfig } from './vcpu-config.js';

/**
 * What the vCPUs of a domain that ends may take to leave the guest before their threads are terminated: processor time, since one that
 * comes out at its next hypercall has to get a processor first; and, while its thread sleeps, time: where no kick wakes it
 * (memory.atomic.wait), it never comes.
 */
const GRACE_CPU_SECONDS = 0.1;
const GRACE_MS = 1000;
const LOOK_MS = 50;

export interface DomainThreadsListener {
  hear(vcpu: number, message: FromVcpu): void;
  failed(vcpu: number, reason: string): void;
  /** The vCPU's thread, which had this kernel's id, serves the domain no more. False: it must not serve another. */
  over(tid: number): boolean;
}

export class DomainThreads {
  private readonly threads = new Map<number, PooledThread>();
  private grace: NodeJS.Timeout | undefined;

  constructor(
    private readonly hv: HypervisorMemory,
    private readonly domain: number,
    private readonly host: { pool: ThreadPool; kicker: KickArea; firstSlot: number },
    private readonly listener: DomainThreadsListener,
  ) {}

  /** vCPUs that have one. */
  get vcpus(): number[] {
    return [...this.threads.keys()];
  }

  has(vcpu: number): boolean {
    return this.threads.has(vcpu);
  }

  /** Of a vCPU that has none. It stays when the vCPU goes down, and waits for it to come up again. */
  start(vcpu: number, config: Omit<VcpuThreadConfig, 'slot' | 'domain' | 'vcpu'>): void {
    const { pool, firstSlot } = this.host;
    const { listener } = this;
    const all = { ...config, slot: firstSlot + vcpu, domain: this.domain, vcpu };
    const thread = pool.serve(all, {
      hear: (message) => {
        if (message.type === 'failed') listener.failed(vcpu, message.reason);
        else listener.hear(vcpu, message);
      },
      failed: (error) => listener.failed(vcpu, error.message),
      over: () => this.over(vcpu),
    });
    this.threads.set(vcpu, thread);
  }

  private over(vcpu: number): boolean {
    const { hv, domain } = this;
    const tid = this.tidOf(vcpu);
    const { kicker, firstSlot } = this.host;
    this.threads.delete(vcpu);
    Atomics.store(hv.i32, hv.vcpuWord(domain, vcpu) + VCPU.tid, 0); // the thread serves another one soon
    kicker.reclaim(firstSlot + vcpu); // of a thread that was terminated; one that has served left nothing
    if (this.threads.size === 0) clearInterval(this.grace);
    return this.listener.over(tid);
  }

  post(vcpu: number, message: ToThread): void {
    this.threads.get(vcpu)?.post(message);
  }

  /** Kernel's id of a vCPU's thread; 0: not yet known. */
  tidOf(vcpu: number): number {
    return Atomics.load(this.hv.i32, this.hv.vcpuWord(this.domain, vcpu) + VCPU.tid);
  }

  get tids(): number[] {
    return this.vcpus.map((vcpu) => this.tidOf(vcpu)).filter((tid) => tid !== 0);
  }

  /** The domain has begun to end: its threads come back to the pool, or are terminated when they do not. */
  endSoon(): void {
    if (this.grace !== undefined || this.threads.size === 0) return;
    const began = performance.now();
    const cpu = new Map(this.vcpus.map((vcpu) => [vcpu, vcpuCpuSeconds(this.hv, this.domain, vcpu)]));
    this.grace = setInterval(() => {
      const late = performance.now() - began > GRACE_MS;
      for (const vcpu of this.vcpus) {
        const spent = vcpuCpuSeconds(this.hv, this.domain, vcpu) - (cpu.get(vcpu) ?? 0);
        if (spent > GRACE_CPU_SECONDS || (late && threadSleeps(this.tidOf(vcpu)))) this.terminate(vcpu);
      }
    }, LOOK_MS);
  }

  /** One that is still loading sees by itself that the domain has ended; terminated in the middle of koffi, it ends the process. */
  private terminate(vcpu: number): void {
    if (this.tidOf(vcpu) !== 0) this.threads.get(vcpu)?.terminate();
  }
}
