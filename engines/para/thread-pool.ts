/**
 * Threads for vCPUs. Starting one takes 18 ms, and ending one leaks: koffi never gives back what it allocates for a thread (75 KiB,
 * three mappings). So threads are kept for the next vCPU, of whatever domain, and a few are there before they are wanted.
 *
 * A thread that served a vCPU keeps nothing of it: what belongs to the domain is made for each vCPU anew (vcpu-serve.ts) and collected
 * before the thread is idle; nice value, CPUs and control group are set back here, and a thread that the host does not let go back ends.
 */
import { Worker } from 'node:worker_threads';
import { resetScheduling } from '../process/scheduling.js';
import type { FromThread, FromVcpu, ToThread, VcpuThreadConfig } from './vcpu-config.js';

/** Idle threads beyond the warm ones stay so long by default. */
const IDLE_MS = 2000;
/** Replacements of warm threads start when the domain that took them has had time to start. */
const REFILL_MS = 100;

/** Loading alone would grow V8's young generation by 2 MiB, for garbage that a vCPU hardly makes. */
const LIMITS = { maxYoungGenerationSizeMb: 2 };

/** Whose vCPU a thread serves. */
export interface ThreadUser {
  hear(message: FromVcpu): void;
  failed(error: Error): void;
  /** The thread serves the vCPU no more: it is back in the pool, or gone. False: it must not be used again. */
  over(): boolean;
}

export class PooledThread {
  private readonly worker = new Worker(new URL('./vcpu-thread.js', import.meta.url), { resourceLimits: LIMITS });
  private user: ThreadUser | undefined;
  loaded = false;
  /** performance.now() when it was used last. */
  idleSince = 0;
  /** Kernel's id; 0 while it loads, or where the host does not tell. */
  private tid = 0;

  constructor(
    private readonly idle: (thread: PooledThread) => void,
    gone: (thread: PooledThread) => void,
  ) {
    this.worker.on('message', (message: FromThread) => this.hear(message));
    this.worker.on('error', (error: Error) => this.user?.failed(error));
    this.worker.on('exit', () => {
      gone(this);
      this.release();
    });
    this.worker.unref();
  }

  private hear(message: FromThread): void {
    if (message.type === 'loaded') {
      this.loaded = true;
      this.tid = message.tid;
    } else if (message.type !== 'served') this.user?.hear(message);
    else {
      const usable = resetScheduling(this.tid);
      if (this.release() && usable) this.idle(this);
      else this.end();
    }
  }

  private release(): boolean {
    const { user } = this;
    this.user = undefined;
    this.worker.unref();
    return user?.over() ?? true;
  }

  serve(config: VcpuThreadConfig, user: ThreadUser): void {
    this.user = user;
    this.worker.ref();
    this.post({ type: 'serve', config });
  }

  /** To the vCPU's code. */
  post(message: ToThread): void {
    this.worker.postMessage(message);
  }

  /** When it has served. One that is loading is never interrupted: in the middle of koffi's loading that aborts the process. */
  end(): void {
    this.post({ type: 'end' });
  }

  /** In the middle of what it does. Only when it is loaded. */
  terminate(): void {
    void this.worker.terminate();
  }
}

export class ThreadPool {
  /** The one that was used last is taken first. */
  private readonly idle: PooledThread[] = [];
  private readonly all = new Set<PooledThread>();
  private refill: NodeJS.Timeout | undefined;
  private trim: NodeJS.Timeout | undefined;
  private closed = false;

  /** `warm`: idle threads that are kept there; the others end when they were idle for `idleMs`. */
  constructor(
    private readonly warm: number,
    private readonly idleMs = IDLE_MS,
  ) {
    this.fill();
  }

  private fill(): void {
    for (let n = this.idle.length; n < this.warm && !this.closed; n++) this.idle.unshift(this.started());
  }

  private started(): PooledThread {
    const thread = new PooledThread(
      (idle) => this.back(idle),
      (gone) => this.forget(gone),
    );
    this.all.add(thread);
    return thread;
  }

  /** A thread serves a vCPU. The loaded ones are taken before those that are still loading, and these before new ones. */
  serve(config: VcpuThreadConfig, user: ThreadUser): PooledThread {
    const thread = this.take() ?? this.started();
    thread.serve(config, user);
    if (this.idle.length < this.warm) {
      this.refill ??= setTimeout(() => {
        this.refill = undefined;
        this.fill();
      }, REFILL_MS).unref();
    }
    return thread;
  }

  private take(): PooledThread | undefined {
    const at = this.idle.findLastIndex(({ loaded }) => loaded);
    return at < 0 ? this.idle.pop() : this.idle.splice(at, 1)[0];
  }

  private back(thread: PooledThread): void {
    if (this.closed) thread.end();
    else {
      thread.idleSince = performance.now();
      this.idle.push(thread);
    }
    this.trimLater(this.idleMs);
  }

  private trimLater(ms: number): void {
    if (this.closed || this.idle.length <= this.warm) return;
    this.trim ??= setTimeout(() => {
      this.trim = undefined;
      const before = performance.now() - this.idleMs;
      while (this.idle.length > this.warm && this.idle[0].idleSince <= before) this.idle.shift()?.end();
      if (this.idle.length > 0) this.trimLater(Math.max(1, this.idle[0].idleSince - before));
    }, ms).unref();
  }

  private forget(thread: PooledThread): void {
    this.all.delete(thread);
    const at = this.idle.indexOf(thread);
    if (at >= 0) this.idle.splice(at, 1);
  }

  /** Threads that are there, whatever they do. */
  get size(): number {
    return this.all.size;
  }

  /** Idle threads end now, the others when they have served. */
  close(): void {
    this.closed = true;
    clearTimeout(this.refill);
    clearTimeout(this.trim);
    for (const thread of this.idle.splice(0)) thread.end();
  }
}
