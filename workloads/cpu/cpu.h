/* cpu.h: the algorithms of the cpu workloads, so that mixed/average and the native image's selftest can call them too. */
#ifndef VIRTAX_CPU_H
#define VIRTAX_CPU_H
#include <stddef.h>
#include <stdint.h>

enum { SIEVE_LIMIT = 1 << 17, SIEVE_BYTES = SIEVE_LIMIT / 2 };
/* How many primes lie below SIEVE_LIMIT; flags: SIEVE_BYTES of scratch. *sum: of the primes. */
unsigned sieve_primes(unsigned char *flags, uint64_t *sum);

/* FIPS 180-4, section 6.2. */
void sha256(const void *data, size_t bytes, uint8_t digest[32]);

/* CRC-32 of ISO 3309 (Ethernet, zip): the check value of "123456789" is 0xcbf43926. table: from crc32_table(). */
void crc32_table(uint32_t table[256]);
uint32_t crc32(const uint32_t table[256], const void *data, size_t bytes);

/* to = a * b, square matrices of MATMUL_N rows, row after row. */
enum { MATMUL_N = 56 };
void matmul(double *restrict to, const double *a, const double *b);

/* Ascending, in place. */
void quicksort(uint32_t *values, size_t n);

/* Iterations before z = z^2 + c leaves the circle of radius 2, at most max. */
unsigned mandelbrot_escape(double cr, double ci, unsigned max);

struct body {
  double x, y, z, vx, vy, vz, mass;
};
enum { BODIES = 5 };
void nbody_start(struct body bodies[BODIES]);
void nbody_advance(struct body bodies[BODIES], double dt);
double nbody_energy(const struct body bodies[BODIES]);

#endif
