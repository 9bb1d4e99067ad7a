/*
 * scsi.h: SCSI commands, apart from the controller that carries them. SPC-3 (INQUIRY, REQUEST SENSE), SBC-2 (the rest).
 */
#ifndef VIRTAX_SCSI_H
#define VIRTAX_SCSI_H
#include <stdint.h>

enum {
  SCSI_CDB_MAX = 16,
  SCSI_SENSE_BYTES = 18,
  SCSI_BLOCK = 512, /* the only block length that we drive */
};
/* SAM-3, 5.3.1 */
enum { SCSI_GOOD = 0x00, SCSI_CHECK_CONDITION = 0x02, SCSI_BUSY = 0x08, SCSI_TASK_SET_FULL = 0x28 };
enum { SCSI_SENSE_NONE = 0x00, SCSI_SENSE_UNIT_ATTENTION = 0x06 };

/* How a controller runs one command during boot: returns the SCSI status, or negative errno (-ENOENT: no target answers). data may be NULL. */
struct scsi_bus {
  int (*execute)(struct scsi_bus *, unsigned target, const uint8_t *cdb, unsigned cdb_bytes, void *data, uint32_t data_bytes);
  void *scratch; /* SCSI_SCRATCH bytes for DMA */
};
enum { SCSI_SCRATCH = 256 };

/* The first disk on the bus, made ready: its target id and size in bytes; -1 if there is none. */
int scsi_find_disk(struct scsi_bus *, uint64_t *bytes);

/* Each writes a command descriptor block (SCSI_CDB_MAX bytes, zero padded) and returns its length. */
unsigned scsi_read_write(uint8_t *cdb, int write, uint64_t block, uint32_t blocks);
unsigned scsi_synchronize_cache(uint8_t *cdb);
unsigned scsi_request_sense(uint8_t *cdb);

/* Of fixed-format sense data: sense key, and additional sense code << 8 | qualifier. */
unsigned scsi_sense_key(const uint8_t *sense);
unsigned scsi_sense_code(const uint8_t *sense);
#endif
