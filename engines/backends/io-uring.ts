/**
 * IoContext over one io_uring. One thread owns it; the file descriptors and sockets are its own.
 *
 *   read/write/flush ─► RequestTable ─► Ring.push()        (no system call yet)
 *   submit()/wait()  ─► one io_uring_enter(2)
 *   poll()           ─► CQEs: user_data = (index, KIND) ─► table ─► the caller's callback
 */
import { BlockFile, zeroMode } from './block-file.js';
import { BouncePool } from './bounce.js';
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
import type { KickSlot, SleepsOn } from './kick.js';
import type { Libc } from './libc.js';
import { bytesOf, onePieceAtATime, PIECES_MAX, Vector } from './pieces.js';
import { REQUESTS_MAX, RequestTable } from './requests.js';
import { Ring } from './ring.js';
import { SharedMemories } from './shared-memories.js';
import { connectUdp, MSG_DONTWAIT, MSG_NOSIGNAL } from './udp.js';
import { CANCEL_FLAG_ALL, CQE_FLAG, FSYNC_DATASYNC, OP, POLL_ADD_MULTI, POLLERR, POLLIN } from './uring-abi.js';
import { UringReceiver } from './uring-receiver.js';
import { Waiter } from './waiting.js';

const SQ_ENTRIES = 256;
/** Every request, and as many datagrams and kicks again. */
const CQ_ENTRIES = 4 * REQUESTS_MAX;
/** Completions run by one poll(): a guest whose requests complete at once must not keep its vCPU from running. */
const POLL_BATCH = 256;
const RETRIES_MAX = 1000;
const EINTR = 4;
const EAGAIN = 11;
const EFD_CLOEXEC_NONBLOCK = 0o2004000;
/** High word of user_data: who the completion is for. */
const KIND = { REQUEST: 0, KICK: 1, RECEIVE: 2, IGNORED: 3, WATCH: 4 } as const;

export class UringContext implements IoContext {
  readonly method = 'io_uring';
  polls = 0;
  readonly counters = { submitted: 0, completed: 0, syscalls: 0, waits: 0, kicksReceived: 0, sleptNs: 0, bounced: 0 };
  readonly #ring: Ring;
  readonly #memories: SharedMemories;
  readonly #requests = new RequestTable();
  readonly #bounce: BouncePool;
  /** Those that no request uses. */
  readonly #vectors: Vector[] = [];
  readonly #handles = new HandleTable();
  readonly #receiver: UringReceiver;
  readonly #eventfd: number;
  readonly #waiter: Waiter;
  /** By user_data; numbers are not used again, so that a late completion meets nobody. */
  readonly #watches = new Map<number, (events: number) => void>();
  #nextWatch = 0;
  #deferred: (() => void)[] = [];
  /** poll() has queued something itself, which must not wait for the caller's next submit(). */
  #owed = false;
  #disposed = false;

  constructor(
    private readonly c: Libc,
    readonly slot: number,
    private readonly kicks: KickSlot,
    waiting: WaitingPolicy,
  ) {
    this.#ring = new Ring(c, SQ_ENTRIES, CQ_ENTRIES);
    this.#memories = new SharedMemories((view) => c.address(view));
    this.#bounce = new BouncePool(c);
    this.#receiver = new UringReceiver(c, this.#ring, KIND.RECEIVE, KIND.IGNORED);
    const sleeper = {
      submit: () => this.submit(),
      poll: () => this.poll(),
      mayHaveCompletions: () => this.#ring.ready || this.#deferred.length > 0,
      sleepsOn: () => (this.#isIdle() ? ('futex' as const) : ('eventfd' as const)),
      sleep: (timeoutNs: number, how: SleepsOn) => {
        if (how === 'futex') kicks.sleepOnFutex(c, timeoutNs);
        else this.#ring.sleep(timeoutNs);
      },
    };
    this.#waiter = new Waiter(sleeper, kicks, this.counters, waiting);
    this.#eventfd = c.eventfd(0, EFD_CLOEXEC_NONBLOCK);
    kicks.setEventfd(this.#eventfd);
    kicks.remember(this.#ring.fd);
    for (const [address, bytes] of this.#ring.mappings) kicks.rememberMapping(address, bytes);
    this.#armKicks();
  }

  /** Nothing can come by the ring but a kick. No getter: V8 asks its runtime for private ones. */
  #isIdle(): boolean {
    return (
      this.#requests.inFlight === 0 &&
      this.#watches.size === 0 &&
      !this.#receiver.listening &&
      this.#ring.unsubmitted === 0
    );
  }

  addMemory(memory: WebAssembly.Memory): MemoryId {
    return this.#memories.add(memory);
  }

  removeMemory(memory: MemoryId): void {
    this.#memories.remove(memory);
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
    this.#transfer(OP.READ, handle, memory, address, bytes, offset, done);
  }

  write(handle: HandleId, memory: MemoryId, address: number, bytes: number, offset: number, done: Completion): void {
    this.#transfer(OP.WRITE, handle, memory, address, bytes, offset, done);
  }

  readv(handle: HandleId, memory: MemoryId, pieces: Pieces, offset: number, done: Completion): void {
    if (this.#vectored(OP.READV, handle, memory, pieces, offset, done)) return;
    onePieceAtATime(pieces, offset, done, (address, bytes, at, ended) =>
      this.read(handle, memory, address, bytes, at, ended),
    );
  }

  writev(handle: HandleId, memory: MemoryId, pieces: Pieces, offset: number, done: Completion): void {
    if (this.#vectored(OP.WRITEV, handle, memory, pieces, offset, done)) return;
    onePieceAtATime(pieces, offset, done, (address, bytes, at, ended) =>
      this.write(handle, memory, address, bytes, at, ended),
    );
  }

  flush(handle: HandleId, done: Completion): void {
    const file = this.#handles.file(handle);
    const index = this.#begin(OP.FSYNC, file.fd, done);
    if (index >= 0) this.#push(index);
  }

  zero(handle: HandleId, offset: number, bytes: number, unmap: boolean, done: Completion): void {
    const file = this.#handles.file(handle);
    file.check(offset, bytes);
    const index = this.#begin(OP.FALLOCATE, file.fd, done);
    if (index < 0) return;
    // io_uring's FALLOCATE has the length where others have an address, and the mode where they have a length.
    this.#requests.address[index] = bytes;
    this.#requests.bytes[index] = zeroMode(unmap);
    this.#requests.offset[index] = offset;
    this.#push(index);
  }

  openUdp(port: number, address?: number): HandleId {
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
    this.counters.syscalls++;
    const from = this.#memories.locate(memory, address, bytes);
    return this.c.send(this.#handles.socket(handle).fd, from, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  receive(handle: HandleId, deliver: (datagram: Uint8Array) => void): void {
    this.#receiver.start(handle, this.#handles.socket(handle).fd, deliver);
  }

  close(handle: HandleId): void {
    const it = this.#handles.remove(handle);
    if (it === undefined) return;
    this.kicks.forget(it.fd);
    if (it instanceof BlockFile) {
      it.close();
      return;
    }
    this.#receiver.stop(handle);
    this.#ring.submit();
    this.c.close(it.fd);
  }

  watch(fd: number, events: number, ready: (events: number) => void): number {
    const key = this.#nextWatch;
    this.#nextWatch = (key + 1) >>> 0;
    this.#watches.set(key, ready);
    this.#ring.push(OP.POLL_ADD, fd, 0, 0, 0, events, key, KIND.WATCH);
    this.#owed = true;
    return key;
  }

  unwatch(watch: number): void {
    if (!this.#watches.delete(watch)) return;
    this.#ring.push(OP.ASYNC_CANCEL, -1, watch + KIND.WATCH * 4294967296, 0, 0, CANCEL_FLAG_ALL, 0, KIND.IGNORED);
    // The kernel holds the file until it is told: its owner is about to close it.
    this.#ring.submit();
  }

  defer(task: () => void): void {
    this.#deferred.push(task);
  }

  submit(): void {
    this.#ring.submit();
  }

  poll(): number {
    this.polls++;
    let delivered = this.#deferred.length === 0 ? 0 : this.#runDeferred();
    const ring = this.#ring;
    if (!ring.ready) return delivered;
    ring.reap();
    for (let i = 0; i < POLL_BATCH && ring.nextCompletion(); i++) delivered += this.#dispatch();
    if (this.#owed || this.#receiver.owed) this.#submitOwed();
    this.counters.syscalls += ring.takeEnters();
    return delivered;
  }

  get waiting(): boolean {
    return this.#waiter.waiting;
  }

  wait(timeoutNs: number): void {
    this.#waiter.wait(timeoutNs);
    this.counters.syscalls += this.#ring.takeEnters();
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#drain();
    for (let handle = 0; handle < this.#handles.size; handle++) this.close(handle);
    this.kicks.forget(this.#ring.fd);
    this.kicks.forgetMappings();
    this.#ring.close();
    this.#receiver.dispose();
    this.#bounce.dispose();
    for (const vector of this.#vectors) vector.free();
    this.kicks.setEventfd(-1);
    this.kicks.dispose();
    this.c.close(this.#eventfd);
  }

  /** Lets requests in flight end, for up to a second: the kernel still writes to the guest's memory for them. */
  #drain(): void {
    this.#requests.done.fill(() => {});
    this.#deferred = [];
    this.#watches.clear();
    const end = nowNs() + 1e9;
    while (this.#requests.inFlight > 0 && nowNs() < end) {
      this.#ring.sleep(10e6);
      this.poll();
    }
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
    const where = this.#memories.locate(memory, address, bytes);
    file.check(offset, bytes);
    const aligned = file.takes(bytes, offset);
    const index = this.#begin(op, aligned ? file.fd : file.bufferedFd, done);
    if (index < 0) return;
    const requests = this.#requests;
    requests.address[index] = where;
    requests.bytes[index] = bytes;
    requests.offset[index] = offset;
    requests.granule[index] = aligned ? file.info.alignment : 1;
    if (!aligned) this.counters.bounced++;
    else if (where % file.memoryAlignment !== 0) this.#bounceRequest(index);
    this.#push(index);
  }

  /** False: not as one request, since there is but one piece, or one that would have to be bounced. */
  #vectored(op: number, handle: HandleId, memory: MemoryId, pieces: Pieces, offset: number, done: Completion): boolean {
    const file = this.#handles.file(handle);
    if (pieces.count < 2 || pieces.count > PIECES_MAX || offset % file.info.alignment !== 0) return false;
    const base = this.#memories.locate(memory, 0, 0);
    for (let i = 0; i < pieces.count; i++) {
      const where = this.#memories.locate(memory, pieces.address[i], pieces.bytes[i]);
      if (where % file.memoryAlignment !== 0 || pieces.bytes[i] % file.info.alignment !== 0) return false;
    }
    const bytes = bytesOf(pieces);
    file.check(offset, bytes);
    const index = this.#begin(op, file.fd, done);
    if (index < 0) return true;
    const vector = this.#vectors.pop() ?? new Vector(this.c);
    vector.fill(base, pieces);
    const requests = this.#requests;
    requests.vector[index] = vector;
    requests.bytes[index] = bytes;
    requests.offset[index] = offset;
    requests.granule[index] = file.info.alignment;
    this.#push(index);
    return true;
  }

  #begin(op: number, fd: number, done: Completion): number {
    this.counters.submitted++;
    const index = this.#requests.take();
    if (index < 0) {
      this.#fail(done);
      return -1;
    }
    const requests = this.#requests;
    requests.op[index] = op;
    requests.fd[index] = fd;
    requests.bytes[index] = 0;
    requests.progress[index] = 0;
    requests.retries[index] = 0;
    requests.done[index] = done;
    return index;
  }

  #bounceRequest(index: number): void {
    this.counters.bounced++;
    const requests = this.#requests;
    const bounce = this.#bounce.take(requests.bytes[index]);
    requests.bounce[index] = bounce;
    requests.target[index] = requests.address[index];
    if (requests.op[index] === OP.WRITE) this.c.memcpy(bounce.address, requests.address[index], requests.bytes[index]);
    requests.address[index] = bounce.address;
  }

  /** Queues a request, or what is left of it. */
  #push(index: number): void {
    const { op, fd, address, bytes, offset, progress } = this.#requests;
    const flush = op[index] === OP.FSYNC;
    const at = progress[index];
    const vector = this.#requests.vector[index];
    const queued = this.#ring.push(
      op[index],
      fd[index],
      flush ? 0 : (vector?.address ?? address[index] + at),
      flush ? 0 : (vector?.count ?? bytes[index] - at),
      flush ? 0 : offset[index] + at,
      flush ? FSYNC_DATASYNC : 0,
      index,
      KIND.REQUEST,
    );
    if (queued) return;
    const done = this.#requests.done[index];
    this.#recycle(index);
    this.#fail(done);
  }

  /** Runs the completion that the ring has just taken; 1 when it was somebody's. */
  #dispatch(): number {
    const { userDataLow, userDataHigh, result, flags } = this.#ring;
    switch (userDataHigh) {
      case KIND.REQUEST:
        return this.#progress(userDataLow, result);
      case KIND.RECEIVE:
        return this.#receiver.complete(userDataLow, result, flags);
      case KIND.WATCH:
        return this.#watched(userDataLow, result);
      case KIND.KICK:
        if ((flags & CQE_FLAG.MORE) === 0) {
          this.#armKicks();
          this.#owed = true;
        }
        return 0;
      default:
        return 0;
    }
  }

  #watched(key: number, result: number): number {
    const ready = this.#watches.get(key);
    if (ready === undefined) return 0;
    this.#watches.delete(key);
    ready(result < 0 ? POLLERR : result);
    return 1;
  }

  #progress(index: number, result: number): number {
    const requests = this.#requests;
    if (result < 0) {
      const again = (result === -EAGAIN || result === -EINTR) && requests.retries[index]++ < RETRIES_MAX;
      if (!again) return this.#finish(index, result);
      this.#pushRest(index);
      return 0;
    }
    const total = requests.progress[index] + result;
    requests.progress[index] = total;
    // Nothing, or a piece that O_DIRECT could not go on from: the end of the file.
    const ended = result === 0 || total === requests.bytes[index] || result % requests.granule[index] !== 0;
    if (ended) return this.#finish(index, total);
    requests.vector[index]?.advance(result);
    this.#pushRest(index);
    return 0;
  }

  #pushRest(index: number): void {
    this.#owed = true;
    this.#push(index);
  }

  #submitOwed(): void {
    this.#owed = false;
    this.#receiver.owed = false;
    this.#ring.submit();
  }

  #finish(index: number, result: number): number {
    const requests = this.#requests;
    const bounce = requests.bounce[index];
    if (bounce !== undefined && requests.op[index] === OP.READ && result > 0 && !this.#disposed) {
      this.c.memcpy(requests.target[index], bounce.address, result);
    }
    const done = requests.done[index];
    this.#recycle(index);
    this.counters.completed++;
    done(result);
    return 1;
  }

  #recycle(index: number): void {
    const bounce = this.#requests.bounce[index];
    if (bounce !== undefined) this.#bounce.give(bounce);
    const vector = this.#requests.vector[index];
    if (vector !== undefined) this.#vectors.push(vector);
    this.#requests.release(index);
  }

  /** A request that never reached the kernel. */
  #fail(done: Completion): void {
    this.defer(() => {
      this.counters.completed++;
      done(-EAGAIN);
    });
  }

  #runDeferred(): number {
    const tasks = this.#deferred;
    this.#deferred = [];
    for (const task of tasks) task();
    return tasks.length;
  }

  #armKicks(): void {
    this.#ring.push(OP.POLL_ADD, this.#eventfd, 0, POLL_ADD_MULTI, 0, POLLIN, 0, KIND.KICK);
  }
}
