/*
 * lsi53c895a_script.h: the program that the chip runs, and the memory that program and driver share.
 */
#ifndef VIRTAX_LSI53C895A_SCRIPT_H
#define VIRTAX_LSI53C895A_SCRIPT_H
#include <stdint.h>

enum {
  LSI_TAGS = 32,
  LSI_PAGE = 256,
  LSI_START_SLOTS = 64,
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
 * A slot of the start ring is code that the chip runs in passing: three instructions. The first of them is all that changes: it
 * jumps to the wait while the slot is empty, and points DSA at the command's page when it is full (then the address behind it,
 * which a register operation does not look at, is idle).
 */
struct lsi_start {
  uint32_t first, wait;
  uint32_t select, reselected;
  uint32_t call, go;
};

/*
 * All that chip and driver share. Aligned to 64 KiB, so that the program makes a new DSA by writing one byte: the page number, which
 * is the tag.
 */
struct lsi_shared {
  struct lsi_command command[LSI_TAGS];
  /* The driver empties the slot behind before it fills one. The chip keeps its place in TEMP, as CALL leaves it there. */
  struct lsi_start start[LSI_START_SLOTS];
  uint32_t start_wrap[2]; /* jumps back to start[0] */
  /* The SCSI status of each tag, written by the chip: the driver finds what is done in four 64-bit words. */
  uint8_t status[LSI_TAGS];
  uint8_t message_in[8];
};

/* First instruction of a slot. */
#define LSI_SLOT_EMPTY 0x80080000u
#define LSI_SLOT_FULL(tag) (0x78110000u | (uint32_t)(tag) << 8)

/* Reasons of INT instructions, in DSPS. */
enum { LSI_INT_PHASE = 1, LSI_INT_MESSAGE = 2 };

/* Where the program begins and where a phase mismatch goes on: bus addresses. */
struct lsi_entry {
  uint32_t start, mismatch;
};
/* Writes the program to the chip's RAM, which stands at the bus address ram, and the start ring (all empty) to the shared block. */
struct lsi_entry lsi_load_script(volatile void *ram_registers, uint32_t ram, struct lsi_shared *, uint32_t shared_address);

#endif
