/* cpu/sha256: the hash of 16 KiB, as FIPS 180-4 has it. Integer work in registers: rotations, additions, logic. */
#include "cpu/cpu.h"
#include "lib/mem.h"
#include "lib/mix.h"
#include "workload.h"

enum { BLOCK = 64, MESSAGE_BYTES = 16384 };

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

static uint32_t big_endian(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

/* FIPS 180-4, 6.2.2. */
static void compress(uint32_t h[8], const uint8_t *block) {
  uint32_t w[64], s[8];
  for (int t = 0; t < 16; t++) w[t] = big_endian(block + 4 * t);
  for (int t = 16; t < 64; t++) {
    uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
    uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
    w[t] = w[t - 16] + s0 + w[t - 7] + s1;
  }
  for (int i = 0; i < 8; i++) s[i] = h[i];
  for (int t = 0; t < 64; t++) {
    uint32_t sum1 = rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25), choose = (s[4] & s[5]) ^ (~s[4] & s[6]);
    uint32_t t1 = s[7] + sum1 + choose + K[t] + w[t];
    uint32_t sum0 = rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22), majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
    s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + t1;
    s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = t1 + sum0 + majority;
  }
  for (int i = 0; i < 8; i++) h[i] += s[i];
}

void sha256(const void *data, size_t bytes, uint8_t digest[32]) {
  uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  const uint8_t *p = data;
  uint8_t tail[2 * BLOCK] = {0};
  size_t left = bytes;
  for (; left >= BLOCK; left -= BLOCK, p += BLOCK) compress(h, p);
  /* 5.1.1: a one bit, zeros, and the length in bits as 64 bits at the end of a block. */
  memcpy(tail, p, left);
  tail[left] = 0x80;
  size_t end = left + 9 <= BLOCK ? BLOCK : 2 * BLOCK;
  for (int i = 0; i < 8; i++) tail[end - 1 - i] = (uint8_t)((uint64_t)bytes * 8 >> 8 * i);
  for (size_t i = 0; i < end; i += BLOCK) compress(h, tail + i);
  for (int i = 0; i < 32; i++) digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static int setup(struct ctx *c) {
  uint64_t stream = c->seed, *words = c->mem;
  for (int i = 0; i < MESSAGE_BYTES / 8; i++) words[i] = mix_next(&stream);
  return 0;
}

static uint64_t unit(struct ctx *c) {
  uint8_t digest[32];
  uint64_t words[4], checksum = 0;
  sha256(c->mem, MESSAGE_BYTES, digest);
  memcpy(words, digest, sizeof words);
  for (int i = 0; i < 4; i++) checksum = mix_fold(checksum, words[i]);
  c->ops++;
  return checksum;
}

const struct workload cpu_sha256 = {.name = "cpu/sha256", .memory = MESSAGE_BYTES, .flags = W_REPEATS, .setup = setup, .unit = unit};
