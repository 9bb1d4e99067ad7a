/** Numbers of the io_uring interface, from Linux's include/uapi/linux/io_uring.h. Only those in use. */

export const SETUP = {
  CQSIZE: 1 << 3,
  SUBMIT_ALL: 1 << 7,
  COOP_TASKRUN: 1 << 8,
  TASKRUN_FLAG: 1 << 9,
  SINGLE_ISSUER: 1 << 12,
  DEFER_TASKRUN: 1 << 13,
} as const;

export const FEATURE = { SINGLE_MMAP: 1 << 0, NODROP: 1 << 1, EXT_ARG: 1 << 8 } as const;
export const ENTER = { GETEVENTS: 1 << 0, EXT_ARG: 1 << 3 } as const;
export const MMAP_OFFSET = { SQ_RING: 0, SQES: 0x10000000 } as const;

/** Bits of the SQ ring's flags word, written by the kernel. */
export const SQ_FLAG = { CQ_OVERFLOW: 1 << 1, TASKRUN: 1 << 2 } as const;
/** Bits of a CQE's flags word. */
export const CQE_FLAG = { BUFFER: 1 << 0, MORE: 1 << 1 } as const;
export const CQE_BUFFER_SHIFT = 16;

export const OP = {
  NOP: 0,
  READV: 1,
  WRITEV: 2,
  FSYNC: 3,
  POLL_ADD: 6,
  ASYNC_CANCEL: 14,
  FALLOCATE: 17,
  READ: 22,
  WRITE: 23,
  RECV: 27,
} as const;

export const FSYNC_DATASYNC = 1;
export const POLL_ADD_MULTI = 1;
/** poll(2). */
export const POLLIN = 1;
export const POLLOUT = 4;
export const POLLERR = 8;
/** In sqe->ioprio of RECV. */
export const RECV_MULTISHOT = 1 << 1;
export const SQE_BUFFER_SELECT = 1 << 5;
export const CANCEL_FLAG_ALL = 1 << 0;

export const REGISTER_PBUF_RING = 22;

/** struct io_uring_params: byte offsets. */
export const PARAMS = {
  BYTES: 120,
  SQ_ENTRIES: 0,
  CQ_ENTRIES: 4,
  FLAGS: 8,
  FEATURES: 20,
  SQ_OFF: 40,
  CQ_OFF: 80,
} as const;
/** struct io_sqring_offsets / io_cqring_offsets: index of a 32-bit word. */
export const SQ_OFF = { HEAD: 0, TAIL: 1, RING_MASK: 2, FLAGS: 4, ARRAY: 6 } as const;
export const CQ_OFF = { HEAD: 0, TAIL: 1, RING_MASK: 2, CQES: 5 } as const;

/** struct io_uring_sqe: index of a 32-bit word, 16 words. */
export const SQE = {
  WORDS: 16,
  /** opcode | flags << 8 | ioprio << 16 */
  OPCODE: 0,
  FD: 1,
  OFFSET: 2,
  ADDRESS: 4,
  LENGTH: 6,
  OP_FLAGS: 7,
  USER_DATA: 8,
  BUFFER_GROUP: 10,
} as const;
/** struct io_uring_cqe: 4 words. */
export const CQE = { WORDS: 4, USER_DATA: 0, RESULT: 2, FLAGS: 3 } as const;
