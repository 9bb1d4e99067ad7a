/* cpu/mandelbrot: escape times over a piece of the Mandelbrot set. Scalar floating point in registers. */
#include "cpu/cpu.h"
#include "lib/mix.h"
#include "workload.h"

enum { WIDTH = 72, HEIGHT = 48, LIMIT = 96 };

unsigned mandelbrot_escape(double cr, double ci, unsigned max) {
  double zr = 0, zi = 0;
  unsigned n = 0;
  for (; n < max; n++) {
    double rr = zr * zr, ii = zi * zi;
    if (rr + ii > 4) break;
    zi = 2 * zr * zi + ci;
    zr = rr - ii + cr;
  }
  return n;
}

static uint64_t unit(struct ctx *c) {
  uint64_t checksum = 0;
  for (int y = 0; y < HEIGHT; y++) {
    for (int x = 0; x < WIDTH; x++) {
      /* The usual picture: -2 to 1 by -1 to 1. */
      unsigned n = mandelbrot_escape(-2 + x * (3.0 / WIDTH), -1 + y * (2.0 / HEIGHT), LIMIT);
      checksum = checksum * 0x100000001b3ull + n;
    }
  }
  c->ops++;
  return mix64(checksum);
}

const struct workload cpu_mandelbrot = {.name = "cpu/mandelbrot", .flags = W_REPEATS, .unit = unit};
