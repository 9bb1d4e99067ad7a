/**
 * The serial port of a machine under QEMU, seen from the harness: UDP datagrams on loopback, because the kernel stamps
 * them (stamped-socket.ts). A pipe, a pty or a Unix socket is read a wake-up later, and nothing tells how much later.
 */
import { closeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { type Libc, libc, libcProblem, NativeMemory } from '../backends/libc.js';
import type { Doorbell, DoorbellStamp } from '../process/guest-control.js';
import { type ConsoleThreadData, type FromConsole, SHARED, SHARED_BYTES } from './console-messages.js';
import { openStampedSocket } from './stamped-socket.js';

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** QEMU reads as much at once (CHR_READ_BUF_LEN). */
const MOST_BYTES = 4096;
const EFD_CLOEXEC_NONBLOCK = 0o2004000;

export interface ConsoleSink {
  output(bytes: Uint8Array): void;
  doorbell(which: Doorbell, stamp: DoorbellStamp, byKernel: boolean): void;
  /** The console cannot be trusted any more. */
  broken(why: string): void;
}

const open = new Set<SerialConsole>();
// A thread that sleeps in a system call would hold up the end of the process for seconds.
process.on('exit', () => {
  for (const console of open) console.wake();
});

export class SerialConsole {
  /** UDP port on 127.0.0.1 to which QEMU's serial port is to send. */
  readonly port: number;
  readonly #c: Libc;
  readonly #socket: number;
  readonly #eventfd: number;
  readonly #flags = new Int32Array(new SharedArrayBuffer(SHARED_BYTES));
  readonly #memory: NativeMemory;
  readonly #ended: Promise<void>;

  /** @throws Error where the host lacks what it takes */
  constructor(sink: ConsoleSink) {
    const c = libc();
    if (c === undefined) throw new Error(libcProblem());
    const { fd, port } = openStampedSocket(c);
    this.#c = c;
    this.#socket = fd;
    this.port = port;
    this.#eventfd = c.eventfd(0, EFD_CLOEXEC_NONBLOCK);
    this.#memory = new NativeMemory(c, MOST_BYTES + 4096);
    new Uint32Array(this.#memory.buffer, MOST_BYTES)[0] = 1;
    this.#ended = this.#listen(sink);
    open.add(this);
  }

  /** Whose CPU time is read at doorbells. */
  attach(pid: number): void {
    Atomics.store(this.#flags, SHARED.pid, pid);
  }

  /** To the guest's serial port; after its first output, which says where it is. What a dead guest does not take is lost. */
  send(text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    for (let at = 0; at < bytes.length; at += MOST_BYTES) {
      const piece = bytes.subarray(at, at + MOST_BYTES);
      new Uint8Array(this.#memory.buffer).set(piece);
      this.#c.send(this.#socket, this.#memory.address, piece.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
  }

  /** Makes the thread end. */
  wake(): void {
    Atomics.store(this.#flags, SHARED.stop, 1);
    this.#c.write(this.#eventfd, this.#memory.address + MOST_BYTES, 8);
  }

  /** Ends the thread and gives everything back. Once. */
  async close(): Promise<void> {
    open.delete(this);
    this.wake();
    await this.#ended;
    closeSync(this.#socket);
    closeSync(this.#eventfd);
    this.#memory.free();
  }

  #listen(sink: ConsoleSink): Promise<void> {
    const workerData: ConsoleThreadData = {
      socket: this.#socket,
      eventfd: this.#eventfd,
      shared: this.#flags.buffer as SharedArrayBuffer,
    };
    const worker = new Worker(new URL('./console-thread.js', import.meta.url), { workerData });
    worker.on('message', (message: FromConsole) => {
      if (message.type === 'output') sink.output(message.bytes);
      else if (message.type === 'doorbell') sink.doorbell(message.which, message.stamp, message.byKernel);
      else sink.broken(`prints faster than its console is read: ${message.datagrams} bytes are lost`);
    });
    worker.on('error', (error) => sink.broken(`has lost its console's thread: ${error.message}`));
    return new Promise((resolve) => worker.on('exit', () => resolve()));
  }
}
