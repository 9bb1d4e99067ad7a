/** Opening a disk's backing file: O_DIRECT where the file system takes it, and what it wants to be aligned to. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { markFile } from './file-mark.js';
import type { BlockInfo, BlockOptions } from './io.js';
import { type Libc, NativeMemory } from './libc.js';

const STATX_DIOALIGN = 0x2000;
/** struct statx (linux/stat.h): byte offsets of stx_mask, stx_dio_mem_align, stx_dio_offset_align. */
const STX_MASK = 0;
const STX_DIO_MEM_ALIGN = 152;
const STX_DIO_OFFSET_ALIGN = 156;
const PAGE = 4096;
/** What O_DIRECT has asked for since Linux 2.6 where the kernel (before 6.1) or the file system does not tell. */
const USUAL_ALIGNMENTS = [512, PAGE];
const EINVAL = 22;

/* Modes of fallocate(2), linux/falloc.h. */
const KEEP_SIZE = 0x01;
const PUNCH_HOLE = 0x02;
const ZERO_RANGE = 0x10;

/** Mode of fallocate(2) that makes a range read as zeros, with its blocks given back or kept. */
export const zeroMode = (unmap: boolean): number => KEEP_SIZE | (unmap ? PUNCH_HOLE : ZERO_RANGE);

export class BlockFile {
  /** O_DIRECT when info.direct. */
  readonly fd: number;
  readonly info: BlockInfo;
  /** What O_DIRECT wants of the memory address; often less than of length and offset. */
  readonly memoryAlignment: number;
  /** Offsets must stay below: a regular file's size, so that a caller's bug cannot grow it. */
  readonly limit: number;
  #buffered: number | undefined;

  constructor(
    private readonly c: Libc | undefined,
    readonly path: string,
    private readonly options: BlockOptions,
  ) {
    const direct = options.direct ? openDirect(c, path, options.readonly) : undefined;
    this.fd = direct?.fd ?? openFile(path, options.readonly, 0);
    const stat = fstatSync(this.fd);
    this.limit = stat.isFile() ? stat.size : Number.POSITIVE_INFINITY;
    this.memoryAlignment = direct?.memory ?? 1;
    this.info = { bytes: stat.size, direct: direct !== undefined, alignment: direct?.alignment ?? 1 };
    if (options.mark !== undefined) this.info.marked = this.#mark(this.fd);
  }

  /**
   * The same file without O_DIRECT, for requests whose length or offset O_DIRECT would refuse. The kernel keeps both
   * views of the file coherent (a direct access flushes or drops cached pages of its range).
   */
  get bufferedFd(): number {
    if (!this.info.direct) return this.fd;
    if (this.#buffered === undefined) {
      this.#buffered = openFile(this.path, this.options.readonly, 0);
      this.#mark(this.#buffered);
    }
    return this.#buffered;
  }

  #mark(fd: number): boolean {
    const { mark } = this.options;
    return mark !== undefined && this.c !== undefined && markFile(this.c, fd, mark);
  }

  /** Whether `fd` takes a request of this length and offset. */
  takes(bytes: number, offset: number): boolean {
    const { alignment } = this.info;
    return alignment === 1 || (bytes % alignment === 0 && offset % alignment === 0);
  }

  /** Throws when a range lies outside of the file: the caller has checked its guest's numbers already. */
  check(offset: number, bytes: number): void {
    if (offset >= 0 && offset + bytes <= this.limit && Number.isInteger(offset)) return;
    throw new RangeError(`disk I/O of ${bytes} bytes at ${offset} lies outside ${this.path} of ${this.limit} bytes`);
  }

  close(): void {
    closeSync(this.fd);
    if (this.#buffered !== undefined) closeSync(this.#buffered);
  }
}

function openFile(path: string, readonly: boolean, extra: number): number {
  try {
    return openSync(path, (readonly ? constants.O_RDONLY : constants.O_RDWR) | extra);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`disk file ${path} cannot be opened for ${readonly ? 'reading' : 'reading and writing'}: ${why}`);
  }
}

interface Direct {
  fd: number;
  alignment: number;
  memory: number;
}

/** undefined where O_DIRECT is not to be had: open() or the first read refuses it (EINVAL). */
function openDirect(c: Libc | undefined, path: string, readonly: boolean): Direct | undefined {
  let fd: number;
  try {
    fd = openSync(path, (readonly ? constants.O_RDONLY : constants.O_RDWR) | constants.O_DIRECT);
  } catch {
    return undefined; // Opening it without O_DIRECT tells whether that was the reason.
  }
  const found = c === undefined ? { alignment: PAGE, memory: PAGE } : findAlignment(c, fd);
  if (found !== undefined) return { fd, ...found };
  closeSync(fd);
  return undefined;
}

function findAlignment(c: Libc, fd: number): { alignment: number; memory: number } | undefined {
  const page = new NativeMemory(c, 2 * PAGE);
  try {
    const told = statxAlignment(c, fd, page);
    for (const alignment of told === undefined ? USUAL_ALIGNMENTS : [told.alignment]) {
      const memory = told?.memory ?? alignment;
      if (c.pread(fd, page.address, alignment, 0) !== -EINVAL) return { alignment, memory };
    }
    return undefined;
  } finally {
    page.free();
  }
}

/** Linux 6.1's STATX_DIOALIGN; undefined where kernel or file system do not tell. */
function statxAlignment(c: Libc, fd: number, page: NativeMemory): { alignment: number; memory: number } | undefined {
  if (c.fstatx(fd, STATX_DIOALIGN, page.address) < 0) return undefined;
  const statx = new Uint32Array(page.buffer);
  const memory = statx[STX_DIO_MEM_ALIGN / 4];
  const offset = statx[STX_DIO_OFFSET_ALIGN / 4];
  if ((statx[STX_MASK / 4] & STATX_DIOALIGN) === 0 || memory === 0 || offset === 0) return undefined;
  return { alignment: Math.max(memory, offset), memory };
}
