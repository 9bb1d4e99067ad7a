/**
 * The C library's calls that the host side of I/O stands on, through koffi (prebuilt, nothing is compiled).
 *
 * Conventions: memory is passed as an address (a number: user addresses are below 2 ** 47 on x86-64, 2 ** 48 on arm64,
 * so a double holds them), never as a view, which koffi would copy. Every function answers the call's result, or a
 * *negative errno*; none throws. Works in worker threads; each thread loads its own copy of this module.
 * errno is read straight after the call on the same thread, with nothing between that could change it.
 *
 * x86-64 and arm64 Linux, glibc and musl. Both pass a variadic function's arguments as they pass fixed ones, which is
 * what allows syscall(2) to be declared with six longs.
 */
import { type Koffi, loadKoffi } from './koffi.js';

type Call = (...args: (number | string)[]) => number;

/** System call numbers that have no wrapper in every C library (asm/unistd.h). */
interface SystemCalls {
  gettid: number;
  statx: number;
  futex: number;
}
const SYSCALLS: Record<string, SystemCalls> = {
  x64: { gettid: 186, statx: 332, futex: 202 },
  arm64: { gettid: 178, statx: 291, futex: 98 },
};
/** The same on both (and on every architecture since Linux 5.1). */
export const SYS_IO_URING = { setup: 425, enter: 426, register: 427 } as const;

export interface Libc {
  /** Any system call of up to six integers or addresses. */
  syscall(number: number, a: number, b: number, c: number, d: number, e: number, f: number): number;
  /** fd -1: anonymous memory. Answers an address, or a negative errno. */
  mmap(bytes: number, protection: number, flags: number, fd: number, offset: number): number;
  munmap(address: number, bytes: number): number;
  /** address: a multiple of the page size. */
  madvise(address: number, bytes: number, advice: number): number;
  memcpy(to: number, from: number, bytes: number): void;
  open(path: string, flags: number, mode: number): number;
  close(fd: number): number;
  read(fd: number, address: number, bytes: number): number;
  write(fd: number, address: number, bytes: number): number;
  pread(fd: number, address: number, bytes: number, offset: number): number;
  fdatasync(fd: number): number;
  fallocate(fd: number, mode: number, offset: number, bytes: number): number;
  /** fcntl(2) with a structure at `address`. */
  fcntl(fd: number, command: number, address: number): number;
  /** statx(2) with AT_EMPTY_PATH into 256 bytes at `address`. */
  fstatx(fd: number, mask: number, address: number): number;
  eventfd(initial: number, flags: number): number;
  timerfdCreate(clock: number, flags: number): number;
  /** struct itimerspec (four 64-bit words: interval, value; seconds before nanoseconds) at `spec`; relative. */
  timerfdSettime(fd: number, spec: number): number;
  ppoll(fds: number, count: number, timespec: number): number;
  socket(domain: number, type: number, protocol: number): number;
  connect(fd: number, address: number, bytes: number): number;
  bind(fd: number, address: number, bytes: number): number;
  listen(fd: number, backlog: number): number;
  /** The peer's address is not asked for. */
  accept4(fd: number, flags: number): number;
  /** SHUT_WR is 1. */
  shutdown(fd: number, how: number): number;
  getsockname(fd: number, address: number, bytesAddress: number): number;
  setsockopt(fd: number, level: number, name: number, address: number, bytes: number): number;
  send(fd: number, address: number, bytes: number, flags: number): number;
  recv(fd: number, address: number, bytes: number, flags: number): number;
  sendmmsg(fd: number, messages: number, count: number, flags: number): number;
  recvmmsg(fd: number, messages: number, count: number, flags: number): number;
  prctl(option: number, a: number, b: number): number;
  schedYield(): void;
  setpriority(which: number, who: number, nice: number): number;
  schedSetaffinity(pid: number, bytes: number, mask: number): number;
  /** Writes a struct timespec (two 64-bit words) at `timespec`. */
  clockGettime(clock: number, timespec: number): number;
  gettid(): number;
  /** Sleeps while the 32-bit word at `address` is `value`, at most the relative struct timespec at `timespec` (0: for ever). */
  futexWait(address: number, value: number, timespec: number): number;
  /** Wakes up to `count` threads of this process that sleep on the word. */
  futexWake(address: number, count: number): number;
  getppid(): number;
  /** Bytes of unmanaged memory as a buffer; nothing frees it. */
  view(address: number, bytes: number): ArrayBuffer;
  /** Address of a view's first byte. The view may lie in shared memory. */
  address(view: ArrayBufferView): number;
}

export const PROT_READ_WRITE = 3;
export const MAP_SHARED_POPULATE = 0x8001;
export const MAP_PRIVATE_ANONYMOUS = 0x22;
export const PR_SET_PDEATHSIG = 1;
export const PR_SET_TIMERSLACK = 29;
export const CLOCK_MONOTONIC = 1;
/* futex(2). */
const FUTEX_WAIT_PRIVATE = 0 | 128;
const FUTEX_WAKE_PRIVATE = 1 | 128;
const AT_EMPTY_PATH = 0x1000;
/** The header page of the string "" for statx, which wants a path even when it is empty. */
const EMPTY_PATH_BYTES = 4096;

type Loaded = { libc: Libc } | { reason: string };
let loaded: Loaded | undefined;

/** The bindings, or undefined where they cannot be had; libcProblem() then says why. */
export function libc(): Libc | undefined {
  loaded ??= load();
  return 'libc' in loaded ? loaded.libc : undefined;
}

/** One sentence for probe(): why libc() is undefined; undefined when it is there. */
export function libcProblem(): string | undefined {
  loaded ??= load();
  return 'reason' in loaded ? loaded.reason : undefined;
}

function load(): Loaded {
  if (process.platform !== 'linux') {
    return { reason: `system calls are bound for Linux only, this is ${process.platform}` };
  }
  const numbers = SYSCALLS[process.arch];
  if (numbers === undefined) {
    return { reason: `system calls are bound for x64 and arm64 processors only, this is ${process.arch}` };
  }
  try {
    return { libc: bind(loadKoffi(), numbers) };
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return {
      reason: `koffi (calls into the C library) does not load here: ${why}; run npm ci without --omit=optional`,
    };
  }
}

function bind(koffi: Koffi, numbers: SystemCalls): Libc {
  const library = koffi.load(null);
  const raw = (name: string, result: string, args: string[]): Call => library.func(name, result, args) as Call;
  const { errno } = koffi;
  const long6 = ['long', 'long', 'long', 'long', 'long', 'long'];
  const syscall = raw('syscall', 'long', ['long', ...long6]);
  const mmap = raw('mmap', 'intptr_t', ['uintptr_t', 'size_t', 'int', 'int', 'int', 'int64_t']);
  const memcpy = raw('memcpy', 'uintptr_t', ['uintptr_t', 'uintptr_t', 'size_t']);
  const schedYield = raw('sched_yield', 'int', []);
  /** Declares a function whose failure is a negative result with errno set. */
  const checked = (name: string, args: string[], result = 'int'): Call => {
    const call = raw(name, result, args);
    // Written out for the arity that occurs most: a rest array per call would cost more than the call.
    switch (args.length) {
      case 1:
        return ((a: number) => (call(a) < 0 ? -errno() : 0)) as Call;
      case 2:
        return (a, b) => result0(call(a, b), errno);
      case 3:
        return (a, b, c) => result0(call(a, b, c), errno);
      case 4:
        return (a, b, c, d) => result0(call(a, b, c, d), errno);
      default:
        return (a, b, c, d, e) => result0(call(a, b, c, d, e), errno);
    }
  };
  const empty = mmap(0, EMPTY_PATH_BYTES, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  const ppoll = raw('ppoll', 'int', ['uintptr_t', 'ulong', 'uintptr_t', 'uintptr_t']);
  const recvmmsg = raw('recvmmsg', 'int', ['int', 'uintptr_t', 'uint', 'int', 'uintptr_t']);
  const accept4 = raw('accept4', 'int', ['int', 'uintptr_t', 'uintptr_t', 'int']);
  const timerfdSettime = raw('timerfd_settime', 'int', ['int', 'int', 'uintptr_t', 'uintptr_t']);
  const prctl = raw('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']);
  return {
    syscall: (n, a, b, c, d, e, f) => result0(syscall(n, a, b, c, d, e, f), errno),
    mmap: (bytes, protection, flags, fd, offset) => {
      const address = mmap(0, bytes, protection, flags, fd, offset);
      return address === -1 ? -errno() : address;
    },
    munmap: checked('munmap', ['uintptr_t', 'size_t']),
    madvise: checked('madvise', ['uintptr_t', 'size_t', 'int']),
    memcpy: (to, from, bytes) => {
      memcpy(to, from, bytes);
    },
    open: checked('open', ['str', 'int', 'int']) as Libc['open'],
    close: checked('close', ['int']),
    read: checked('read', ['int', 'uintptr_t', 'size_t'], 'intptr_t'),
    write: checked('write', ['int', 'uintptr_t', 'size_t'], 'intptr_t'),
    pread: checked('pread', ['int', 'uintptr_t', 'size_t', 'int64_t'], 'intptr_t'),
    fdatasync: checked('fdatasync', ['int']),
    fallocate: checked('fallocate', ['int', 'int', 'int64_t', 'int64_t']),
    fcntl: checked('fcntl', ['int', 'int', 'uintptr_t']),
    fstatx: (fd, mask, address) => result0(syscall(numbers.statx, fd, empty, AT_EMPTY_PATH, mask, address, 0), errno),
    eventfd: checked('eventfd', ['uint', 'int']),
    timerfdCreate: checked('timerfd_create', ['int', 'int']),
    timerfdSettime: (fd, spec) => result0(timerfdSettime(fd, 0, spec, 0), errno),
    ppoll: (fds, count, timespec) => result0(ppoll(fds, count, timespec, 0), errno),
    socket: checked('socket', ['int', 'int', 'int']),
    connect: checked('connect', ['int', 'uintptr_t', 'uint']),
    bind: checked('bind', ['int', 'uintptr_t', 'uint']),
    listen: checked('listen', ['int', 'int']),
    accept4: (fd, flags) => result0(accept4(fd, 0, 0, flags), errno),
    shutdown: checked('shutdown', ['int', 'int']),
    getsockname: checked('getsockname', ['int', 'uintptr_t', 'uintptr_t']),
    setsockopt: checked('setsockopt', ['int', 'int', 'int', 'uintptr_t', 'uint']),
    send: checked('send', ['int', 'uintptr_t', 'size_t', 'int'], 'intptr_t'),
    recv: checked('recv', ['int', 'uintptr_t', 'size_t', 'int'], 'intptr_t'),
    sendmmsg: checked('sendmmsg', ['int', 'uintptr_t', 'uint', 'int']),
    recvmmsg: (fd, messages, count, flags) => result0(recvmmsg(fd, messages, count, flags, 0), errno),
    prctl: (option, a, b) => result0(prctl(option, a, b, 0, 0), errno),
    schedYield: () => {
      schedYield();
    },
    setpriority: checked('setpriority', ['int', 'uint', 'int']),
    schedSetaffinity: checked('sched_setaffinity', ['int', 'size_t', 'uintptr_t']),
    clockGettime: checked('clock_gettime', ['int', 'uintptr_t']),
    futexWait: (address, value, timespec) =>
      result0(syscall(numbers.futex, address, FUTEX_WAIT_PRIVATE, value, timespec, 0, 0), errno),
    futexWake: (address, count) => result0(syscall(numbers.futex, address, FUTEX_WAKE_PRIVATE, count, 0, 0, 0), errno),
    gettid: () => syscall(numbers.gettid, 0, 0, 0, 0, 0, 0),
    getppid: raw('getppid', 'int', []),
    view: (address, bytes) => koffi.view(BigInt(address), bytes),
    address: (view) => Number(koffi.address(view)),
  };
}

const result0 = (result: number, errno: () => number): number => (result < 0 ? -errno() : result);

/** Anonymous zeroed pages outside of JavaScript's heap: their address never changes. For what the kernel reads and writes. */
export class NativeMemory {
  readonly address: number;
  readonly buffer: ArrayBuffer;

  constructor(
    private readonly c: Libc,
    readonly bytes: number,
  ) {
    this.address = c.mmap(bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
    if (this.address < 0) throw new Error(`no memory for ${bytes} bytes of I/O buffers (errno ${-this.address})`);
    this.buffer = c.view(this.address, bytes);
  }

  /** Gives the pages back. No view on `buffer` may be touched afterwards. */
  free(): void {
    this.c.munmap(this.address, this.bytes);
  }
}
