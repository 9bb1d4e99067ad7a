/**
 * The core OS as the main thread keeps it: domain 0, its threads, and what they are told of the domains that they serve. A thread that
 * is killed or fails is replaced: first nothing of the old one may be under way any more, then what it had begun and not answered
 * goes back into the I/O queue, then a new one begins.
 */
import { Worker } from 'node:worker_threads';
import { isMarked } from '../../backends/file-mark.js';
import type { KickArea } from '../../backends/kick.js';
import { libc } from '../../backends/libc.js';
import { DOMID_CORE_OS, PARA_MAX_VCPUS } from '../abi.js';
import { EventChannels } from '../event-channels.js';
import type { HostIoShared } from '../host-io.js';
import { CORE, DOM, type HypervisorMemory, VCPU } from '../hypervisor-memory.js';
import { IoQueue } from '../io-queue.js';
import type { ClientDomain } from './clients.js';
import { type CoreThreadConfig, type FromCoreThread, StopRequest, type ToCoreThread } from './core-config.js';
import { askCoreOs, coreThreadOf } from './rouse.js';

export interface CoreOsOptions {
  /** Threads of its own, 1 to 32. */
  threads?: number;
  /** false: vCPUs' threads never drive their own requests. */
  lending?: boolean;
}

/** How long a thread may take to come to where it can be stopped; it holds locks for microseconds alone. */
const STOP_MS = 1000;
const LOOK_MS = 1;
/** Between a thread that fails and the next. */
const FAILED_MS = 100;

export class CoreOs {
  private readonly events: EventChannels;
  private readonly threads: (Worker | undefined)[];
  private readonly clients = new Map<number, ClientDomain>();
  private readonly leaving = new Map<number, () => void>();
  /** Threads that are being replaced. */
  private readonly replacing = new Map<number, Promise<void>>();
  private closed = false;

  constructor(
    private readonly hv: HypervisorMemory,
    private readonly io: HostIoShared,
    private readonly kicker: KickArea,
    { threads = 1, lending = true }: CoreOsOptions,
    private readonly crashed: (domain: number, reason: string) => void,
  ) {
    this.events = new EventChannels(hv, kicker);
    this.threads = new Array(threads).fill(undefined);
    hv.i32[CORE.threads] = threads;
    hv.i32[CORE.lending] = lending ? 1 : 0;
    for (let thread = 0; thread < threads; thread++) hv.i32[this.word(thread) + VCPU.kickSlot] = thread;
  }

  private word(thread: number): number {
    return this.hv.vcpuWord(DOMID_CORE_OS, thread);
  }

  /** A new generation of drivers begins. */
  begin(): number {
    return Atomics.add(this.hv.i32, CORE.generation, 1) + 1;
  }

  /** A domain with a disk begins. Its thread is started with the first. */
  serve(client: ClientDomain): void {
    const thread = coreThreadOf(this.hv, client.domain);
    this.clients.set(client.domain, client);
    if (this.threads[thread] === undefined && !this.replacing.has(thread)) this.start(thread);
    else this.tell(thread, { type: 'serve', ...client });
  }

  /** A domain's vCPUs have ended: fulfilled when nothing of it is in flight here. */
  forget(domain: number): Promise<void> {
    const thread = coreThreadOf(this.hv, domain);
    const nobody = this.threads[thread] === undefined && !this.replacing.has(thread);
    if (!this.clients.delete(domain) || nobody) return Promise.resolve();
    return new Promise((resolve) => {
      this.leaving.set(domain, resolve);
      this.tell(thread, { type: 'forget', domain });
    });
  }

  private tell(thread: number, message: ToCoreThread): void {
    this.threads[thread]?.postMessage(message);
    Atomics.store(this.hv.i32, this.word(thread) + VCPU.attention, 1);
    this.kicker.kick(thread);
  }

  private start(thread: number): void {
    const workerData: CoreThreadConfig = { hypervisor: this.hv.buffer, io: this.io, thread };
    const worker = new Worker(new URL('./core-thread.js', import.meta.url), { workerData });
    worker.unref();
    this.threads[thread] = worker;
    for (const client of this.clientsOf(thread)) worker.postMessage({ type: 'serve', ...client });
    worker.on('message', (message: FromCoreThread) => this.hear(message));
    worker.on('error', (error) => process.stderr.write(`virtax: a thread of the core OS failed: ${error.stack}\n`));
    worker.on('exit', () => {
      // By itself: it failed, and may do so again.
      const failed = (): boolean => this.threads[thread] === worker;
      if (failed()) setTimeout(() => failed() && void this.replace(thread), FAILED_MS);
    });
  }

  private clientsOf(thread: number): ClientDomain[] {
    return [...this.clients.values()].filter(({ domain }) => coreThreadOf(this.hv, domain) === thread);
  }

  private hear(message: FromCoreThread): void {
    if (message.type === 'crash') this.crashed(message.domain, message.reason);
    else this.forgotten(message.domain);
  }

  private forgotten(domain: number): void {
    this.leaving.get(domain)?.();
    this.leaving.delete(domain);
  }

  /** Kills the block driver of its threads in the middle of what they do; fulfilled when others have taken over. */
  async restart(): Promise<void> {
    const running = this.threads.flatMap((worker, thread) => (worker === undefined ? [] : [thread]));
    await Promise.all(running.map((thread) => this.replace(thread)));
  }

  private replace(thread: number): Promise<void> {
    const replacing = this.replacing.get(thread) ?? this.replaceOnce(thread);
    this.replacing.set(thread, replacing);
    return replacing;
  }

  private async replaceOnce(thread: number): Promise<void> {
    const old = this.threads[thread];
    const clients = this.clientsOf(thread);
    this.threads[thread] = undefined;
    if (old !== undefined) await this.stop(thread, old);
    this.kicker.reclaim(thread);
    await this.drained(thread, clients);
    new IoQueue(this.hv, this.events).recover(thread);
    this.replacing.delete(thread);
    // What domains that ended meanwhile had here is over.
    for (const domain of this.leaving.keys()) if (coreThreadOf(this.hv, domain) === thread) this.forgotten(domain);
    if (this.closed) return;
    this.start(thread);
    for (const { domain } of this.clientsOf(thread)) this.askAbout(domain);
  }

  /** The old thread had taken note of who wants something, and is gone. */
  private askAbout(domain: number): void {
    for (let vcpu = 0; vcpu < this.hv.i32[this.hv.domainWord(domain) + DOM.vcpus]; vcpu++) {
      if (vcpu < PARA_MAX_VCPUS) askCoreOs(this.hv, this.events, domain, vcpu, true);
    }
  }

  /**
   * Until the thread is gone. It is terminated where it holds no lock; one that does not come there is stuck in its driver. One that
   * still loads is let finish that: terminated in the middle of koffi, it would end the process.
   */
  private async stop(thread: number, worker: Worker): Promise<void> {
    const { i32 } = this.hv;
    const word = this.word(thread);
    let gone = worker.threadId < 0;
    worker.once('exit', () => {
      gone = true;
    });
    while (Atomics.load(i32, word + VCPU.tid) === 0 && !gone) await pause();
    Atomics.store(i32, word + VCPU.stop, StopRequest.now);
    this.kicker.kick(thread);
    const end = performance.now() + STOP_MS;
    while (Atomics.load(i32, word + VCPU.stop) !== StopRequest.stopped && !gone && performance.now() < end)
      await pause();
    await worker.terminate();
    for (const field of [VCPU.stop, VCPU.tid, VCPU.state]) Atomics.store(i32, word + field, 0);
  }

  /** Until the kernel has ended all that the thread had under way on its clients' disks (file-mark.ts). */
  private async drained(thread: number, clients: readonly ClientDomain[]): Promise<void> {
    const c = libc();
    const paths = new Set(clients.flatMap(({ disk }) => (disk.kind === 'file' ? [disk.path] : [])));
    if (c === undefined) return; // all I/O is synchronous then, on threads that have ended with this one
    for (const path of paths) while (marked(path, () => isMarked(c, path, this.io.marks + thread))) await pause();
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.restart();
  }
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, LOOK_MS));

/** A file that is no longer there has nobody who could see what is written to it. */
function marked(_path: string, look: () => boolean): boolean {
  try {
    return look();
  } catch {
    return false;
  }
}
