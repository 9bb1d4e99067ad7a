/* env.c: env.h for a program that is linked with its kernel. What concerns CPUs is in cpu.c, the console in console.c. */
#include "kernel/block.h"
#include "kernel/net/net.h"
#include "kernel/port.h"
#include "port/para/para.h"

unsigned env_cpu(void) { return this_cpu; }
unsigned env_cpus(void) { return cpu_total; }
uint64_t env_now_ns(void) { return clock_ns(); }
void env_poweroff(int status) { machine_poweroff(status); }
const char *env_bootargs(void) { return bootargs; }
const char *env_port(void) { return "para"; }
void env_relax(void) { cpu_relax(); }

long env_null_call(long a) { return hypercall(HYPERVISOR_xen_version, XENVER_null, (uint32_t)a, 0); }

/* ---- memory ---- */
void *env_alloc(size_t bytes) { return frames_alloc(bytes); }
void env_free(void *p, size_t bytes) { frames_free(p, bytes); }
int env_has_mmu(void) { return 0; }
void *env_map(size_t bytes) {
  (void)bytes;
  return NULL;
}
void env_unmap(void *p, size_t bytes) {
  (void)p;
  (void)bytes;
}

/* ---- block ---- */
uint64_t env_block_bytes(void) { return block_bytes(); }

int env_block_submit(const struct env_block_req *reqs, unsigned n) {
  int error = 0;
  unsigned taken = 0;
  while (taken < n && !(error = block_queue(&reqs[taken]))) taken++;
  block_start();
  return taken || !n ? (int)taken : error;
}

int env_block_wait(struct env_block_done *done, unsigned min, unsigned max) { return block_wait(done, min, max); }

/* ---- network ---- */
int env_has_net(void) { return net_present(); }
int env_udp_open(uint16_t port) { return udp_open(port); }
void env_udp_close(uint16_t port) { udp_close(port); }
int env_udp_send(uint16_t port, uint32_t ip, uint16_t to_port, const void *data, unsigned bytes) { return udp_send(port, ip, to_port, data, bytes); }
int env_udp_recv(uint16_t port, void *data, unsigned max, uint64_t timeout_ns) { return udp_recv(port, data, max, timeout_ns); }
