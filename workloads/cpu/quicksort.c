/* cpu/quicksort: sorts 8192 random numbers. Branches that cannot be predicted, and recursion. */
#include "cpu/cpu.h"
#include "lib/mem.h"
#include "lib/mix.h"
#include "workload.h"

enum { COUNT = 8192, SMALL = 12 };

struct arrays {
  uint32_t source[COUNT], sorted[COUNT];
};

static void swap(uint32_t *a, uint32_t *b) {
  uint32_t t = *a;
  *a = *b;
  *b = t;
}

static void insertion_sort(uint32_t *v, size_t n) {
  for (size_t i = 1; i < n; i++) {
    uint32_t x = v[i];
    size_t k = i;
    for (; k > 0 && v[k - 1] > x; k--) v[k] = v[k - 1];
    v[k] = x;
  }
}

/* Median of the first, middle and last value; these three are put in order, which also bounds the scans of partition(). */
static uint32_t median(uint32_t *v, size_t n) {
  uint32_t *a = v, *b = v + n / 2, *c = v + n - 1;
  if (*b < *a) swap(a, b);
  if (*c < *b) swap(b, c);
  if (*b < *a) swap(a, b);
  return *b;
}

/* Hoare's: everything before the returned index is <= pivot, everything from it on >= pivot; both sides are not empty. */
static size_t partition(uint32_t *v, size_t n, uint32_t pivot) {
  size_t i = 0, k = n - 1;
  for (;;) {
    while (v[i] < pivot) i++;
    while (v[k] > pivot) k--;
    if (i >= k) return i > 0 ? i : 1;
    swap(&v[i++], &v[k--]);
  }
}

/* Recurses into the smaller side only: the stack stays below log2(n) frames. */
void quicksort(uint32_t *v, size_t n) {
  while (n > SMALL) {
    size_t left = partition(v, n, median(v, n));
    if (left < n - left) {
      quicksort(v, left);
      v += left;
      n -= left;
    } else {
      quicksort(v + left, n - left);
      n = left;
    }
  }
  insertion_sort(v, n);
}

static int setup(struct ctx *c) {
  struct arrays *a = c->mem;
  uint64_t stream = c->seed;
  for (int i = 0; i < COUNT; i++) a->source[i] = (uint32_t)mix_next(&stream);
  return 0;
}

static uint64_t unit(struct ctx *c) {
  struct arrays *a = c->mem;
  uint64_t checksum = 0;
  memcpy(a->sorted, a->source, sizeof a->sorted);
  quicksort(a->sorted, COUNT);
  for (int i = 0; i < COUNT; i++) {
    if (i > 0 && a->sorted[i - 1] > a->sorted[i]) c->errors++;
    checksum = checksum * 0x100000001b3ull + a->sorted[i];
  }
  c->ops++;
  return mix64(checksum);
}

const struct workload cpu_quicksort = {.name = "cpu/quicksort", .memory = sizeof(struct arrays), .flags = W_REPEATS, .setup = setup, .unit = unit};
