/*
 * selftest.c: `virtax-guest selftest` prints what the algorithms say of inputs whose answers are known elsewhere; the
 * tests compare them. `virtax-guest unit NAME [N]` runs N units of a workload on one CPU without looking at a clock, so
 * that instructions can be counted, and prints the checksum of the last.
 */
#include "host.h"
#include "block/stream.h"
#include "cpu/cpu.h"
#include "init/print.h"
#include "init/runner.h"
#include "lib/format.h"
#include "lib/mem.h"
#include "lib/mix.h"
#include "lib/str.h"

static unsigned char scratch[SIEVE_BYTES];

static void hashes(const char *name, const void *data, size_t bytes) {
  uint8_t digest[32];
  uint32_t table[256];
  char hex[65];
  sha256(data, bytes, digest);
  for (int i = 0; i < 32; i++) format(hex + 2 * i, 3, "%02x", digest[i]);
  crc32_table(table);
  print("sha256 %s %s\ncrc32 %s %08x\n", name, hex, name, crc32(table, data, bytes));
}

/* The same bytes as the tests make: byte i is i * 7 + 3, modulo 256. Lengths around the ends of a block. */
static void hash_lengths(void) {
  static const unsigned lengths[] = {0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 32768};
  char name[16];
  for (unsigned i = 0; i < sizeof scratch; i++) scratch[i] = (unsigned char)(i * 7 + 3);
  for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    format(name, sizeof name, "%u", lengths[i]);
    hashes(name, scratch, lengths[i]);
  }
}

/* Nine decimal places of a number between -1 and 0. */
static void print_energy(const char *when, double energy) {
  uint64_t billionths = (uint64_t)(-energy * 1e9 + 0.5);
  print("nbody %s -0.%09llu\n", when, ull(billionths));
}

static void nbody_energies(void) {
  struct body bodies[BODIES];
  nbody_start(bodies);
  print_energy("0", nbody_energy(bodies));
  for (int i = 0; i < 1000; i++) nbody_advance(bodies, 0.01);
  print_energy("1000", nbody_energy(bodies));
}

static void primes(void) {
  uint64_t sum;
  unsigned count = sieve_primes(scratch, &sum);
  print("primes %u %llu\n", count, ull(sum));
}

/* Numbers with many equal ones, which partitions go wrong on. Order and sum of powers tell a permutation. */
static void sorting(void) {
  uint32_t *values = (uint32_t *)scratch;
  for (unsigned modulus = 1; modulus <= 1u << 16; modulus *= 16) {
    uint64_t stream = modulus, before = 0, after = 0;
    unsigned disorder = 0;
    for (unsigned i = 0; i < 8192; i++) values[i] = (uint32_t)(mix_next(&stream) % modulus), before += mix64(values[i]);
    quicksort(values, 8192);
    for (unsigned i = 0; i < 8192; i++) after += mix64(values[i]), disorder += i > 0 && values[i - 1] > values[i];
    print("quicksort %u disorder=%u lost=%llu\n", modulus, disorder, ull(before - after));
  }
}

/* A times the unit matrix is A, and ones times ones is N everywhere. */
static void products(void) {
  static double a[MATMUL_N * MATMUL_N], b[MATMUL_N * MATMUL_N], product[MATMUL_N * MATMUL_N];
  unsigned wrong = 0;
  for (int i = 0; i < MATMUL_N * MATMUL_N; i++) a[i] = i, b[i] = i % (MATMUL_N + 1) == 0;
  matmul(product, a, b);
  for (int i = 0; i < MATMUL_N * MATMUL_N; i++) wrong += product[i] != a[i];
  for (int i = 0; i < MATMUL_N * MATMUL_N; i++) a[i] = b[i] = 1;
  matmul(product, a, b);
  for (int i = 0; i < MATMUL_N * MATMUL_N; i++) wrong += product[i] != MATMUL_N;
  print("matmul wrong=%u\n", wrong);
}

/* Numbers of 0 to n - 1 that a shuffle gives other than once. */
static void shuffles(void) {
  static const unsigned sizes[] = {1, 2, 3, 100, 4096, 8191, 65537};
  for (unsigned k = 0; k < sizeof sizes / sizeof *sizes; k++) {
    unsigned n = sizes[k], repeated = 0;
    memset(scratch, 0, sizeof scratch);
    for (unsigned i = 0; i < n; i++) repeated += scratch[stream_shuffle(i, n, mix64(n))]++ != 0;
    print("shuffle %u repeated=%u\n", n, repeated);
  }
}

static void texts(void) {
  char out[64];
  uint64_t value = 0;
  format(out, sizeof out, "%5d|%-5u|%05d|%x|%llx|%s|%c|%%|%zu", -42, 7u, -42, 0xbeefu, 0x123456789abcdefull, "text", 'c', sizeof out);
  print("format %s\n", out);
  print("format-cut %zu %s\n", format(out, 5, "%s", "123456789"), out);
  print("number %d %d %d %d\n", str_u64("18446744073709551615", &value), str_u64("18446744073709551616", &value), str_u64("", &value),
        str_u64("12x", &value));
  print("glob %d%d%d%d%d\n", str_glob("block/*", "block/read-1m"), str_glob("*rand*qd1", "block/randread-4k-qd1"), str_glob("*rand*qd1", "block/randread-4k-qd32"),
        str_glob("cpu/?ieve", "cpu/sieve"), str_glob("", "x"));
  print("mix64 %016llx %016llx\n", ull(mix64(0)), ull(mix64(0x9e3779b97f4a7c15ull)));
}

/* memmove from s to d within scratch against bytes moved one by one; the bytes around must stay. */
static unsigned wrong_moves(unsigned d, unsigned s, unsigned n) {
  enum { SPAN = 192 };
  unsigned char expected[SPAN];
  unsigned wrong = 0;
  for (unsigned i = 0; i < SPAN; i++) scratch[i] = expected[i] = (unsigned char)(i * 37 + 11);
  for (unsigned i = 0; i < n; i++) expected[d + i] = (unsigned char)((s + i) * 37 + 11);
  memmove(scratch + d, scratch + s, n);
  for (unsigned i = 0; i < SPAN; i++) wrong += scratch[i] != expected[i];
  return wrong;
}

/* Every pair of alignments, upwards and downwards, overlapping and not. */
static void moves(void) {
  unsigned wrong = 0;
  for (unsigned d = 8; d < 24; d++) {
    for (unsigned s = 0; s < 48; s++) {
      for (unsigned n = 0; n < 80; n++) wrong += wrong_moves(d, s, n) + wrong_moves(s, d, n);
    }
  }
  print("memmove wrong=%u\n", wrong);
}

int selftest_main(void) {
  moves();
  hashes("abc", "abc", 3);
  hashes("check", "123456789", 9);
  hash_lengths();
  primes();
  nbody_energies();
  sorting();
  products();
  shuffles();
  texts();
  print("mandelbrot %u %u %u\n", mandelbrot_escape(0, 0, 1000), mandelbrot_escape(2, 2, 1000), mandelbrot_escape(-0.75, 0.1, 1000));
  return 0;
}

int unit_main(int argc, char **argv) {
  uint64_t n = 1, checksum = 0;
  const struct workload *w = argc > 0 ? runner_find(argv[0]) : NULL;
  if (!w || argc > 2 || (argc == 2 && str_u64(argv[1], &n))) {
    host_report("usage: virtax-guest unit NAME [N]; `list` shows the names");
    return 2;
  }
  struct ctx c = {.cpus = 1, .seed = 1, .mem = map_pages(w->memory + 1), .shared = map_pages(w->shared + 1)};
  int status = w->setup ? w->setup(&c) : 0;
  if (status == 0 && w->begin) status = w->begin(&c);
  if (status) {
    host_report("%s does not run alone: %s (errno %d)", w->name, c.reason ? c.reason : "set-up failed", -status);
    return 1;
  }
  for (c.unit = 0; c.unit < n; c.unit++) checksum = w->unit(&c);
  print("%s units=%llu checksum=%016llx errors=%llu\n", w->name, ull(n), ull(checksum), ull(c.errors));
  return c.errors ? 1 : 0;
}
