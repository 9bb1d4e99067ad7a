/*
 * fdt.h: reads the flattened device tree (Devicetree Specification 0.4, chapter 5). A node is named by the offset of its
 * FDT_BEGIN_NODE token in the structure block; FDT_NONE is no node. The tree stays where the firmware left it and is only read.
 */
#ifndef VIRTAX_FDT_H
#define VIRTAX_FDT_H
#include <stdint.h>

typedef int fdt_node;
#define FDT_NONE (-1)

int fdt_open(const void *blob); /* 0, or -1: no device tree of a version that we read */
const void *fdt_blob(void);
uint32_t fdt_total_bytes(void);

fdt_node fdt_path(const char *path);                               /* "/", "/cpus", "/chosen"; "name" also finds "name@unit" */
fdt_node fdt_child(fdt_node parent, fdt_node after);               /* first child with after == FDT_NONE, then the next ones */
fdt_node fdt_compatible(fdt_node after, const char *compatible);   /* the next node in the tree whose list has the string; after FDT_NONE: the first */
fdt_node fdt_phandle(uint32_t phandle);
fdt_node fdt_parent(fdt_node node);
const char *fdt_name(fdt_node node);

/* The property's value and its bytes, NULL if it is not there. */
const void *fdt_prop(fdt_node node, const char *name, uint32_t *bytes);
uint32_t fdt_u32(fdt_node node, const char *name, uint32_t otherwise);
/* The i-th 32-bit cell of a property's value, in the CPU's byte order. No check: compare with bytes first. */
uint32_t fdt_cell(const void *value, uint32_t i);
/* cells (1 or 2) cells from the i-th on as one number. */
uint64_t fdt_cells(const void *value, uint32_t i, uint32_t cells);
/* The index-th pair of "reg", read with the parent's #address-cells and #size-cells: 0, or -1 if there is none. */
int fdt_reg(fdt_node node, unsigned index, uint64_t *address, uint64_t *size);

#endif
