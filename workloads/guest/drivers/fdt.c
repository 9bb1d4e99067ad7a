/*
 * fdt.c: see fdt.h. Invariant: fdt_open() has seen that both blocks lie inside the blob; every step after that is checked
 * against the end of the structure block, so a damaged tree reads as an empty one.
 */
#include "drivers/fdt.h"

#include "lib/mem.h"
#include "lib/str.h"

enum { BEGIN_NODE = 1, END_NODE = 2, PROP = 3, NOP = 4, END = 9 };
#define MAGIC 0xd00dfeedu
#define LAST_COMPATIBLE_VERSION 16

static const void *blob;
static const uint8_t *structure;
static const char *strings;
static uint32_t structure_bytes, strings_bytes, total_bytes;

uint32_t fdt_cell(const void *value, uint32_t i) {
  const uint8_t *p = (const uint8_t *)value + (size_t)i * 4;
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint64_t fdt_cells(const void *value, uint32_t i, uint32_t cells) {
  uint64_t v = 0;
  for (uint32_t k = 0; k < cells; k++) v = v << 32 | fdt_cell(value, i + k);
  return v;
}

int fdt_open(const void *at_boot) {
  blob = at_boot;
  if (!blob || fdt_cell(blob, 0) != MAGIC || fdt_cell(blob, 6) > LAST_COMPATIBLE_VERSION + 1) return -1;
  uint32_t total = fdt_cell(blob, 1), at = fdt_cell(blob, 2), strings_at = fdt_cell(blob, 3);
  strings_bytes = fdt_cell(blob, 8);
  structure_bytes = fdt_cell(blob, 9);
  if (at % 4 || at > total || structure_bytes > total - at) return -1;
  if (strings_at > total || strings_bytes > total - strings_at) return -1;
  structure = (const uint8_t *)blob + at;
  strings = (const char *)blob + strings_at;
  total_bytes = total;
  return 0;
}

const void *fdt_blob(void) { return blob; }

uint32_t fdt_total_bytes(void) { return total_bytes; }

static uint32_t token(int at) { return at >= 0 && (uint32_t)at + 4 <= structure_bytes ? fdt_cell(structure + at, 0) : END; }

const char *fdt_name(fdt_node node) { return (const char *)structure + node + 4; }

/* Where the token after the one at `at` stands. */
static int next(int at) {
  switch (token(at)) {
    case BEGIN_NODE: return at + 4 + (((int)strlen(fdt_name(at)) + 1 + 3) & ~3);
    case PROP: return at + 12 + (int)((fdt_cell(structure + at, 1) + 3) & ~3u);
    default: return at + 4;
  }
}

/* The token after the node's END_NODE. */
static int skip(fdt_node node) {
  int depth = 0;
  for (int at = node; token(at) != END; at = next(at)) {
    if (token(at) == BEGIN_NODE) depth++;
    if (token(at) == END_NODE && --depth == 0) return at + 4;
  }
  return (int)structure_bytes;
}

fdt_node fdt_child(fdt_node parent, fdt_node after) {
  int at = after == FDT_NONE ? next(parent) : skip(after);
  while (token(at) == PROP || token(at) == NOP) at = next(at);
  return token(at) == BEGIN_NODE ? at : FDT_NONE;
}

fdt_node fdt_parent(fdt_node node) {
  fdt_node open[16];
  int depth = 0;
  for (int at = 0; token(at) != END; at = next(at)) {
    if (at == node) return depth ? open[depth - 1] : FDT_NONE;
    if (token(at) == BEGIN_NODE && depth < 16) open[depth++] = at;
    else if (token(at) == END_NODE && depth) depth--;
  }
  return FDT_NONE;
}

const void *fdt_prop(fdt_node node, const char *name, uint32_t *bytes) {
  if (token(node) != BEGIN_NODE) return NULL;
  for (int at = next(node); token(at) == PROP || token(at) == NOP; at = next(at)) {
    if (token(at) == NOP) continue;
    uint32_t length = fdt_cell(structure + at, 1), string = fdt_cell(structure + at, 2);
    if (length > structure_bytes - (uint32_t)at || string >= strings_bytes) return NULL;
    if (strcmp(strings + string, name) != 0) continue;
    if (bytes) *bytes = length;
    return structure + at + 12;
  }
  return NULL;
}

uint32_t fdt_u32(fdt_node node, const char *name, uint32_t otherwise) {
  uint32_t bytes;
  const void *value = fdt_prop(node, name, &bytes);
  return value && bytes >= 4 ? fdt_cell(value, 0) : otherwise;
}

/* Does name, up to n characters, name the node? A unit address may be left out. */
static int names(fdt_node node, const char *name, size_t n) {
  const char *own = fdt_name(node);
  return strncmp(own, name, n) == 0 && (own[n] == 0 || own[n] == '@');
}

fdt_node fdt_path(const char *path) {
  fdt_node node = 0;
  while (*path == '/') path++;
  while (*path && node != FDT_NONE) {
    const char *slash = strchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : strlen(path);
    fdt_node child = FDT_NONE;
    while ((child = fdt_child(node, child)) != FDT_NONE && !names(child, path, n)) continue;
    node = child;
    path += n;
    while (*path == '/') path++;
  }
  return node;
}

static int list_has(const char *list, uint32_t bytes, const char *word) {
  for (uint32_t at = 0; at < bytes; at += (uint32_t)strlen(list + at) + 1)
    if (strcmp(list + at, word) == 0) return 1;
  return 0;
}

fdt_node fdt_compatible(fdt_node after, const char *compatible) {
  uint32_t bytes;
  for (int at = after == FDT_NONE ? 0 : next(after); token(at) != END; at = next(at)) {
    if (token(at) != BEGIN_NODE) continue;
    const char *list = fdt_prop(at, "compatible", &bytes);
    if (list && bytes && list[bytes - 1] == 0 && list_has(list, bytes, compatible)) return at;
  }
  return FDT_NONE;
}

fdt_node fdt_phandle(uint32_t phandle) {
  for (int at = 0; token(at) != END; at = next(at))
    if (token(at) == BEGIN_NODE && fdt_u32(at, "phandle", 0) == phandle) return at;
  return FDT_NONE;
}

int fdt_reg(fdt_node node, unsigned index, uint64_t *address, uint64_t *size) {
  fdt_node parent = fdt_parent(node);
  uint32_t address_cells = fdt_u32(parent, "#address-cells", 2), size_cells = fdt_u32(parent, "#size-cells", 1), bytes;
  const void *reg = fdt_prop(node, "reg", &bytes);
  uint32_t pair = address_cells + size_cells;
  if (!reg || address_cells > 2 || size_cells > 2 || ((uint64_t)index + 1) * pair * 4 > bytes) return -1;
  *address = fdt_cells(reg, index * pair, address_cells);
  *size = fdt_cells(reg, index * pair + address_cells, size_cells);
  return 0;
}
