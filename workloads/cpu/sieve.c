/* cpu/sieve: the sieve of Eratosthenes over the odd numbers below 2^17. Integer work on bytes, mostly stores. */
#include "cpu/cpu.h"
#include "lib/mem.h"
#include "lib/mix.h"
#include "workload.h"

enum { ROOT = 363 }; /* no odd number from here on has a square below 2^17 */

/* flags[i] stands for the number 2i + 1; 1 means composite. 2 is the one even prime. */
unsigned sieve_primes(unsigned char *flags, uint64_t *sum) {
  unsigned count = 1;
  *sum = 2;
  memset(flags, 0, SIEVE_BYTES);
  for (unsigned i = 1; i < SIEVE_BYTES; i++) {
    if (flags[i]) continue;
    unsigned prime = 2 * i + 1;
    count++;
    *sum += prime;
    if (prime >= ROOT) continue;
    /* From the square of the prime on, which is number 2i(i + 1) of the odd ones. */
    for (unsigned k = 2 * i * (i + 1); k < SIEVE_BYTES; k += prime) flags[k] = 1;
  }
  return count;
}

static uint64_t unit(struct ctx *c) {
  uint64_t sum;
  unsigned count = sieve_primes(c->mem, &sum);
  c->ops++;
  return mix_fold(count, sum);
}

const struct workload cpu_sieve = {.name = "cpu/sieve", .memory = SIEVE_BYTES, .flags = W_REPEATS, .unit = unit};
