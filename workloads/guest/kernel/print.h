/* print.h: kernel messages, on every port. Conversions as lib/format.h; at most 255 characters a call. */
#ifndef VIRTAX_KERNEL_PRINT_H
#define VIRTAX_KERNEL_PRINT_H

void kprintf(const char *text, ...) __attribute__((format(printf, 1, 2)));
/* Says why and ends the machine with failure. */
_Noreturn void panic(const char *text, ...) __attribute__((format(printf, 1, 2)));

#endif
