/** Receiving without io_uring: non-blocking recv(2) on every socket that somebody listens to, and ppoll(2) to sleep. */
import { type Libc, NativeMemory } from './libc.js';
import { DATAGRAM_MAX, MSG_DONTWAIT } from './udp.js';

const POLLIN = 1;
/** struct pollfd: int fd, short events, short revents. */
const POLLFD_WORDS = 2;
const POLLFDS_MAX = 1024;
/** Datagrams taken from one socket before the next one's turn. */
const BATCH = 32;
const DATAGRAM_AT = POLLFDS_MAX * POLLFD_WORDS * 4 + 64;

interface Watch {
  fd: number;
  events: number;
  ready: (events: number) => void;
}

interface Listener {
  fd: number;
  deliver: (datagram: Uint8Array) => void;
}

export class PolledSockets {
  readonly eventfd: number;
  readonly #listeners = new Map<number, Listener>();
  readonly #memory: NativeMemory;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  #list: Listener[] = [];
  readonly #watches = new Map<number, Watch>();
  #nextWatch = 0;

  constructor(private readonly c: Libc) {
    this.eventfd = c.eventfd(0, 0o2004000 /* EFD_CLOEXEC | EFD_NONBLOCK */);
    this.#memory = new NativeMemory(c, 4 * 4096);
    this.#words = new Uint32Array(this.#memory.buffer);
    this.#bytes = new Uint8Array(this.#memory.buffer, DATAGRAM_AT, DATAGRAM_MAX);
    this.#rebuild();
  }

  get listening(): boolean {
    return this.#list.length > 0 || this.#watches.size > 0;
  }

  start(id: number, fd: number, deliver: (datagram: Uint8Array) => void): void {
    this.#checkRoom();
    this.#listeners.set(id, { fd, deliver });
    this.#rebuild();
  }

  stop(id: number): void {
    if (this.#listeners.delete(id)) this.#rebuild();
  }

  /** IoContext.watch(). */
  watch(fd: number, events: number, ready: (events: number) => void): number {
    this.#checkRoom();
    const key = this.#nextWatch++;
    this.#watches.set(key, { fd, events, ready });
    this.#rebuild();
    return key;
  }

  unwatch(key: number): void {
    if (this.#watches.delete(key)) this.#rebuild();
  }

  clearWatches(): void {
    this.#watches.clear();
    this.#rebuild();
  }

  #checkRoom(): void {
    if (this.#listeners.size + this.#watches.size >= POLLFDS_MAX - 1) {
      throw new RangeError(`at most ${POLLFDS_MAX - 1} sockets can be polled`);
    }
  }

  /** Delivers what has arrived; how many. */
  poll(): number {
    let delivered = this.#watches.size > 0 ? this.#runWatches() : 0;
    for (const listener of this.#list) delivered += this.#drain(listener);
    return delivered;
  }

  /** Asks poll(2) at once, and runs the watches that have come true. */
  #runWatches(): number {
    const first = 1 + this.#list.length;
    const watches = [...this.#watches];
    const words = this.#words;
    const timespec = POLLFDS_MAX * POLLFD_WORDS;
    words.fill(0, timespec, timespec + 4);
    const address = this.#memory.address;
    if (this.c.ppoll(address + first * POLLFD_WORDS * 4, watches.length, address + timespec * 4) <= 0) return 0;
    const answers = watches.map((entry, i) => ({ entry, events: words[(first + i) * POLLFD_WORDS + 1] >>> 16 }));
    let ran = 0;
    for (const { entry, events } of answers) {
      const [key, watch] = entry;
      if (events === 0 || this.#watches.get(key) !== watch) continue;
      this.unwatch(key);
      watch.ready(events);
      ran++;
    }
    return ran;
  }

  #drain(listener: Listener): number {
    for (let count = 0; count < BATCH; count++) {
      const bytes = this.c.recv(listener.fd, this.#memory.address + DATAGRAM_AT, DATAGRAM_MAX, MSG_DONTWAIT);
      // An error of an earlier send (refused) is reported once and then cleared: the next poll looks again.
      if (bytes < 0) return count;
      listener.deliver(this.#bytes.subarray(0, bytes));
    }
    return BATCH;
  }

  /** Sleeps until a datagram, a write to the eventfd, or the timeout. */
  sleep(timeoutNs: number): void {
    const timespec = POLLFDS_MAX * POLLFD_WORDS;
    this.#words[timespec] = Math.floor(timeoutNs / 1e9);
    this.#words[timespec + 2] = timeoutNs % 1e9;
    const address = this.#memory.address;
    this.c.ppoll(address, this.#list.length + this.#watches.size + 1, address + timespec * 4);
    this.c.read(this.eventfd, address + timespec * 4 + 16, 8);
  }

  #rebuild(): void {
    this.#list = [...this.#listeners.values()];
    for (const [i, fd] of [this.eventfd, ...this.#list.map((listener) => listener.fd)].entries()) {
      this.#words[i * POLLFD_WORDS] = fd;
      this.#words[i * POLLFD_WORDS + 1] = POLLIN;
    }
    let at = (1 + this.#list.length) * POLLFD_WORDS;
    for (const { fd, events } of this.#watches.values()) {
      this.#words[at] = fd;
      this.#words[at + 1] = events;
      at += POLLFD_WORDS;
    }
  }

  dispose(): void {
    this.#list = [];
    this.#watches.clear();
    this.c.close(this.eventfd);
    this.#memory.free();
  }
}
