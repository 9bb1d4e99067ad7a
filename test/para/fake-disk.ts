/** An IoContext over a disk in memory: what is submitted completes at the next poll(), in order or as the test says. */
import type { BlockInfo, Completion, IoContext, Pieces } from '#engines/backends/io.js';

interface Job {
  kind: 'read' | 'write' | 'flush' | 'discard';
  address: number;
  bytes: number;
  offset: number;
  done: Completion;
  /** Of a discard. */
  zeros?: number;
  /** Of a vectored one: where each piece lies. */
  pieces?: { address: number; bytes: number }[];
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
    if (job.pieces === undefined && (job.address < 0 || job.address + job.bytes > this.memory.length))
      throw new Error('outside of guest memory');
    if (job.offset < 0 || job.offset + job.bytes > this.bytes) throw new Error('outside of the disk');
    if (job.zeros !== undefined && job.offset + job.zeros > this.bytes) throw new Error('outside of the disk');
    this.log.push(`${job.kind} ${job.zeros ?? job.bytes}@${job.offset}`);
    this.jobs.push(job);
  }

  read(_h: number, _m: number, address: number, bytes: number, offset: number, done: Completion): void {
    this.add({ kind: 'read', address, bytes, offset, done });
  }

  write(_h: number, _m: number, address: number, bytes: number, offset: number, done: Completion): void {
    this.add({ kind: 'write', address, bytes, offset, done });
  }

  readv(_h: number, _m: number, pieces: Pieces, offset: number, done: Completion): void {
    this.vectored('read', pieces, offset, done);
  }

  writev(_h: number, _m: number, pieces: Pieces, offset: number, done: Completion): void {
    this.vectored('write', pieces, offset, done);
  }

  private vectored(kind: 'read' | 'write', { address, bytes, count }: Pieces, offset: number, done: Completion): void {
    const pieces = Array.from({ length: count }, (_, i) => ({ address: address[i], bytes: bytes[i] }));
    for (const piece of pieces) {
      if (piece.address < 0 || piece.address + piece.bytes > this.memory.length)
        throw new Error('outside of guest memory');
    }
    const all = pieces.reduce((sum, piece) => sum + piece.bytes, 0);
    this.add({ kind, address: 0, bytes: all, offset, done, pieces });
  }

  zero(_h: number, offset: number, bytes: number, _unmap: boolean, done: Completion): void {
    this.add({ kind: 'discard', address: 0, bytes: 0, offset, done, zeros: bytes });
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
    if (job.zeros !== undefined) this.data.fill(0, job.offset, job.offset + job.zeros);
    let at = job.offset;
    for (const { address, bytes } of job.pieces ?? [job]) {
      const disk = this.data.subarray(at, at + bytes);
      const guest = this.memory.subarray(address, address + bytes);
      if (job.kind === 'read') guest.set(disk);
      else disk.set(guest);
      at += bytes;
    }
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
  removeMemory(): void {}
  openBlock(): number {
    return 0;
  }
  blockInfo(): BlockInfo {
    return { bytes: this.bytes, direct: false, alignment: 1, marked: true };
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
