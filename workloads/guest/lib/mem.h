/*
 * mem.h: the four functions that a freestanding compiler may call on its own, for every port.
 * The meaning is ISO C's (C17 7.24).
 */
#ifndef VIRTAX_MEM_H
#define VIRTAX_MEM_H
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
