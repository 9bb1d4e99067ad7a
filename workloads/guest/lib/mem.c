/*
 * mem.c: memory functions. On wasm with bulk memory the engine has them as instructions; elsewhere words are moved
 * where both sides are aligned alike, which is what the kernel's callers (sectors, frames) nearly always bring.
 */
#include "lib/mem.h"

#include <stdint.h>

#ifdef __wasm_bulk_memory__

/* These lower to memory.copy and memory.fill, not to calls of the functions that they stand in. */
void *memcpy(void *restrict to, const void *restrict from, size_t n) { return __builtin_memmove(to, from, n); }
void *memmove(void *to, const void *from, size_t n) { return __builtin_memmove(to, from, n); }
void *memset(void *to, int byte, size_t n) { return __builtin_memset(to, byte, n); }

#else

/* Words that may alias anything: these functions are below the type system. */
typedef uint64_t __attribute__((may_alias)) word;
enum { WORD = sizeof(word) };

static int same_alignment(const void *a, const void *b) { return (((uintptr_t)a ^ (uintptr_t)b) & (WORD - 1)) == 0; }

/* x86-64's string instructions (fast since ERMS, 2012) keep the bare-metal port level with glibc for large blocks. */
#ifdef __x86_64__
enum { STRING_MIN = 512 };
static void string_copy(void *d, const void *s, size_t n) { __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n)::"memory"); }
static void string_set(void *d, int byte, size_t n) { __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(byte) : "memory"); }
#endif

/*
 * Sides aligned differently (a datagram's payload lies 42 bytes into its frame): aligned words are read and put together,
 * little-endian, since a machine may trap misaligned accesses. No word is touched that holds no byte of the source.
 * Returns the bytes copied: all but the last few.
 */
static size_t copy_shifted(unsigned char *d, const unsigned char *s, size_t n) {
  size_t head = -(uintptr_t)d & (WORD - 1), done = 0;
  if (n < head + 2 * WORD) return 0;
  for (; done < head; done++) d[done] = s[done];
  unsigned shift = (unsigned)((uintptr_t)(s + done) & (WORD - 1)) * 8;
  const word *w = (const word *)((uintptr_t)(s + done) & ~(uintptr_t)(WORD - 1));
  for (word low = *w++, high; n - done >= WORD; done += WORD, low = high) {
    high = *w++;
    *(word *)(d + done) = low >> shift | high << (64 - shift);
  }
  return done;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
  unsigned char *d = to;
  const unsigned char *s = from;
#ifdef __x86_64__
  if (n >= STRING_MIN) return string_copy(to, from, n), to;
#endif
  if (same_alignment(d, s)) {
    for (; n && ((uintptr_t)d & (WORD - 1)); n--) *d++ = *s++;
    for (; n >= 4 * WORD; n -= 4 * WORD, d += 4 * WORD, s += 4 * WORD) {
      word a = ((const word *)s)[0], b = ((const word *)s)[1], c = ((const word *)s)[2], e = ((const word *)s)[3];
      ((word *)d)[0] = a, ((word *)d)[1] = b, ((word *)d)[2] = c, ((word *)d)[3] = e;
    }
    for (; n >= WORD; n -= WORD, d += WORD, s += WORD) *(word *)d = *(const word *)s;
  } else {
    size_t done = copy_shifted(d, s, n);
    n -= done, d += done, s += done;
  }
  while (n--) *d++ = *s++;
  return to;
}

static void copy_backwards(unsigned char *d, const unsigned char *s, size_t n) {
  if (same_alignment(d, s)) {
    for (; n && ((uintptr_t)(d + n) & (WORD - 1)); n--) d[n - 1] = s[n - 1];
    for (; n >= WORD; n -= WORD) *(word *)(d + n - WORD) = *(const word *)(s + n - WORD);
  }
  for (; n; n--) d[n - 1] = s[n - 1];
}

void *memmove(void *to, const void *from, size_t n) {
  /* memcpy goes upwards and reads each word before it writes what lies there: right when the target lies below. */
  if ((uintptr_t)to - (uintptr_t)from >= n) return memcpy(to, from, n);
  copy_backwards(to, from, n);
  return to;
}

void *memset(void *to, int byte, size_t n) {
  unsigned char *d = to;
#ifdef __x86_64__
  if (n >= STRING_MIN) return string_set(to, byte, n), to;
#endif
  word all = 0x0101010101010101ull * (unsigned char)byte;
  for (; n && ((uintptr_t)d & (WORD - 1)); n--) *d++ = (unsigned char)byte;
  for (; n >= 4 * WORD; n -= 4 * WORD, d += 4 * WORD) {
    ((word *)d)[0] = all, ((word *)d)[1] = all, ((word *)d)[2] = all, ((word *)d)[3] = all;
  }
  while (n--) *d++ = (unsigned char)byte;
  return to;
}

#endif

int memcmp(const void *a, const void *b, size_t n) {
  const unsigned char *x = a, *y = b;
  for (; n; n--, x++, y++) {
    if (*x != *y) return *x < *y ? -1 : 1;
  }
  return 0;
}
