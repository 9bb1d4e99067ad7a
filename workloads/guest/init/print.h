/* print.h: formatted text to the console, in one env_write() so that lines of several CPUs do not mix. */
#ifndef VIRTAX_PRINT_H
#define VIRTAX_PRINT_H

#include <stdint.h>

#define PRINT_MAX 512 /* characters of one call; longer text is cut */

void print(const char *text, ...) __attribute__((format(printf, 1, 2)));

/* uint64_t is `long` on one port and `long long` on another; %llu wants the latter. */
static inline unsigned long long ull(uint64_t v) { return v; }

#endif
