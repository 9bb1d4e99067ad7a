/** An IoContext over a disk in memory: what is submitted completes at the next poll(), in order or as the test says. */
import type { BlockInfo, Completion, IoContext } from '#engines/backends/io.js';

interface Job {
  kind: 'read' | 'write' | 'flush';
  address: number;
  bytes: number;
  offset: number;
  done: Completion;
}

export class FakeDisk implements IoContext {
  readonly method = 'worker threads';
  readonly slot = 0;
  readonly counters = { submitted: 0, completed: 0, syscalls: 0, waits: 0, kicksReceived: 0, sleptNs: 0, bounced: 0 };
  readonly data: Uint8Array;
  readonly jobs: Job[] = [];
  /** What was started, in order: `read 4096@0`. */
  readonly log: string[] = [];
  /** Completes jobs with this instead of doing them. */
  failWith: number | undefined;
  /** Runs instead of a sleep in wait(). */
  onWait: () => void = () => {};

  constructor(
    private readonly memory: Uint8Array,
    readonly bytes: number,
  ) {
    this.data = new Uint8Array(bytes);
  }

  private add(job: Job): void {
    // The contract of IoContext: the caller has checked this. What a guest wrote must never get past it.
    if (job.address < 0 || job.address + job.bytes > this.memory.length) throw new Error('outside of guest memory');
    if (job.offset < 0 || job.offset + job.bytes > this.bytes) throw new Error('outside of the disk');
    this.log.push(`${job.kind} ${job.bytes}@${job.offset}`);
    this.jobs.push(job);
  }

  read(_h: number, _m: number, address: number, bytes: number, offset: number, done: Completion): void {
    this.add({ kind: 'read', address, bytes, offset, done });
  }

  write(_h: number, _m: number, address: number, bytes: number, offset: number, done: Completion): void {
    this.add({ kind: 'write', address, bytes, offset, done });
  }

  readv(): void {
    throw new Error('not used by the core OS');
  }
  writev(): void {
    throw new Error('not used by the core OS');
  }
  zero(_h: number, _offset: number, _bytes: number, _unmap: boolean, done: Completion): void {
    done(-95);
  }
  flush(_h: number, done: Completion): void {
    this.add({ kind: 'flush', address: 0, bytes: 0, offset: 0, done });
  }

  poll(): number {
    const jobs = this.jobs.splice(0);
    for (const job of jobs) this.complete(job);
    return jobs.length;
  }

  private complete(job: Job): void {
    if (this.failWith !== undefined) {
      job.done(this.failWith);
      return;
    }
    const disk = this.data.subarray(job.offset, job.offset + job.bytes);
    const guest = this.memory.subarray(job.address, job.address + job.bytes);
    if (job.kind === 'read') guest.set(disk);
    else disk.set(guest);
    job.done(job.bytes);
  }

  readonly waiting = false;
  readonly polls = 0;

  wait(): void {
    this.counters.waits++;
    if (this.poll() === 0) this.onWait();
  }

  submit(): void {}
  defer(task: () => void): void {
    task();
  }
  addMemory(): number {
    return 0;
  }
  openBlock(): number {
    return 0;
  }
  blockInfo(): BlockInfo {
    return { bytes: this.bytes, direct: false, alignment: 1 };
  }
  openUdp(): number {
    return 0;
  }
  send(): number {
    return 0;
  }
  receive(): void {}
  descriptor(): number {
    return -1;
  }
  adopt(): number {
    return 0;
  }
  close(): void {}
  watch(): number {
    return 0;
  }
  unwatch(): void {}
  dispose(): void {}
}
