/*
 * lsi53c895a.c: LSI 53C895A SCSI controller with one disk, 32 commands in flight by tagged queueing.
 *
 * The work is done by the chip's own program (lsi53c895a_script.c); the driver fills in commands, puts them into the start ring
 * with one doorbell (SIGP) a batch, and collects status bytes at interrupts. Anything that the program does not expect stops the
 * chip with an interrupt: then every command in flight fails with -EIO, and bus and chip are reset.
 */
#include "../include/env.h"
#include "../kernel/blockdev.h"
#include "../kernel/kernel.h"
#include "../lib/mem.h"
#include "lsi53c895a_regs.h"
#include "lsi53c895a_script.h"
#include "pci.h"
#include "scsi.h"

enum {
  REGISTERS = 0x100,
  CHIP_RAM = 8192,
  OWN_ID = 7,
  RETRIES = 8, /* of BUSY, of a full task set, of a unit attention */
  IDENTIFY = 0xc0, /* LUN 0, may disconnect */
  SIMPLE_TAG = 0x20,
  MOVE_MAX = 0xffffff,
};
#define BOOT_TIMEOUT_NS 5000000000ull
#define BUS_RESET_NS 30000 /* SCSI-2: at least 25 us */

/* What the driver knows of a tag, beside the command that it shares with the chip. */
struct slot {
  struct block_request *request; /* NULL: free, or a command of the boot */
  unsigned retries;
  int sensing; /* the command is REQUEST SENSE, after a CHECK CONDITION of the request */
};

struct lsi {
  struct blockdev block;
  struct scsi_bus bus;
  volatile void *regs, *ram_regs;
  uint32_t ram;
  struct lsi_shared *shared;
  struct lsi_entry entry;
  unsigned next_start; /* slot of the start ring */
  unsigned target;
  struct slot slot[LSI_TAGS];
  uint32_t free_tags; /* a bit each */
  uint8_t (*sense)[32]; /* one a tag */
};
static struct lsi chip;

static uint32_t bus_address(const void *p) { return (uint32_t)dma_address(p); }

/* ---- starting ---- */

/* The slot behind is emptied first: the chip must never run on into an old entry. */
static void push(struct lsi *c, unsigned tag)
{
  unsigned here = c->next_start, behind = (here + 1) % LSI_START_SLOTS;
  c->next_start = behind;
  *(volatile uint32_t *)&c->shared->start[behind].first = LSI_SLOT_EMPTY;
  dma_fence();
  *(volatile uint32_t *)&c->shared->start[here].first = LSI_SLOT_FULL(tag);
}

static void ring_doorbell(struct lsi *c) { mmio_write8(c->regs, LSI_ISTAT, LSI_ISTAT_SIGP); }

/*
 * A command without data gets one byte to spare: QEMU's model shows a data phase while such a command runs, and leaves it by a
 * phase mismatch.
 */
static void set_data(struct lsi_command *cmd, struct lsi *c, const void *data, uint32_t bytes)
{
  cmd->data.bytes = bytes ? bytes : 1;
  cmd->data.address = bytes ? bus_address(data) : bus_address(c->shared->message_in) + 4;
}

static struct lsi_command *prepare(struct lsi *c, unsigned tag, unsigned target)
{
  struct lsi_command *cmd = &c->shared->command[tag];
  c->shared->status[tag] = LSI_NO_STATUS;
  cmd->select = 0x03000000u | target << 16; /* SCNTL3: 40 MHz clock, asynchronous */
  cmd->message_bytes[0] = IDENTIFY;
  cmd->message_bytes[1] = SIMPLE_TAG;
  cmd->message_bytes[2] = (uint8_t)tag;
  cmd->message = (struct lsi_table){3, bus_address(cmd->message_bytes)};
  cmd->status = (struct lsi_table){1, bus_address(&c->shared->status[tag])};
  return cmd;
}

static void start_request(struct lsi *c, unsigned tag)
{
  const struct block_request *r = c->slot[tag].request;
  struct lsi_command *cmd = prepare(c, tag, c->target);
  int flush = r->op == ENV_BLOCK_FLUSH;
  unsigned bytes = flush ? scsi_synchronize_cache(cmd->cdb_bytes)
                         : scsi_read_write(cmd->cdb_bytes, r->op == ENV_BLOCK_WRITE, r->offset / SCSI_BLOCK, r->bytes / SCSI_BLOCK);
  cmd->cdb = (struct lsi_table){bytes, bus_address(cmd->cdb_bytes)};
  set_data(cmd, c, r->buf, flush ? 0 : r->bytes);
  push(c, tag);
}

static void start_sense(struct lsi *c, unsigned tag)
{
  struct lsi_command *cmd = prepare(c, tag, c->target);
  c->slot[tag].sensing = 1;
  memset(c->sense[tag], 0, sizeof c->sense[tag]);
  cmd->cdb = (struct lsi_table){scsi_request_sense(cmd->cdb_bytes), bus_address(cmd->cdb_bytes)};
  set_data(cmd, c, c->sense[tag], SCSI_SENSE_BYTES);
  push(c, tag);
}

static int reachable(const struct block_request *r)
{
  if (r->op == ENV_BLOCK_FLUSH) return 1;
  return r->bytes <= MOVE_MAX && dma_address(r->buf) + r->bytes <= 1ull << 32;
}

static unsigned submit(struct blockdev *dev, unsigned queue, struct block_request *list)
{
  struct lsi *c = dev->driver;
  (void)queue;
  unsigned taken = 0, started = 0;
  for (struct block_request *r = list, *next; r && c->free_tags; r = next, taken++) {
    next = r->next;
    if (!reachable(r)) {
      block_complete(r, -ENV_EINVAL);
      continue;
    }
    unsigned tag = (unsigned)__builtin_ctz(c->free_tags);
    c->free_tags &= ~(1u << tag);
    c->slot[tag] = (struct slot){.request = r};
    start_request(c, tag);
    started++;
  }
  if (started) ring_doorbell(c);
  return taken;
}

/* ---- completing ---- */

static void finish(struct lsi *c, unsigned tag, int status)
{
  struct block_request *r = c->slot[tag].request;
  c->slot[tag] = (struct slot){0};
  c->free_tags |= 1u << tag;
  block_complete(r, status);
}

static void fail(struct lsi *c, unsigned tag, unsigned status)
{
  const struct block_request *r = c->slot[tag].request;
  const uint8_t *sense = c->sense[tag];
  kprintf("lsi53c895a: %s of %u bytes at %llu failed: status %x, sense key %x, code %x\n",
          r->op == ENV_BLOCK_READ ? "read" : r->op == ENV_BLOCK_WRITE ? "write" : "flush", r->bytes, (unsigned long long)r->offset,
          status, scsi_sense_key(sense), scsi_sense_code(sense));
  finish(c, tag, -ENV_EIO);
}

/* Returns whether a command was put into the start ring. */
static int retry_or_fail(struct lsi *c, unsigned tag, unsigned status)
{
  c->slot[tag].sensing = 0;
  if (c->slot[tag].retries++ >= RETRIES) {
    fail(c, tag, status);
    return 0;
  }
  start_request(c, tag);
  return 1;
}

/* A unit attention tells of something else than our command; no sense at all: another command of ours came first and took it away. */
static int worth_a_retry(const uint8_t *sense)
{
  unsigned key = scsi_sense_key(sense);
  return key == SCSI_SENSE_UNIT_ATTENTION || key == SCSI_SENSE_NONE;
}

static int done(struct lsi *c, unsigned tag, unsigned status)
{
  if (c->slot[tag].sensing) {
    if (status == SCSI_GOOD && worth_a_retry(c->sense[tag])) return retry_or_fail(c, tag, status);
    fail(c, tag, SCSI_CHECK_CONDITION);
    return 0;
  }
  if (status == SCSI_GOOD) {
    finish(c, tag, 0);
    return 0;
  }
  if (status == SCSI_CHECK_CONDITION) {
    start_sense(c, tag);
    return 1;
  }
  if (status == SCSI_BUSY || status == SCSI_TASK_SET_FULL) return retry_or_fail(c, tag, status);
  fail(c, tag, status);
  return 0;
}

/* Eight status bytes at a time: all ones where nothing has come. */
static void collect(struct lsi *c)
{
  int started = 0;
  for (unsigned first = 0; first < LSI_TAGS; first += 8) {
    uint64_t pending = ~*(volatile uint64_t *)&c->shared->status[first];
    while (pending) {
      unsigned byte = (unsigned)__builtin_ctzll(pending) / 8, tag = first + byte;
      uint8_t status = (uint8_t)~(pending >> 8 * byte);
      pending &= ~(0xffull << 8 * byte);
      c->shared->status[tag] = LSI_NO_STATUS;
      if (c->slot[tag].request) started |= done(c, tag, status);
    }
  }
  if (started) ring_doorbell(c);
}

/* ---- the chip itself ---- */

/* Empties the start ring and lets the program run from its beginning. Nothing may be in flight. */
static void run_script(struct lsi *c)
{
  c->next_start = 0;
  c->shared->start[0].first = LSI_SLOT_EMPTY;
  memset(c->shared->status, LSI_NO_STATUS, sizeof c->shared->status);
  mmio_write32(c->regs, LSI_TEMP, bus_address(&c->shared->start[0]));
  mmio_write32(c->regs, LSI_DSA, bus_address(c->shared));
  mmio_write32(c->regs, LSI_DSP, c->entry.start);
}

static void reset(struct lsi *c)
{
  mmio_write8(c->regs, LSI_ISTAT, LSI_ISTAT_SRST);
  clock_delay_ns(1000);
  mmio_write8(c->regs, LSI_ISTAT, 0);
  mmio_write8(c->regs, LSI_SCNTL1, LSI_SCNTL1_RST); /* the disks forget what they were told */
  clock_delay_ns(BUS_RESET_NS);
  mmio_write8(c->regs, LSI_SCNTL1, 0);
  mmio_read8(c->regs, LSI_SIST0); /* each read clears what it shows: our own reset */
  mmio_read8(c->regs, LSI_SIST1);
  mmio_read8(c->regs, LSI_DSTAT);
  mmio_write8(c->regs, LSI_SCNTL0, LSI_SCNTL0_ARBITRATE | LSI_SCNTL0_EPC);
  mmio_write8(c->regs, LSI_SCNTL3, 0x03);
  mmio_write8(c->regs, LSI_SCID, LSI_SCID_RRE | OWN_ID);
  mmio_write8(c->regs, LSI_RESPID0, 1 << OWN_ID);
  mmio_write8(c->regs, LSI_STIME0, LSI_STIME0_SELECT);
  mmio_write8(c->regs, LSI_DMODE, LSI_DMODE_BURST);
  mmio_write8(c->regs, LSI_DCNTL, LSI_DCNTL_COM);
  mmio_write8(c->regs, LSI_CCNTL0, LSI_CCNTL0_ENPMJ);
  c->entry = lsi_load_script(c->ram_regs, c->ram, c->shared, bus_address(c->shared));
  mmio_write32(c->regs, LSI_PMJAD1, c->entry.mismatch);
  mmio_write32(c->regs, LSI_PMJAD2, c->entry.mismatch);
  mmio_write8(c->regs, LSI_SIEN0, LSI_SIST0_MA | LSI_SIST0_SGE | LSI_SIST0_UDC | LSI_SIST0_RST | LSI_SIST0_PAR);
  mmio_write8(c->regs, LSI_SIEN1, LSI_SIST1_STO);
  mmio_write8(c->regs, LSI_DIEN, LSI_DSTAT_MDPE | LSI_DSTAT_BF | LSI_DSTAT_ABRT | LSI_DSTAT_SIR | LSI_DSTAT_IID);
  run_script(c);
}

struct trouble {
  uint8_t sist0, sist1, dstat;
};

/* Why the chip has stopped; reading it also makes the line quiet. */
static struct trouble read_trouble(struct lsi *c, uint8_t istat)
{
  struct trouble t = {0};
  if (istat & LSI_ISTAT_SIP) {
    t.sist0 = mmio_read8(c->regs, LSI_SIST0);
    t.sist1 = mmio_read8(c->regs, LSI_SIST1);
  }
  if (istat & LSI_ISTAT_DIP) t.dstat = mmio_read8(c->regs, LSI_DSTAT);
  return t;
}

static void recover(struct lsi *c, struct trouble t)
{
  kprintf("lsi53c895a: chip stopped (SIST %02x %02x, DSTAT %02x, DSPS %x at DSP %x): all commands failed, bus reset\n", t.sist0,
          t.sist1, t.dstat, mmio_read32(c->regs, LSI_DSPS), mmio_read32(c->regs, LSI_DSP));
  reset(c);
  for (unsigned tag = 0; tag < LSI_TAGS; tag++)
    if (c->slot[tag].request) finish(c, tag, -ENV_EIO);
}

/* INTF is cleared before the status bytes are read: one that comes later raises it again. SIGP must survive the write. */
static void interrupt(struct blockdev *dev, unsigned queue)
{
  struct lsi *c = dev->driver;
  (void)queue;
  uint8_t istat = mmio_read8(c->regs, LSI_ISTAT);
  if (istat & LSI_ISTAT_INTF) {
    mmio_write8(c->regs, LSI_ISTAT, LSI_ISTAT_INTF | (istat & LSI_ISTAT_SIGP));
    collect(c);
  }
  if (istat & (LSI_ISTAT_SIP | LSI_ISTAT_DIP)) recover(c, read_trouble(c, istat));
}

/* ---- boot ---- */

/* One command at a time, on tag 0, polled. */
static int execute(struct scsi_bus *bus, unsigned target, const uint8_t *cdb, unsigned cdb_bytes, void *data, uint32_t data_bytes)
{
  struct lsi *c = &chip;
  (void)bus;
  struct lsi_command *cmd = prepare(c, 0, target);
  memcpy(cmd->cdb_bytes, cdb, cdb_bytes);
  cmd->cdb = (struct lsi_table){cdb_bytes, bus_address(cmd->cdb_bytes)};
  set_data(cmd, c, data, data_bytes);
  push(c, 0);
  ring_doorbell(c);
  for (uint64_t end = clock_ns() + BOOT_TIMEOUT_NS; clock_ns() < end;) {
    uint8_t istat = mmio_read8(c->regs, LSI_ISTAT), status = *(volatile uint8_t *)&c->shared->status[0];
    if (status != LSI_NO_STATUS && istat & LSI_ISTAT_INTF) {
      mmio_write8(c->regs, LSI_ISTAT, LSI_ISTAT_INTF);
      c->shared->status[0] = LSI_NO_STATUS;
      return status;
    }
    if (istat & (LSI_ISTAT_SIP | LSI_ISTAT_DIP)) {
      struct trouble t = read_trouble(c, istat);
      if (t.sist1 & LSI_SIST1_STO) {
        run_script(c);
        return -ENV_ENOENT;
      }
      recover(c, t);
      return -ENV_EIO;
    }
  }
  reset(c);
  return -ENV_ETIMEDOUT;
}

/* The shared block wants 64 KiB alignment, which pages do not have: twice the room has it somewhere. */
static int allocate(struct lsi *c)
{
  _Static_assert(sizeof(struct lsi_shared) <= LSI_SHARED_ALIGN, "the shared block must not cross its alignment");
  uint8_t *room = dma_alloc(2 * LSI_SHARED_ALIGN);
  c->sense = dma_alloc(sizeof *c->sense * LSI_TAGS);
  c->bus.scratch = dma_alloc(SCSI_SCRATCH);
  if (!room || !c->sense || !c->bus.scratch) return -ENV_ENOMEM;
  c->shared = (struct lsi_shared *)(((uintptr_t)room + LSI_SHARED_ALIGN - 1) & ~(uintptr_t)(LSI_SHARED_ALIGN - 1));
  uint64_t end = dma_address(room) | dma_address(c->sense) | dma_address(c->bus.scratch);
  return end >> 32 ? -ENV_ENOMEM : 0; /* 32-bit addresses */
}

static int probe(const struct pci_device *pci)
{
  struct lsi *c = &chip;
  if (c->regs) return -ENV_EAGAIN; /* there is one already */
  c->regs = pci_map_bar(pci, 1, REGISTERS);
  c->ram_regs = pci_map_bar(pci, 2, CHIP_RAM);
  if (!c->regs || !c->ram_regs || !pci->irq || allocate(c)) {
    kprintf("lsi53c895a: the controller in PCI slot %u has no registers, no interrupt or no memory\n", pci->slot);
    return -ENV_EIO;
  }
  c->ram = (uint32_t)pci->bar[2].address;
  c->bus.execute = execute;
  reset(c);
  int target = scsi_find_disk(&c->bus, &c->block.bytes);
  if (target < 0) return 0; /* a controller without a disk is no error */
  c->target = (unsigned)target;
  c->free_tags = UINT32_MAX;
  c->block.name = "lsi53c895a";
  c->block.depth = LSI_TAGS;
  c->block.driver = c;
  c->block.submit = submit;
  c->block.interrupt = interrupt;
  if (block_register(&c->block) == 0) irq_register(pci->irq, block_interrupt, &c->block);
  return 0;
}

const struct pci_driver lsi53c895a_driver = {.vendor = 0x1000, .device = 0x0012, .probe = probe};
