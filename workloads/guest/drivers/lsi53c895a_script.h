/*
 * lsi53c895a_script.h: the program that the chip runs, and the memory that program and driver share.
 */
#ifndef VIRTAX_LSI53C895A_SCRIPT_H
#define VIRTAX_LSI53C895A_SCRIPT_H
#include <stdint.h>

enum {
  LSI_TAGS = 32,
  LSI_PAGE = 256,
  LSI_START_SLOTS = LSI_PAGE / 4,
  LSI_EMPTY = 1,        /* low byte of an empty slot in the start ring */
  LSI_NO_STATUS = 0xff, /* in status[]: not done yet. No SCSI status has this value. */
  LSI_SHARED_ALIGN = 64 * 1024,
};

/* What a table-indirect move takes: at DSA + offset. */
struct lsi_table {
  uint32_t bytes; /* bits 23:0 */
  uint32_t address;
};

/* One command, in a page of its own. DSA points at it while the chip works on it. */
struct lsi_command {
  uint32_t select; /* bits 31:24 SCNTL3, 23:16 target, 15:8 SXFER */
  uint32_t unused;
  struct lsi_table message, cdb, data, status;
  uint8_t message_bytes[8], cdb_bytes[16];
  uint8_t fill[LSI_PAGE - 64];
};

/*
 * All that chip and driver share. Aligned to 64 KiB, so that the program makes a new DSA by writing its low two bytes: the page
 * number (a tag's is the tag) and the offset in the page.
 */
struct lsi_shared {
  struct lsi_command command[LSI_TAGS];
  /*
   * Commands to start: their bus addresses. The driver writes LSI_EMPTY (in the low byte) behind an entry before the entry itself;
   * the chip keeps its offset in SCRATCHB0, whose 8 bits wrap where the ring does.
   */
  uint32_t start[LSI_START_SLOTS];
  /* The SCSI status of each tag, written by the chip: the driver finds what is done in four 64-bit words. */
  uint8_t status[LSI_TAGS];
  uint8_t message_in[8];
};
enum { LSI_START_PAGE = LSI_TAGS };

/* Reasons of INT instructions, in DSPS. */
enum { LSI_INT_PHASE = 1, LSI_INT_MESSAGE = 2 };

/* Where the program begins and where a phase mismatch goes on, as offsets from where it was loaded. */
struct lsi_entry {
  uint32_t start, mismatch;
};
/* Writes the program to the chip's RAM, which stands at the bus address ram. */
struct lsi_entry lsi_load_script(volatile void *ram_registers, uint32_t ram, uint32_t shared);

#endif
