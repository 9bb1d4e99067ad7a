/* scsi.c: see scsi.h. */
#include "scsi.h"
#include "../kernel/kernel.h"
#include "../lib/mem.h"

enum {
  TEST_UNIT_READY = 0x00,
  REQUEST_SENSE = 0x03,
  INQUIRY = 0x12,
  READ_CAPACITY_10 = 0x25,
  READ_10 = 0x28,
  WRITE_10 = 0x2a,
  SYNCHRONIZE_CACHE_10 = 0x35,
  READ_16 = 0x88,
  WRITE_16 = 0x8a,
  SERVICE_ACTION_IN_16 = 0x9e,
  READ_CAPACITY_16 = 0x10, /* its service action */
  INQUIRY_BYTES = 36,
  TARGETS = 7, /* 7 is the controller itself */
  READY_TRIES = 8, /* a disk says "unit attention" once for each thing that happened to it */
};

static void put_be32(uint8_t *to, uint32_t v)
{
  for (unsigned i = 0; i < 4; i++) to[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get_be32(const uint8_t *from)
{
  return (uint32_t)from[0] << 24 | from[1] << 16 | from[2] << 8 | from[3];
}

/* READ(10) and WRITE(10) reach 2^32 blocks and move up to 65535. */
unsigned scsi_read_write(uint8_t *cdb, int write, uint64_t block, uint32_t blocks)
{
  memset(cdb, 0, SCSI_CDB_MAX);
  if (block + blocks <= UINT32_MAX && blocks <= UINT16_MAX) {
    cdb[0] = write ? WRITE_10 : READ_10;
    put_be32(cdb + 2, (uint32_t)block);
    cdb[7] = (uint8_t)(blocks >> 8);
    cdb[8] = (uint8_t)blocks;
    return 10;
  }
  cdb[0] = write ? WRITE_16 : READ_16;
  put_be32(cdb + 2, (uint32_t)(block >> 32));
  put_be32(cdb + 6, (uint32_t)block);
  put_be32(cdb + 10, blocks);
  return 16;
}

unsigned scsi_synchronize_cache(uint8_t *cdb)
{
  memset(cdb, 0, SCSI_CDB_MAX);
  cdb[0] = SYNCHRONIZE_CACHE_10; /* 0 blocks from block 0: all of it */
  return 10;
}

unsigned scsi_request_sense(uint8_t *cdb)
{
  memset(cdb, 0, SCSI_CDB_MAX);
  cdb[0] = REQUEST_SENSE;
  cdb[4] = SCSI_SENSE_BYTES;
  return 6;
}

unsigned scsi_sense_key(const uint8_t *sense) { return sense[2] & 0xf; }
unsigned scsi_sense_code(const uint8_t *sense) { return sense[12] << 8 | sense[13]; }

static int inquire(struct scsi_bus *bus, unsigned target)
{
  uint8_t cdb[SCSI_CDB_MAX] = {INQUIRY, 0, 0, 0, INQUIRY_BYTES};
  const uint8_t *answer = bus->scratch;
  int status = bus->execute(bus, target, cdb, 6, bus->scratch, INQUIRY_BYTES);
  if (status != SCSI_GOOD) return status < 0 ? status : -5;
  return answer[0] == 0 ? 0 : -2; /* peripheral qualifier 0 and device type 0: a disk, and it is there */
}

static int make_ready(struct scsi_bus *bus, unsigned target)
{
  uint8_t cdb[SCSI_CDB_MAX] = {TEST_UNIT_READY};
  uint8_t sense[SCSI_CDB_MAX];
  for (int i = 0; i < READY_TRIES; i++) {
    int status = bus->execute(bus, target, cdb, 6, NULL, 0);
    if (status == SCSI_GOOD) return 0;
    if (status < 0) return status;
    bus->execute(bus, target, sense, scsi_request_sense(sense), bus->scratch, SCSI_SENSE_BYTES);
  }
  return -5;
}

/* READ CAPACITY(10), and (16) when the number of the last block does not fit. */
static int read_capacity(struct scsi_bus *bus, unsigned target, uint64_t *bytes)
{
  uint8_t ten[SCSI_CDB_MAX] = {READ_CAPACITY_10}, sixteen[SCSI_CDB_MAX] = {SERVICE_ACTION_IN_16, READ_CAPACITY_16};
  const uint8_t *answer = bus->scratch;
  if (bus->execute(bus, target, ten, 10, bus->scratch, 8) != SCSI_GOOD) return -5;
  uint64_t last = get_be32(answer);
  uint32_t block = get_be32(answer + 4);
  if (last == UINT32_MAX) {
    sixteen[13] = 32;
    if (bus->execute(bus, target, sixteen, 16, bus->scratch, 32) != SCSI_GOOD) return -5;
    last = (uint64_t)get_be32(answer) << 32 | get_be32(answer + 4);
    block = get_be32(answer + 8);
  }
  if (block != SCSI_BLOCK) {
    kprintf("scsi: disk %u has blocks of %u bytes, which we do not drive\n", target, block);
    return -22;
  }
  *bytes = (last + 1) * SCSI_BLOCK;
  return 0;
}

int scsi_find_disk(struct scsi_bus *bus, uint64_t *bytes)
{
  for (unsigned target = 0; target < TARGETS; target++) {
    if (inquire(bus, target)) continue;
    if (!make_ready(bus, target) && !read_capacity(bus, target, bytes)) return (int)target;
    kprintf("scsi: disk %u does not get ready\n", target);
  }
  return -1;
}
