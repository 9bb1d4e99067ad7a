/** Numbers of the block device (virtio 1.2, 5.2). */

export const BLK_F = {
  SEG_MAX: 2,
  RO: 5,
  BLK_SIZE: 6,
  FLUSH: 9,
  TOPOLOGY: 10,
  MQ: 12,
  DISCARD: 13,
  WRITE_ZEROES: 14,
} as const;

/** Request types (5.2.6). */
export const BLK_T = { IN: 0, OUT: 1, FLUSH: 4, GET_ID: 8, DISCARD: 11, WRITE_ZEROES: 13 } as const;
export const BLK_S = { OK: 0, IOERR: 1, UNSUPP: 2 } as const;

/** A request starts with type, reserved word and sector; its last byte is the status. */
export const HEADER_BYTES = 16;
export const ID_BYTES = 20;
export const SECTOR_BYTES = 512;

/** struct virtio_blk_discard_write_zeroes: sector, number of sectors, flags. */
export const RANGE_BYTES = 16;
export const RANGE_F_UNMAP = 1;

/** struct virtio_blk_config (5.2.4): byte offsets. */
export const BLK_CONFIG = {
  CAPACITY: 0,
  SEG_MAX: 12,
  BLK_SIZE: 20,
  PHYSICAL_BLOCK_EXP: 24,
  MIN_IO_SIZE: 26,
  OPT_IO_SIZE: 28,
  NUM_QUEUES: 34,
  MAX_DISCARD_SECTORS: 36,
  MAX_DISCARD_SEG: 40,
  DISCARD_SECTOR_ALIGNMENT: 44,
  MAX_WRITE_ZEROES_SECTORS: 48,
  MAX_WRITE_ZEROES_SEG: 52,
  WRITE_ZEROES_MAY_UNMAP: 56,
  BYTES: 60,
} as const;
