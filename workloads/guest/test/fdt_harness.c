/* fdt_harness.c: room for a device tree, a name and two numbers. Built for wasm32 with drivers/fdt.c, never into an image. */
#include <stdint.h>

static uint8_t blob[1 << 17] __attribute__((aligned(8)));
static char text[256];
static uint64_t numbers[2];

uint8_t *harness_blob(void) { return blob; }
char *harness_text(void) { return text; }
uint64_t *harness_numbers(void) { return numbers; }
