/* store.c: reading the domain's configuration, and the handshake with back ends. */
#include "lib/format.h"
#include "lib/str.h"
#include "port/para/para.h"

static int store_op(uint32_t cmd, const char *path, const char *value, size_t bytes) {
  struct store_request request = {
      .path = guest_address(path), .path_bytes = (uint32_t)strlen(path), .value = guest_address(value), .value_bytes = (uint32_t)bytes};
  return hypercall(HYPERVISOR_store_op, cmd, guest_address(&request), 0);
}

int store_read(const char *path, char *value, size_t max) {
  int n = store_op(STOREOP_read, path, value, max - 1);
  value[n < 0 ? 0 : (size_t)n < max ? (size_t)n : max - 1] = 0;
  return n;
}

int store_write(const char *path, const char *value, size_t bytes) { return store_op(STOREOP_write, path, value, bytes); }

int store_watch(const char *path, uint32_t token) {
  struct store_request request = {.path = guest_address(path), .path_bytes = (uint32_t)strlen(path), .token = token};
  return hypercall(HYPERVISOR_store_op, STOREOP_watch, guest_address(&request), 0);
}

int store_write_number(const char *path, uint32_t value) {
  char text[12];
  size_t n = format(text, sizeof text, "%u", value);
  return store_write(path, text, n);
}

int store_write_queue(const char *kind, unsigned queue, const char *name, uint32_t value) {
  char path[PARA_STORE_PATH_MAX + 1];
  format(path, sizeof path, "device/%s/0/queue-%u/%s", kind, queue, name);
  return store_write_number(path, value);
}
