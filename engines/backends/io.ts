/**
 * The host side of I/O as the engines see it. Contract only; io-uring.ts and io-workers.ts implement it.
 *
 * Every vCPU thread owns exactly one IoContext. It is the only thing the thread submits to and the only place where it
 * sleeps: a disk completion, a datagram, a kick from another thread and a timeout all end the same wait(). So one
 * thread serves one vCPU's I/O from submission to interrupt without waking another (DESIGN rule 7).
 *
 *      vCPU thread ──submit──► io_uring ──► kernel
 *          ▲  └─────wait(timeout)──┤
 *          └── poll(): completions ┘◄── kick(slot) from any other thread
 *
 * Addresses are byte offsets into a shared WebAssembly memory that was registered with addMemory(); offset, length and
 * the file's alignment are checked by the caller against its guest's RAM *before* they come here (rule 4).
 */

import type { WaitingPolicy } from '../engine.js';

export type { WaitingPolicy };

export type IoMethod = 'io_uring' | 'worker threads';

/** Identifies a registered shared memory within one IoContext. */
export type MemoryId = number;
/** Identifies an open block file or socket within one IoContext. */
export type HandleId = number;

/** result: bytes done, or a negative Linux errno. Called from poll() and wait() on the owning thread. */
export type Completion = (result: number) => void;

/** Where the memory of one request lies: `count` pieces (1 to 1024), in the order of the file. Read before the call returns. */
export interface Pieces {
  readonly address: ArrayLike<number>;
  /** Each at least 1. */
  readonly bytes: ArrayLike<number>;
  readonly count: number;
}

export interface BlockInfo {
  bytes: number;
  /** O_DIRECT really in use. */
  direct: boolean;
  /** Alignment that O_DIRECT wants of address, length and offset; 1 when buffered. Unaligned requests are bounced and counted. */
  alignment: number;
  /** Whether the mark that was asked for is there; absent: none was. */
  marked?: boolean;
}

export interface BlockOptions {
  direct: boolean;
  readonly: boolean;
  /** By which another thread sees whether anything that this one began is still under way (file-mark.ts). */
  mark?: number;
}

export interface IoContext {
  readonly method: IoMethod;
  /** Slot of this context in the kick area: other threads wake it with `kick(slot)`. */
  readonly slot: number;

  addMemory(memory: WebAssembly.Memory): MemoryId;
  /** Nothing is in flight in it and nothing will be. Its number is not used again. */
  removeMemory(memory: MemoryId): void;

  openBlock(path: string, options: BlockOptions): HandleId;
  blockInfo(handle: HandleId): BlockInfo;
  /** Asynchronous; several may be queued before submit(). */
  read(handle: HandleId, memory: MemoryId, address: number, bytes: number, offset: number, done: Completion): void;
  write(handle: HandleId, memory: MemoryId, address: number, bytes: number, offset: number, done: Completion): void;
  /** The same with memory in pieces: one request to the host wherever it takes them so, else one a piece. */
  readv(handle: HandleId, memory: MemoryId, pieces: Pieces, offset: number, done: Completion): void;
  writev(handle: HandleId, memory: MemoryId, pieces: Pieces, offset: number, done: Completion): void;
  /** Completes when everything that completed before it is durable (fdatasync). */
  flush(handle: HandleId, done: Completion): void;
  /**
   * Makes a range of a block file read as zeros; unmap: and gives its blocks back to the file system. Result: 0, or a negative
   * errno; -EOPNOTSUPP where the file system cannot.
   */
  zero(handle: HandleId, offset: number, bytes: number, unmap: boolean, done: Completion): void;

  /**
   * A UDP socket connected to a port of `address` (an IPv4 address as a number; the host's loopback when absent).
   * Throws a HostError (host-error.ts) with the host's errno.
   */
  openUdp(port: number, address?: number): HandleId;
  /** Sends without waiting; the bytes are taken before the call returns. Result: bytes, or a negative errno. */
  send(handle: HandleId, memory: MemoryId, address: number, bytes: number): number;
  /** Keeps receiving; `deliver` gets each datagram as a view that is valid only during the call. */
  receive(handle: HandleId, deliver: (datagram: Uint8Array) => void): void;
  /** The file descriptor behind a handle. Any thread of the process may send on a socket's (see flow-table.ts). */
  descriptor(handle: HandleId): number;
  /** Takes a descriptor over: it is closed by close(), or when the context goes, even if its thread was terminated. */
  adopt(fd: number): HandleId;
  close(handle: HandleId): void;
  /**
   * Runs `ready` once, inside poll() or wait(), when the descriptor can be read (POLLIN, 1), written (POLLOUT, 4), or
   * has failed; with what poll(2) says of it. Answers a number for unwatch(), which
   * must come before the descriptor is closed.
   */
  watch(fd: number, events: number, ready: (events: number) => void): number;
  unwatch(watch: number): void;

  /** Runs `task` inside this thread's next poll() or wait(), which does not sleep then: with no device's lock held. */
  defer(task: () => void): void;
  /** Hands what was queued to the kernel. Cheap when nothing was queued. */
  submit(): void;
  /** Runs the completions that have arrived; never blocks. Returns how many. */
  poll(): number;
  /** How often the thread has looked for completions so far, in poll() and wait(). */
  readonly polls: number;
  /**
   * submit(), then sleeps until a completion, a kick since the last wait, or the timeout (nanoseconds; Infinity allowed).
   * Honours the waiting policy: polls `pollUs` before it sleeps. Runs completions before it returns.
   * Worker.terminate() takes up to 250 ms to reach a thread that sleeps here; kick the slot first and it is at once.
   */
  wait(timeoutNs: number): void;
  /** wait() is running: the thread has nothing else to do. For completions. */
  readonly waiting: boolean;

  readonly counters: {
    submitted: number;
    completed: number;
    syscalls: number;
    waits: number;
    kicksReceived: number;
    /** Nanoseconds that the thread slept, or polled in place of sleeping. */
    sleptNs: number;
    bounced: number;
  };
  dispose(): void;
}

/** Wakes threads by slot. Works from any thread that was given the kick area. Costs no system call when the target is awake. */
export interface Kicker {
  kick(slot: number): void;
}
