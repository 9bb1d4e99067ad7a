import { closeSync, openSync } from 'node:fs';
import { threadId } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { CLOCK_MONOTONIC, libc, libcProblem, NativeMemory } from '#engines/backends/libc.js';

const ENOENT = 2;
const EBADF = 9;
const EINVAL = 22;
/** include/uapi/linux/time.h */
const CLOCK_THREAD_CPUTIME_ID = 3;

describe.skipIf(libcProblem() !== undefined)('libc', () => {
  const c = libc();
  if (c === undefined) return;

  it('answers failures as negative errno, whatever the number of arguments', () => {
    expect(c.close(-1)).toBe(-EBADF);
    expect(c.fdatasync(-1)).toBe(-EBADF);
    expect(c.munmap(1, 4096)).toBe(-EINVAL);
    expect(c.open('/nonexistent/file', 0, 0)).toBe(-ENOENT);
    expect(c.read(-1, 0, 0)).toBe(-EBADF);
    expect(c.pread(-1, 0, 0, 0)).toBe(-EBADF);
    expect(c.setsockopt(-1, 1, 1, 0, 0)).toBe(-EBADF);
    expect(c.recvmmsg(-1, 0, 0, 0)).toBe(-EBADF);
    expect(c.mmap(0, 3, 0x22, -1, 0)).toBe(-EINVAL);
  });

  it('shares memory with the kernel and with JavaScript', () => {
    const memory = new NativeMemory(c, 8192);
    const bytes = new Uint8Array(memory.buffer);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    expect(c.address(bytes)).toBe(memory.address);
    const fd = openSync('/proc/self/stat', 'r');
    const count = c.read(fd, memory.address + 4096, 4096);
    closeSync(fd);
    const fields = Buffer.from(bytes.subarray(4096, 4096 + count))
      .toString()
      .split(' ');
    expect(fields[0]).toBe(String(process.pid));
    expect(c.getppid()).toBe(process.ppid);
    if (threadId === 0) expect(c.gettid()).toBe(process.pid);
    memory.free();
  });

  it('reads the clocks that the kernel keeps', () => {
    const memory = new NativeMemory(c, 4096);
    const words = new BigInt64Array(memory.buffer);
    const before = process.hrtime.bigint();
    expect(c.clockGettime(CLOCK_MONOTONIC, memory.address)).toBe(0);
    const now = words[0] * 1_000_000_000n + words[1];
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(process.hrtime.bigint());
    expect(c.clockGettime(CLOCK_THREAD_CPUTIME_ID, memory.address)).toBe(0);
    expect(words[0] * 1_000_000_000n + words[1]).toBeGreaterThan(0n);
    expect(c.clockGettime(99, memory.address)).toBe(-EINVAL);
    memory.free();
  });
});
