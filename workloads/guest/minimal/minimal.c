/*
 * minimal.c: the smallest guest that uses every part of the interface: console, store, timer, event channels, grants and a block
 * ring. Written from ARCHITECTURE.md ("Writing a para guest") and para-abi.h alone; test/para/minimal-guest.test.ts runs it.
 *
 * One vCPU. It prints what it finds, sleeps by its timer, sends itself an event, reads a sector, and powers off.
 */
#include "para-abi.h"

__attribute__((import_module("virtax"), import_name("hypercall"))) int32_t hypercall(uint32_t number, uint32_t cmd, uint32_t arg1, uint32_t arg2);
#define EXPORT(name) __attribute__((export_name(name)))
#define ADDRESS(p) ((uint32_t)(uintptr_t)(p))

enum { GRANT_RING, GRANT_BUFFER, GRANTS, URGENT = 1 };

static struct vcpu_info info;
static struct grant_entry grants[GRANTS];
static struct {
  struct ring_header header;
  union { struct blkif_request request; struct blkif_response response; uint8_t bytes[BLKIF_SLOT_BYTES]; } slots[BLKIF_RING_SIZE];
} ring __attribute__((aligned(PARA_FRAME_BYTES)));
static uint8_t sector[PARA_FRAME_BYTES] __attribute__((aligned(PARA_FRAME_BYTES)));

/* ---- console ---- */

static uint32_t length(const char *s) {
  uint32_t n = 0;
  while (s[n]) n++;
  return n;
}

static void print(const char *text) {
  while (hypercall(HYPERVISOR_console_io, CONSOLEIO_write, length(text), ADDRESS(text)) == -PARA_EAGAIN)
    hypercall(HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0);
}

static void print_number(const char *what, uint32_t n) {
  char digits[11], *p = digits + 10;
  *p = 0;
  do *--p = (char)('0' + n % 10);
  while (n /= 10);
  print(what);
  print(p);
  print("\n");
}

static void finish(uint32_t reason) {
  for (;;) hypercall(HYPERVISOR_sched_op, SCHEDOP_shutdown, reason, 0);
}

/* A result that must not be an error. */
static uint32_t must(const char *what, int32_t result) {
  if (result >= 0) return (uint32_t)result;
  print_number(what, (uint32_t)-result);
  finish(SHUTDOWN_crash);
  return 0;
}

/* ---- store ---- */

static int32_t store(uint32_t op, const char *path, const char *value, uint32_t bytes) {
  struct store_request r = {ADDRESS(path), length(path), ADDRESS(value), bytes, 0, 0};
  return hypercall(HYPERVISOR_store_op, op, ADDRESS(&r), 0);
}

static void write_number(const char *path, uint32_t n) {
  char text[3] = {(char)('0' + n / 10), (char)('0' + n % 10), 0};
  must("store: errno ", store(STOREOP_write, path, n < 10 ? text + 1 : text, n < 10 ? 1 : 2));
}

/* ---- events: sleeps until something is pending, returns its port; the most urgent first ---- */

static uint32_t take(uint32_t *p) { return __atomic_exchange_n(p, 0, __ATOMIC_SEQ_CST); }

static uint32_t next_event(void) {
  static uint32_t bits, base; /* taken and not yet handed out */
  while (!bits) {
    uint32_t ready = __atomic_load_n(&info.evtchn_ready, __ATOMIC_SEQ_CST);
    if (!ready) {
      must("block: errno ", hypercall(HYPERVISOR_sched_op, SCHEDOP_block, 0, 0));
      continue;
    }
    uint32_t q = (uint32_t)__builtin_ctz(ready);
    __atomic_fetch_and(&info.evtchn_ready, ~(1u << q), __ATOMIC_SEQ_CST);
    uint32_t words = take(&info.evtchn_pending_sel[q]);
    if (words) { /* few ports: one word is enough for all of them */
      base = 32 * (uint32_t)__builtin_ctz(words);
      bits = take(&info.evtchn_pending[q][base / 32]);
    }
  }
  uint32_t port = base + (uint32_t)__builtin_ctz(bits);
  bits &= bits - 1;
  return port;
}

static uint32_t channel(uint32_t op, uint32_t a, uint32_t b) { return must("event channel: errno ", hypercall(HYPERVISOR_event_channel_op, op, a, b)); }

/* ---- block ---- */

static void grant(uint32_t ref, const void *p, uint32_t bytes) {
  grants[ref].domid = DOMID_CORE_OS;
  grants[ref].frame = ADDRESS(p) / PARA_FRAME_BYTES;
  grants[ref].frames = (bytes + PARA_FRAME_BYTES - 1) / PARA_FRAME_BYTES;
  __atomic_store_n(&grants[ref].flags, GTF_permit_access, __ATOMIC_SEQ_CST);
}

static int32_t read_sector(uint64_t number) {
  must("grants: errno ", hypercall(HYPERVISOR_grant_table_op, GNTTABOP_setup_table, ADDRESS(grants), GRANTS));
  grant(GRANT_RING, &ring, sizeof ring);
  grant(GRANT_BUFFER, sector, sizeof sector);
  ring.header.rsp_event = 1;
  uint32_t port = channel(EVTCHNOP_alloc_unbound, DOMID_CORE_OS, 0);
  write_number("device/vbd/0/queue-0/ring-ref", GRANT_RING);
  write_number("device/vbd/0/queue-0/event-channel", port);
  write_number("device/vbd/0/queue-0/state", STORE_STATE_CONNECTED);
  ring.slots[0].request = (struct blkif_request){.operation = BLKIF_OP_READ, .nr_segments = 1, .id = 7, .sector_number = number,
                                                 .seg = {{GRANT_BUFFER, 0, BLKIF_SECTOR_BYTES}}};
  __atomic_store_n(&ring.header.req_prod, 1, __ATOMIC_SEQ_CST);
  channel(EVTCHNOP_send, port, 0);
  while (__atomic_load_n(&ring.header.rsp_prod, __ATOMIC_SEQ_CST) == 0)
    if (next_event() == port) print("the disk answers\n");
  return ring.slots[0].response.id == 7 ? ring.slots[0].response.status : -PARA_EIO;
}

EXPORT("para_vcpu_start") void para_vcpu_start(uint32_t cpu) { (void)cpu; }

EXPORT("para_start") void para_start(void) {
  char text[24] = "";
  print_number("ABI ", must("", hypercall(HYPERVISOR_xen_version, XENVER_version, 0, 0)) >> 16);
  print_number("KiB ", 4 * must("memory: errno ", hypercall(HYPERVISOR_memory_op, XENMEM_current_reservation, 0, 0)));
  must("vcpu_info: errno ", hypercall(HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ADDRESS(&info)));
  uint32_t timer = channel(EVTCHNOP_bind_virq, VIRQ_TIMER, 0), self = channel(EVTCHNOP_bind_ipi, 0, 0);
  channel(EVTCHNOP_set_priority, self, URGENT);
  struct vcpu_set_singleshot_timer at = {0};
  hypercall(HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, ADDRESS(&at)); /* in the past: fires at once */
  channel(EVTCHNOP_send, self, 0);
  print(next_event() == self ? "the urgent one first\n" : "?\n");
  print(next_event() == timer ? "then the timer\n" : "?\n");
  if (store(STOREOP_read, "device/vbd/0/bytes", text, sizeof text - 1) < 0) finish(SHUTDOWN_poweroff);
  must("disk: errno ", read_sector(1));
  sector[15] = 0;
  print((const char *)sector);
  finish(SHUTDOWN_poweroff);
}
