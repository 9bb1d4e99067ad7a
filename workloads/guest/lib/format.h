/*
 * format.h: a small printf. Conversions: %s %c %d %i %u %x %p %%, lengths l ll z, flags - and 0, a field width.
 * No floating point: the guest prints whole numbers and the host does the arithmetic.
 */
#ifndef VIRTAX_FORMAT_H
#define VIRTAX_FORMAT_H
#include <stdarg.h>
#include <stddef.h>

/* As snprintf: writes at most max - 1 characters and a zero byte (if max > 0); returns the length it would have had. */
size_t format(char *out, size_t max, const char *text, ...) __attribute__((format(printf, 3, 4)));
size_t vformat(char *out, size_t max, const char *text, va_list args);

#endif
