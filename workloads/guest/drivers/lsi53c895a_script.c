/*
 * lsi53c895a_script.c: our SCRIPTS program, in a small assembler.
 * LSI53C895A Technical Manual, chapter 5 (SCSI SCRIPTS Instruction Set).
 *
 * The life of a command: the driver puts its tag into the start ring and sets SIGP. The chip comes by, selects the
 * target, sends IDENTIFY and the tag, then the command block, and does what the target asks for by its bus phases: data, status,
 * or a disconnect. While one command is disconnected others are started; a reselecting target names the tag that goes on. The
 * status byte is written straight into the driver's table, and INTFLY raises the interrupt while the chip already goes on.
 *
 * Every instruction costs: the real chip takes half a microsecond for it, and an emulator may pause the program after a hundred.
 */
#include "lsi53c895a_script.h"
#include <stddef.h>
#include "../kernel/kernel.h"
#include "lsi53c895a_regs.h"

enum label { GO, DISPATCH, MISMATCH, DATA_IN, DATA_OUT, AFTER_DATA, MESSAGE, DISCONNECT, STATUS, START, WAIT, RESELECTED, LABELS };

enum kind { PLAIN, LABEL_HERE, TO_LABEL, TO_MESSAGE_BUFFER };
struct instruction {
  uint32_t first, second;
  enum kind kind;
};

#define TABLE(field) ((uint32_t)offsetof(struct lsi_command, field))
#define PHASE(p) ((uint32_t)(p) << 24)
#define REG(r) ((uint32_t)(r) << 16)

#define LABEL(name) {0, name, LABEL_HERE}
/* Block moves. The count and address come from the table at DSA + offset; the second form moves to the message buffer. */
#define MOVE(field, phase) {0x18000000u | PHASE(phase), TABLE(field), PLAIN}
#define MOVE_MESSAGE(count) {0x08000000u | PHASE(LSI_MESSAGE_IN) | (count), 0, TO_MESSAGE_BUFFER}
/* I/O. SELECT takes the target from the table at DSA + 0, and like the wait goes elsewhere when the bus has something else to say. */
#define SELECT (0x43000000u | TABLE(select))
#define WAIT_DISCONNECT {0x48000000u, 0, PLAIN}
#define WAIT_RESELECT_ELSE(label) {0x50000000u, label, TO_LABEL}
#define CLEAR_ACK {0x60000040u, 0, PLAIN}
/* Registers: operators 2 or, 4 and. */
#define SFBR_FROM(r) {0x72000000u | REG(r), 0, PLAIN}
#define SFBR_FROM_AND(r, mask) {0x74000000u | REG(r) | (mask) << 8, 0, PLAIN}
#define SFBR_TO(r) {0x6a000000u | REG(r), 0, PLAIN}
#define AND(r, value) {0x7c000000u | REG(r) | (uint32_t)(value) << 8, 0, PLAIN}
/* Four bytes of a register to DSA + offset. */
#define STORE(r, offset) {0xf0000004u | REG(r), offset, PLAIN}
/* Transfer of control. WHEN waits for the target to ask for a phase, IF takes the last one. */
#define JUMP_ALWAYS 0x80080000u
#define CALL_ALWAYS 0x88080000u
#define JUMP(label) {JUMP_ALWAYS, label, TO_LABEL}
#define RETURN {0x90080000u, 0, PLAIN}
#define JUMP_WHEN(phase, label) {0x800b0000u | PHASE(phase), label, TO_LABEL}
#define JUMP_IF(phase, label) {0x800a0000u | PHASE(phase), label, TO_LABEL}
#define JUMP_IF_SFBR(value, label) {0x800c0000u | (value), label, TO_LABEL}
#define INT(reason) {0x98080000u, reason, PLAIN}
#define INTFLY {0x98180000u, 0, PLAIN}

static const struct instruction program[] = {
    /* From a slot of the start ring, the target being selected. */
    LABEL(GO),
    MOVE(message, LSI_MESSAGE_OUT),
    MOVE(cdb, LSI_COMMAND),

    LABEL(DISPATCH),
    JUMP_WHEN(LSI_MESSAGE_IN, MESSAGE),
    JUMP_IF(LSI_DATA_IN, DATA_IN),
    JUMP_IF(LSI_DATA_OUT, DATA_OUT),
    JUMP_IF(LSI_STATUS, STATUS),
    INT(LSI_INT_PHASE),

    /* The target broke off a data phase: what is left goes back into the table, in case that it asks for the rest. */
    LABEL(MISMATCH),
    STORE(LSI_RBC, TABLE(data.bytes)),
    STORE(LSI_UA, TABLE(data.address)),
    JUMP(DISPATCH),

    LABEL(DATA_OUT),
    MOVE(data, LSI_DATA_OUT),
    JUMP(AFTER_DATA),
    LABEL(DATA_IN),
    MOVE(data, LSI_DATA_IN),
    LABEL(AFTER_DATA), /* all has been moved: more data is not there to be had */
    JUMP_WHEN(LSI_STATUS, STATUS),
    JUMP_IF(LSI_MESSAGE_IN, MESSAGE),
    INT(LSI_INT_PHASE),

    LABEL(MESSAGE),
    MOVE_MESSAGE(1),
    JUMP_IF_SFBR(0x04, DISCONNECT),
    CLEAR_ACK,
    JUMP_IF_SFBR(0x02, DISPATCH), /* SAVE DATA POINTER: the table holds it */
    INT(LSI_INT_MESSAGE),

    LABEL(STATUS),
    MOVE(status, LSI_STATUS),
    MOVE_MESSAGE(1), /* COMMAND COMPLETE */
    AND(LSI_SCNTL2, 0xff & ~LSI_SCNTL2_SDU),
    CLEAR_ACK,
    WAIT_DISCONNECT,
    INTFLY,
    JUMP(START),

    LABEL(DISCONNECT),
    AND(LSI_SCNTL2, 0xff & ~LSI_SCNTL2_SDU),
    CLEAR_ACK,
    WAIT_DISCONNECT,

    /* Reading CTEST2 clears SIGP, before the ring is looked at: a slot that is filled later sets it again and ends the wait. */
    LABEL(START),
    SFBR_FROM(LSI_CTEST2),
    RETURN, /* to the next slot */

    LABEL(WAIT),
    WAIT_RESELECT_ELSE(START),
    LABEL(RESELECTED), /* IDENTIFY, SIMPLE QUEUE TAG and the tag, which stays on the data lines (SIDL) */
    MOVE_MESSAGE(3),
    SFBR_FROM_AND(LSI_SIDL, LSI_TAGS - 1),
    SFBR_TO(LSI_DSA + 1),
    CLEAR_ACK,
    JUMP_WHEN(LSI_STATUS, STATUS),
    JUMP_IF(LSI_DATA_IN, DATA_IN),
    JUMP(DISPATCH),
};
enum { INSTRUCTIONS = sizeof program / sizeof *program };

/* The target that is selected, the place to go on, and then CALL leaves the next slot's address in TEMP. */
static void make_ring(struct lsi_shared *shared, uint32_t address, uint32_t wait, uint32_t reselected, uint32_t go)
{
  for (unsigned i = 0; i < LSI_START_SLOTS; i++)
    shared->start[i] = (struct lsi_start){LSI_SLOT_EMPTY, wait, SELECT, reselected, CALL_ALWAYS, go};
  shared->start_wrap[0] = JUMP_ALWAYS;
  shared->start_wrap[1] = address + (uint32_t)offsetof(struct lsi_shared, start);
}

struct lsi_entry lsi_load_script(volatile void *ram_registers, uint32_t ram, struct lsi_shared *shared, uint32_t shared_address)
{
  uint32_t label[LABELS], at = ram;
  for (unsigned i = 0; i < INSTRUCTIONS; i++) {
    if (program[i].kind == LABEL_HERE) label[program[i].second] = at;
    else at += 8;
  }
  at = 0;
  for (unsigned i = 0; i < INSTRUCTIONS; i++) {
    const struct instruction *in = &program[i];
    if (in->kind == LABEL_HERE) continue;
    uint32_t second = in->second;
    if (in->kind == TO_LABEL) second = label[second];
    if (in->kind == TO_MESSAGE_BUFFER) second = shared_address + (uint32_t)offsetof(struct lsi_shared, message_in);
    mmio_write32(ram_registers, at, in->first);
    mmio_write32(ram_registers, at + 4, second);
    at += 8;
  }
  make_ring(shared, shared_address, label[WAIT], label[RESELECTED], label[GO]);
  return (struct lsi_entry){label[START], label[MISMATCH]};
}

_Static_assert(sizeof(struct lsi_command) == LSI_PAGE, "a command fills its page, so that its number is the tag");
_Static_assert(offsetof(struct lsi_shared, start_wrap) == offsetof(struct lsi_shared, start) + LSI_START_SLOTS * sizeof(struct lsi_start),
               "the chip runs from the last slot into the jump");
_Static_assert(offsetof(struct lsi_shared, status) % 8 == 0, "the driver reads status bytes as 64-bit words");
