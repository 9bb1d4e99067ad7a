/* print.c: kernel messages. A line is formatted on the stack and goes out in one piece. */
#include <stdarg.h>

#include "kernel/print.h"
#include "kernel/port.h"
#include "lib/format.h"

static void vprint(const char *text, va_list args) {
  char line[256];
  size_t n = vformat(line, sizeof line, text, args);
  console_write(line, n < sizeof line ? n : sizeof line - 1);
}

void kprintf(const char *text, ...) {
  va_list args;
  va_start(args, text);
  vprint(text, args);
  va_end(args);
}

void panic(const char *text, ...) {
  va_list args;
  va_start(args, text);
  kprintf("\nkernel panic on CPU %u: ", cpu_id());
  vprint(text, args);
  va_end(args);
  kprintf("\n");
  machine_poweroff(1);
}
