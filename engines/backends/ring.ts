/**
 * One io_uring: its set-up, its two rings in memory, and the system call that drives it. Knows nothing of what the
 * requests mean (io-uring.ts does).
 *
 * The rings are the kernel's pages, seen through typed arrays (koffi.view). What orders our accesses against the
 * kernel's, on arm64 too, are Atomics.load and Atomics.store on the four index words: V8 implements them as sequentially
 * consistent accesses (ldar/stlr on arm64, mov/xchg on x86-64) whether or not the buffer is a SharedArrayBuffer; no
 * compiler moves the plain accesses to entries across them. Measured here: 8 and 12 ns against 2 ns of a plain access.
 */
import { type Libc, MAP_SHARED_POPULATE, NativeMemory, PROT_READ_WRITE, SYS_IO_URING } from './libc.js';
import { CQ_OFF, CQE, ENTER, FEATURE, MMAP_OFFSET, PARAMS, SETUP, SQ_FLAG, SQ_OFF, SQE } from './uring-abi.js';

const REQUIRED = FEATURE.SINGLE_MMAP | FEATURE.NODROP | FEATURE.EXT_ARG;
/** The best first. Deferred task work runs when *we* enter the kernel, so a completion never interrupts guest code. */
const FLAG_SETS = [
  SETUP.SINGLE_ISSUER | SETUP.DEFER_TASKRUN | SETUP.TASKRUN_FLAG | SETUP.SUBMIT_ALL, // Linux 6.1
  SETUP.COOP_TASKRUN | SETUP.TASKRUN_FLAG | SETUP.SUBMIT_ALL, // Linux 5.19
  0, // Linux 5.11
];
const GETEVENTS_ARG_BYTES = 24;
const TIMESPEC_AT = 32;
/**
 * Of more than two entries in one call the kernel makes a batch (a plug) and starts none of them before all are prepared:
 * 15 % at depth 32, as measured with the bare-metal port, which does the same.
 */
const ENTRIES_A_CALL = 2;
/** So many at once are pieces of few large requests (scatter lists): there the batch is what joins them again. */
const SCATTERED = 16;
const EINTR = 4;
const ETIME = 62;

/** io_uring cannot be had here; the message is a clause that goes behind "io_uring is not available: ". */
export class UringUnavailable extends Error {
  override readonly name = 'UringUnavailable';
}

export class Ring {
  readonly fd: number;
  readonly setupFlags: number;
  #enters = 0;
  /** Of the CQE that nextCompletion() has just taken. */
  userDataLow = 0;
  userDataHigh = 0;
  result = 0;
  flags = 0;

  readonly #c: Libc;
  readonly #scratch: NativeMemory;
  readonly #timespec: Uint32Array;
  #rings!: Uint32Array;
  #ringsAddress = 0;
  #sqes!: Uint32Array;
  #sqesAddress = 0;
  #sqHead = 0;
  #sqTail = 0;
  #sqFlags = 0;
  #sqMask = 0;
  #cqHead = 0;
  #cqTail = 0;
  #cqMask = 0;
  #cqes = 0;
  /** Our copies: entries filled, entries handed to the kernel, entries taken. */
  #tail = 0;
  #submitted = 0;
  #head = 0;
  #closed = false;

  constructor(c: Libc, entries: number, completions: number) {
    this.#c = c;
    this.#scratch = new NativeMemory(c, 4096);
    this.#timespec = new Uint32Array(this.#scratch.buffer, TIMESPEC_AT, 4);
    const params = new Uint32Array(this.#scratch.buffer, 1024, PARAMS.BYTES / 4);
    const [fd, flags] = setup(c, this.#scratch.address + 1024, params, entries, completions);
    this.fd = fd;
    this.setupFlags = flags;
    this.#map(params);
    // struct io_uring_getevents_arg: no signal mask, the address of the timespec at byte 16.
    const arg = new Uint32Array(this.#scratch.buffer, 0, GETEVENTS_ARG_BYTES / 4);
    putAddress(arg, 4, this.#scratch.address + TIMESPEC_AT);
  }

  #map(params: Uint32Array): void {
    const sqOff = params.subarray(PARAMS.SQ_OFF / 4);
    const cqOff = params.subarray(PARAMS.CQ_OFF / 4);
    const sqEntries = params[PARAMS.SQ_ENTRIES / 4];
    const cqEntries = params[PARAMS.CQ_ENTRIES / 4];
    const ringBytes = Math.max(sqOff[SQ_OFF.ARRAY] + sqEntries * 4, cqOff[CQ_OFF.CQES] + cqEntries * CQE.WORDS * 4);
    [this.#ringsAddress, this.#rings] = mapWords(this.#c, this.fd, MMAP_OFFSET.SQ_RING, ringBytes);
    [this.#sqesAddress, this.#sqes] = mapWords(this.#c, this.fd, MMAP_OFFSET.SQES, sqEntries * SQE.WORDS * 4);
    this.#sqHead = sqOff[SQ_OFF.HEAD] / 4;
    this.#sqTail = sqOff[SQ_OFF.TAIL] / 4;
    this.#sqFlags = sqOff[SQ_OFF.FLAGS] / 4;
    this.#sqMask = this.#rings[sqOff[SQ_OFF.RING_MASK] / 4];
    this.#cqHead = cqOff[CQ_OFF.HEAD] / 4;
    this.#cqTail = cqOff[CQ_OFF.TAIL] / 4;
    this.#cqMask = this.#rings[cqOff[CQ_OFF.RING_MASK] / 4];
    this.#cqes = cqOff[CQ_OFF.CQES] / 4;
    // The SQ array names the entry in each place; entries are used in order, so it is filled once.
    for (let i = 0; i < sqEntries; i++) this.#rings[sqOff[SQ_OFF.ARRAY] / 4 + i] = i;
  }

  /** Entries that the kernel has not been told of. */
  get unsubmitted(): number {
    return (this.#tail - this.#submitted) >>> 0;
  }

  /**
   * Fills the next submission entry. Makes room by submitting when the queue is full; answers false when even that
   * made none (the kernel is out of memory): nothing was queued then.
   */
  push(
    op: number,
    fd: number,
    address: number,
    length: number,
    offset: number,
    opFlags: number,
    userLow: number,
    userHigh: number,
    bufferGroup = 0,
  ): boolean {
    if ((this.#tail - Atomics.load(this.#rings, this.#sqHead)) >>> 0 > this.#sqMask) {
      this.submit();
      if ((this.#tail - Atomics.load(this.#rings, this.#sqHead)) >>> 0 > this.#sqMask) return false;
    }
    const sqes = this.#sqes;
    const at = (this.#tail & this.#sqMask) * SQE.WORDS;
    sqes[at + SQE.OPCODE] = op;
    sqes[at + SQE.FD] = fd;
    putAddress(sqes, at + SQE.OFFSET, offset);
    putAddress(sqes, at + SQE.ADDRESS, address);
    sqes[at + SQE.LENGTH] = length;
    sqes[at + SQE.OP_FLAGS] = opFlags;
    sqes[at + SQE.USER_DATA] = userLow;
    sqes[at + SQE.USER_DATA + 1] = userHigh;
    sqes[at + SQE.BUFFER_GROUP] = bufferGroup;
    for (let i = SQE.BUFFER_GROUP + 1; i < SQE.WORDS; i++) sqes[at + i] = 0;
    this.#tail = (this.#tail + 1) >>> 0;
    Atomics.store(this.#rings, this.#sqTail, this.#tail);
    return true;
  }

  /** Hands the queued entries to the kernel; no system call when there are none. */
  submit(): void {
    // What the kernel holds back for us comes in the same call.
    if (this.#tail !== this.#submitted) this.#enter(0, this.#held ? ENTER.GETEVENTS : 0, 0, 0);
  }

  /** True when nextCompletion() may find something; a few nanoseconds. */
  get ready(): boolean {
    if (this.#closed) return false;
    return Atomics.load(this.#rings, this.#cqTail) !== this.#head || this.#held;
  }

  /** Lets the kernel post what it holds back until we come (deferred task work, an overflown queue). */
  reap(): void {
    if (this.#held) this.#enter(0, ENTER.GETEVENTS, 0, 0);
  }

  /** The kernel has completions that it posts when we come (deferred task work, an overflown queue). */
  get #held(): boolean {
    return (this.#rings[this.#sqFlags] & (SQ_FLAG.TASKRUN | SQ_FLAG.CQ_OVERFLOW)) !== 0;
  }

  /** Takes one completion into the fields above; false when there is none. The entry is the kernel's again at once. */
  nextCompletion(): boolean {
    const rings = this.#rings;
    if (Atomics.load(rings, this.#cqTail) === this.#head) return false;
    const at = this.#cqes + (this.#head & this.#cqMask) * CQE.WORDS;
    this.userDataLow = rings[at + CQE.USER_DATA];
    this.userDataHigh = rings[at + CQE.USER_DATA + 1];
    this.result = rings[at + CQE.RESULT] | 0;
    this.flags = rings[at + CQE.FLAGS];
    this.#head = (this.#head + 1) >>> 0;
    Atomics.store(rings, this.#cqHead, this.#head);
    return true;
  }

  /** Submits, then sleeps until there is a completion, `timeoutNs` (finite) has passed, or a signal came. */
  sleep(timeoutNs: number): void {
    const seconds = Math.floor(timeoutNs / 1e9);
    this.#timespec[0] = seconds;
    this.#timespec[2] = timeoutNs - seconds * 1e9;
    this.#enter(1, ENTER.GETEVENTS | ENTER.EXT_ARG, this.#scratch.address, GETEVENTS_ARG_BYTES);
  }

  /** io_uring_enter(2) calls since the last time this was asked. */
  takeEnters(): number {
    const count = this.#enters;
    this.#enters = 0;
    return count;
  }

  /** Any io_uring_register(2) operation. */
  register(operation: number, address: number, count: number): number {
    return this.#c.syscall(SYS_IO_URING.register, this.fd, operation, address, count, 0, 0);
  }

  #enter(minComplete: number, flags: number, arg: number, argBytes: number): void {
    const most = this.unsubmitted > SCATTERED ? this.unsubmitted : ENTRIES_A_CALL;
    while (this.unsubmitted > most && this.#enterOnce(most, 0, 0, 0, 0)) {
      // All but the last of them.
    }
    this.#enterOnce(Math.min(this.unsubmitted, most), minComplete, flags, arg, argBytes);
  }

  /** False when the kernel took nothing. */
  #enterOnce(entries: number, minComplete: number, flags: number, arg: number, argBytes: number): boolean {
    this.#enters++;
    const result = this.#c.syscall(SYS_IO_URING.enter, this.fd, entries, minComplete, flags, arg, argBytes);
    // ETIME and EINTR come only when nothing was submitted; EAGAIN and EBUSY leave the entries queued for the next call.
    if (result > 0) this.#submitted = (this.#submitted + Math.min(result, entries)) >>> 0;
    else if (result < 0 && !RETRIED.has(-result)) throw new Error(`io_uring_enter failed: errno ${-result}`);
    return result > 0;
  }

  /** Its pages that are shared with the kernel: address and bytes. */
  get mappings(): [number, number][] {
    return [
      [this.#ringsAddress, this.#rings.byteLength],
      [this.#sqesAddress, this.#sqes.byteLength],
    ];
  }

  /** Closes the ring and gives its memory back. Only `ready` and close() may be used afterwards. */
  close(): void {
    const [rings, sqes] = [this.#rings.byteLength, this.#sqes.byteLength];
    if (rings === 0) return;
    // No view may point to unmapped pages: a late caller finds an empty ring instead of a fault.
    this.#rings = new Uint32Array(0);
    this.#sqes = new Uint32Array(0);
    this.#closed = true;
    this.#c.close(this.fd);
    this.#c.munmap(this.#ringsAddress, rings);
    this.#c.munmap(this.#sqesAddress, sqes);
    this.#scratch.free();
  }
}

const RETRIED = new Set([EINTR, ETIME, 11 /* EAGAIN */, 16 /* EBUSY */]);

/** A 64-bit little-endian word from a number below 2 ** 53. */
export function putAddress(words: Uint32Array, index: number, value: number): void {
  words[index] = value;
  words[index + 1] = value / 4294967296;
}

function mapWords(c: Libc, fd: number, offset: number, bytes: number): [number, Uint32Array] {
  const address = c.mmap(bytes, PROT_READ_WRITE, MAP_SHARED_POPULATE, fd, offset);
  if (address < 0) throw new UringUnavailable(`its rings cannot be mapped (errno ${-address})`);
  return [address, new Uint32Array(c.view(address, bytes))];
}

function setup(c: Libc, address: number, params: Uint32Array, entries: number, completions: number): [number, number] {
  let problem = 0;
  for (const flags of FLAG_SETS) {
    params.fill(0);
    params[PARAMS.FLAGS / 4] = flags | SETUP.CQSIZE;
    params[PARAMS.CQ_ENTRIES / 4] = completions;
    const fd = c.syscall(SYS_IO_URING.setup, entries, address, 0, 0, 0, 0);
    problem = -fd;
    if (fd < 0) continue;
    if ((params[PARAMS.FEATURES / 4] & REQUIRED) === REQUIRED) return [fd, flags];
    c.close(fd);
    throw new UringUnavailable('this kernel is older than Linux 5.11');
  }
  throw new UringUnavailable(refusal(problem));
}

function refusal(errno: number): string {
  if (errno === 38) return 'this kernel was built without it (ENOSYS)';
  if (errno === 1) return 'the container or kernel.io_uring_disabled forbids it (EPERM)';
  if (errno === 12) return 'the limit of locked memory is too low (ENOMEM; see ulimit -l)';
  return `io_uring_setup failed with errno ${errno}`;
}
