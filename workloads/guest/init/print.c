/* print.c: see print.h. */
#include "init/print.h"

#include "env.h"
#include "lib/format.h"

void print(const char *text, ...) {
  char line[PRINT_MAX];
  va_list args;
  va_start(args, text);
  size_t n = vformat(line, sizeof line, text, args);
  va_end(args);
  env_write(line, n < sizeof line ? n : sizeof line - 1);
}
