/* ns16550.h: the console (National Semiconductor PC16550D data sheet, 8). console_write() of kernel/port.h is here as well. */
#ifndef VIRTAX_NS16550_H
#define VIRTAX_NS16550_H
#include <stddef.h>

void uart_init(void);      /* boot: output works after it */
void uart_init_input(void); /* boot, after the PLIC */

/* Pieces that stay together: put() between begin() and end(). */
void console_begin(void);
void console_put(const char *bytes, size_t n);
void console_end(void);
char console_read(void);      /* sleeps until a byte comes. One reader */
void console_dying(void);     /* from now on console_begin() does not wait: who holds the console may be dead */

#endif
