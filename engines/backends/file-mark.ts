/**
 * Marks by which one thread learns that the kernel has ended all that another thread, which is gone, had under way on a file. A mark is
 * an open file description lock (fcntl(2), F_OFD_SETLK, Linux 3.15) on one byte far behind the file's end. Such a lock goes when
 * the last reference to its description does, and each request of an io_uring that is in flight holds one: descriptor and ring may be
 * closed long before. So the byte is free when, and not before, nothing of the old thread can write to the file any more.
 */
import { closeSync, openSync } from 'node:fs';
import { type Libc, NativeMemory } from './libc.js';

const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
/** l_type of struct flock. */
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;
/** Words of struct flock on 64-bit systems: l_type and l_whence, pad, l_start, l_len, l_pid (0 for these commands). */
const START = 2;
const LENGTH = 4;
/** Marks lie from 2^62 on: high word of their first byte. */
const BASE_HIGH = 0x40000000;
const PAGE = 4096;

function withLock<T>(c: Libc, mark: number, type: number, action: (address: number, words: Uint32Array) => T): T {
  const memory = new NativeMemory(c, PAGE);
  try {
    const words = new Uint32Array(memory.buffer, 0, 8);
    words[0] = type;
    words[START] = mark % 2 ** 32;
    words[START + 1] = BASE_HIGH + Math.floor(mark / 2 ** 32);
    words[LENGTH] = 1;
    return action(memory.address, words);
  } finally {
    memory.free();
  }
}

/** Marks an open file; mark: 0 .. 2^48. False where the file system has no such locks. Several may have one mark. */
export function markFile(c: Libc, fd: number, mark: number): boolean {
  return withLock(c, mark, F_RDLCK, (address) => c.fcntl(fd, F_OFD_SETLK, address) >= 0);
}

/** Whether anybody who has the file open, or had it and has requests in flight, marked it so. The file must be there. */
export function isMarked(c: Libc, path: string, mark: number): boolean {
  const fd = openSync(path, 'r');
  try {
    return withLock(c, mark, F_WRLCK, (address, words) => {
      return c.fcntl(fd, F_OFD_GETLK, address) >= 0 && (words[0] & 0xffff) !== F_UNLCK;
    });
  } finally {
    closeSync(fd);
  }
}
