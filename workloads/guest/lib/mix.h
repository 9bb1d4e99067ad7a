/* mix.h: the one source of pseudo-randomness and of checksums. The same in TypeScript wherever a disk is checked. */
#ifndef VIRTAX_MIX_H
#define VIRTAX_MIX_H
#include <stdint.h>

/* Finalizer of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). A bijection. */
static inline uint64_t mix64(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/* splitmix64: the next number of the stream whose state is *s. */
static inline uint64_t mix_next(uint64_t *s) { return mix64(*s += 0x9e3779b97f4a7c15ull); }

/* Folds the next value into a checksum; the order matters. */
static inline uint64_t mix_fold(uint64_t checksum, uint64_t value) { return mix64(checksum ^ value) + 0x9e3779b97f4a7c15ull; }

/* The 8-byte word at index i of a disk whose block was written in the given generation (0: as mkdisk made it). */
static inline uint64_t disk_word(uint64_t i, uint64_t generation) { return mix64(i ^ (generation << 48)); }

#endif
