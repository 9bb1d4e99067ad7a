/**
 * IoContext where io_uring is refused: disk requests go to a few worker threads that read and write synchronously;
 * datagrams are received by polling. Slower (two wake-ups a request), but needs nothing of the host: without koffi even
 * the network alone is missing.
 */
import { Worker } from 'node:worker_threads';
import { BlockFile, zeroMode } from './block-file.js';
import { nowNs } from './clock.js';
import { HandleTable } from './handles.js';
import type {
  BlockInfo,
  BlockOptions,
  Completion,
  HandleId,
  IoContext,
  MemoryId,
  Pieces,
  WaitingPolicy,
} from './io.js';
import type { IoWorkerData } from './io-worker.js';
import { JOB, JobQueue } from './job-queue.js';
import type { KickSlot } from './kick.js';
import { type Libc, libcProblem } from './libc.js';
import { onePieceAtATime } from './pieces.js';
import { PolledSockets } from './polled-sockets.js';
import { RequestTable } from './requests.js';
import { SharedMemories } from './shared-memories.js';
import { connectUdp, MSG_DONTWAIT, MSG_NOSIGNAL } from './udp.js';
import { Waiter } from './waiting.js';

/** Threads of one context; started when requests queue up, 9 MiB and 18 ms each. */
const WORKERS_MAX = 8;
const POLL_BATCH = 256;
const EAGAIN = 11;
const PAGE = 4096;

export class WorkersContext implements IoContext {
  readonly method = 'worker threads';
  polls = 0;
  readonly counters = { submitted: 0, completed: 0, syscalls: 0, waits: 0, kicksReceived: 0, sleptNs: 0, bounced: 0 };
  readonly #buffer = JobQueue.create();
  readonly #queue = new JobQueue(this.#buffer);
  readonly #requests = new RequestTable();
  readonly #memories: SharedMemories;
  readonly #registered: (WebAssembly.Memory | undefined)[] = [];
  readonly #handles = new HandleTable();
  readonly #workers: Worker[] = [];
  readonly #waiter: Waiter;
  #sockets: PolledSockets | undefined;
  #deferred: (() => void)[] = [];
  #disposed = false;

  constructor(
    private readonly c: Libc | undefined,
    private readonly area: SharedArrayBuffer,
    readonly slot: number,
    private readonly kicks: KickSlot,
    waiting: WaitingPolicy,
  ) {
    this.#memories = new SharedMemories((view) => c?.address(view) ?? 0);
    const sleeper = {
      submit: () => this.submit(),
      poll: () => this.poll(),
      mayHaveCompletions: () => this.#queue.hasDone || this.#sockets?.listening === true || this.#deferred.length > 0,
      sleepsOn: () => (this.#sockets?.listening === true ? ('eventfd' as const) : ('atomics' as const)),
      sleep: (timeoutNs: number) => this.#sleep(timeoutNs),
    };
    this.#waiter = new Waiter(sleeper, kicks, this.counters, waiting);
  }

  addMemory(memory: WebAssembly.Memory): MemoryId {
    const id = this.#memories.add(memory);
    if (id === this.#registered.length) {
      this.#registered.push(memory);
      for (const worker of this.#workers) worker.postMessage(memory);
    }
    return id;
  }

  removeMemory(memory: MemoryId): void {
    this.#memories.remove(memory);
    this.#registered[memory] = undefined;
    for (const worker of this.#workers) worker.postMessage({ forget: memory });
  }

  openBlock(path: string, options: BlockOptions): HandleId {
    const file = new BlockFile(this.c, path, options);
    this.kicks.remember(file.fd);
    return this.#handles.add(file);
  }

  blockInfo(handle: HandleId): BlockInfo {
    return this.#handles.file(handle).info;
  }

  read(handle: HandleId, memory: MemoryId, address: number, bytes: number, offset: number, done: Completion): void {
    this.#transfer(JOB.READ, handle, memory, address, bytes, offset, done);
  }

  write(handle: HandleId, memory: MemoryId, address: number, bytes: number, offset: number, done: Completion): void {
    this.#transfer(JOB.WRITE, handle, memory, address, bytes, offset, done);
  }

  readv(handle: HandleId, memory: MemoryId, pieces: Pieces, offset: number, done: Completion): void {
    onePieceAtATime(pieces, offset, done, (address, bytes, at, ended) =>
      this.read(handle, memory, address, bytes, at, ended),
    );
  }

  writev(handle: HandleId, memory: MemoryId, pieces: Pieces, offset: number, done: Completion): void {
    onePieceAtATime(pieces, offset, done, (address, bytes, at, ended) =>
      this.write(handle, memory, address, bytes, at, ended),
    );
  }

  flush(handle: HandleId, done: Completion): void {
    this.#push({ op: JOB.FLUSH, fd: this.#handles.file(handle).fd, memory: 0, address: 0, bytes: 0, offset: 0 }, done);
  }

  zero(handle: HandleId, offset: number, bytes: number, unmap: boolean, done: Completion): void {
    const file = this.#handles.file(handle);
    file.check(offset, bytes);
    this.#push({ op: JOB.ZERO, fd: file.fd, memory: 0, address: zeroMode(unmap), bytes, offset }, done);
  }

  #transfer(
    op: number,
    handle: HandleId,
    memory: MemoryId,
    address: number,
    bytes: number,
    offset: number,
    done: Completion,
  ): void {
    const file = this.#handles.file(handle);
    this.#memories.locate(memory, address, bytes);
    file.check(offset, bytes);
    // A WebAssembly memory starts at a page, so an offset into it is aligned as the address is. What O_DIRECT will not
    // take goes through the page cache here, the kernel's own bounce buffer.
    const aligned = file.takes(bytes, offset) && address % Math.min(file.memoryAlignment, PAGE) === 0;
    if (!aligned) this.counters.bounced++;
    this.#push({ op, fd: aligned ? file.fd : file.bufferedFd, memory, address, bytes, offset }, done);
  }

  #push(job: Parameters<JobQueue['push']>[1], done: Completion): void {
    this.counters.submitted++;
    const index = this.#requests.take();
    if (index < 0) {
      this.defer(() => {
        this.counters.completed++;
        done(-EAGAIN);
      });
      return;
    }
    this.#requests.done[index] = done;
    this.#queue.push(index, job);
  }

  openUdp(port: number, address?: number): HandleId {
    if (this.c === undefined) throw new Error(`the network is not available: ${libcProblem()}`);
    return this.adopt(connectUdp(this.c, port, address));
  }

  adopt(fd: number): HandleId {
    this.kicks.remember(fd);
    return this.#handles.add({ fd });
  }

  descriptor(handle: HandleId): number {
    return this.#handles.any(handle).fd;
  }

  send(handle: HandleId, memory: MemoryId, address: number, bytes: number): number {
    const { fd } = this.#handles.socket(handle);
    const from = this.#memories.locate(memory, address, bytes);
    this.counters.syscalls++;
    return this.c === undefined ? -EAGAIN : this.c.send(fd, from, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  receive(handle: HandleId, deliver: (datagram: Uint8Array) => void): void {
    const { fd } = this.#handles.socket(handle);
    this.#polled()?.start(handle, fd, deliver);
  }

  watch(fd: number, events: number, ready: (events: number) => void): number {
    return this.#polled()?.watch(fd, events, ready) ?? -1;
  }

  unwatch(watch: number): void {
    this.#sockets?.unwatch(watch);
  }

  #polled(): PolledSockets | undefined {
    if (this.#sockets === undefined && this.c !== undefined) {
      this.#sockets = new PolledSockets(this.c);
      this.kicks.setEventfd(this.#sockets.eventfd);
    }
    return this.#sockets;
  }

  close(handle: HandleId): void {
    const it = this.#handles.remove(handle);
    if (it === undefined) return;
    this.kicks.forget(it.fd);
    if (it instanceof BlockFile) {
      it.close();
      return;
    }
    this.#sockets?.stop(handle);
    this.c?.close(it.fd);
  }

  defer(task: () => void): void {
    this.#deferred.push(task);
  }

  /** Jobs are handed over as they are queued; here more workers are started when there are too few. */
  submit(): void {
    for (let lacking = this.#queue.unserved; lacking > 0 && this.#workers.length < WORKERS_MAX; lacking--) {
      this.#startWorker();
    }
  }

  #startWorker(): void {
    const workerData: IoWorkerData = {
      queue: this.#buffer,
      area: this.area,
      slot: this.slot,
      memories: this.#registered,
    };
    const worker = new Worker(new URL('./io-worker.js', import.meta.url), { workerData, execArgv: [] });
    worker.unref();
    this.#workers.push(worker);
  }

  poll(): number {
    this.polls++;
    let delivered = this.#deferred.length === 0 ? 0 : this.#runDeferred();
    for (let i = 0; i < POLL_BATCH; i++) {
      const index = this.#queue.takeDone();
      if (index < 0) break;
      const done = this.#requests.done[index];
      const result = this.#queue.result(index);
      this.#requests.release(index);
      this.counters.completed++;
      delivered++;
      done(result);
    }
    return delivered + (this.#sockets?.poll() ?? 0);
  }

  get waiting(): boolean {
    return this.#waiter.waiting;
  }

  wait(timeoutNs: number): void {
    this.#waiter.wait(timeoutNs);
  }

  #sleep(timeoutNs: number): void {
    this.submit();
    if (this.#sockets?.listening === true) this.#sockets.sleep(timeoutNs);
    else this.kicks.sleepOnAtomics(timeoutNs / 1e6);
    this.counters.syscalls++;
  }

  #runDeferred(): number {
    const tasks = this.#deferred;
    this.#deferred = [];
    for (const task of tasks) task();
    return tasks.length;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#drain();
    this.#queue.stop();
    for (const worker of this.#workers) void worker.terminate();
    for (let handle = 0; handle < this.#handles.size; handle++) this.close(handle);
    this.kicks.setEventfd(-1);
    this.#sockets?.dispose();
    this.#sockets = undefined;
  }

  /** Lets requests in flight end, for up to a second: workers still write to the guest's memory for them. */
  #drain(): void {
    this.#requests.done.fill(() => {});
    this.#deferred = [];
    this.#sockets?.clearWatches();
    const end = nowNs() + 1e9;
    while (this.#requests.inFlight > 0 && nowNs() < end) this.wait(10e6);
  }
}
