/*
 * cpu/lists: branchy integer code: linked lists are shuffled, searched, reversed and merge-sorted; a state machine reads
 * numbers out of text; a CRC-32 goes over the results.
 */
#include "cpu/cpu.h"
#include "lib/mem.h"
#include "lib/mix.h"
#include "workload.h"

enum { NODES = 1024, TEXT = 8192, SEARCHES = 64 };

struct node {
  struct node *next;
  uint32_t key, value;
};

struct lists {
  struct node nodes[NODES];
  char text[TEXT];
  uint32_t crc[256];
  uint64_t seed;
};

/* ---- CRC ---- */

void crc32_table(uint32_t table[256]) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1; /* the polynomial, bits reversed */
    table[i] = c;
  }
}

uint32_t crc32(const uint32_t table[256], const void *data, size_t bytes) {
  const uint8_t *p = data;
  uint32_t c = 0xffffffff;
  for (; bytes; bytes--) c = table[(c ^ *p++) & 0xff] ^ c >> 8;
  return ~c;
}

/* ---- lists ---- */

static struct node *build(struct lists *l) {
  uint64_t stream = l->seed;
  for (int i = 0; i < NODES; i++) {
    uint64_t r = mix_next(&stream);
    l->nodes[i] = (struct node){i + 1 < NODES ? &l->nodes[i + 1] : NULL, (uint32_t)r & 0xffff, (uint32_t)(r >> 32)};
  }
  return l->nodes;
}

static struct node *reverse(struct node *list) {
  struct node *reversed = NULL;
  while (list) {
    struct node *next = list->next;
    list->next = reversed;
    reversed = list;
    list = next;
  }
  return reversed;
}

static struct node *find(struct node *list, uint32_t key) {
  while (list && list->key < key) list = list->next;
  return list;
}

static struct node *merge(struct node *a, struct node *b) {
  struct node *head = NULL, **end = &head;
  while (a && b) {
    struct node **less = b->key < a->key ? &b : &a;
    *end = *less;
    end = &(*less)->next;
    *less = *end;
  }
  *end = a ? a : b;
  return head;
}

/* Merge sort from the bottom up: bins[i] holds a sorted list of 2^i nodes, or nothing. */
static struct node *sort(struct node *list) {
  struct node *bins[11] = {NULL}, *sorted = NULL;
  while (list) {
    struct node *carry = list;
    int i = 0;
    list = list->next;
    carry->next = NULL;
    for (; bins[i]; i++) {
      carry = merge(bins[i], carry);
      bins[i] = NULL;
    }
    bins[i] = carry;
  }
  for (int i = 0; i < 11; i++) sorted = merge(bins[i], sorted);
  return sorted;
}

static uint32_t work_on_lists(struct lists *l) {
  struct node *list = sort(reverse(build(l)));
  uint32_t sum = 0, last = 0;
  for (uint32_t i = 0; i < SEARCHES; i++) {
    struct node *found = find(list, i * (0x10000 / SEARCHES));
    if (found) sum = sum * 31 + found->value;
  }
  for (struct node *n = list; n; n = n->next) {
    if (n->key < last) return 0; /* not sorted: the checksum will tell */
    last = n->key;
    sum = sum * 31 + n->value;
  }
  return sum;
}

/* ---- text ---- */

/* Numbers as a person may write them, some of them wrong, separated by commas. */
static void write_text(struct lists *l) {
  static const char *const pieces[8] = {"12", "-7", "3.25", "+.5", "1e6", "-2.5E-3", "x1", "4..2"};
  uint64_t stream = l->seed;
  unsigned n = 0;
  while (n + 9 < TEXT) {
    for (const char *p = pieces[mix_next(&stream) & 7]; *p; p++) l->text[n++] = *p;
    l->text[n++] = ',';
  }
  while (n < TEXT) l->text[n++] = ',';
}

enum state { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, POWER, INVALID };

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static enum state step(enum state s, char c) {
  switch (s) {
    case START:
      if (c == '+' || c == '-') return SIGN;
      /* fall through */
    case SIGN:
      return is_digit(c) ? INTEGER : c == '.' ? POINT : INVALID;
    case INTEGER:
      return is_digit(c) ? INTEGER : c == '.' ? FRACTION : (c | 32) == 'e' ? EXPONENT : INVALID;
    case POINT:
      return is_digit(c) ? FRACTION : INVALID;
    case FRACTION:
      return is_digit(c) ? FRACTION : (c | 32) == 'e' ? EXPONENT : INVALID;
    case EXPONENT:
      return is_digit(c) ? POWER : c == '+' || c == '-' ? EXPONENT_SIGN : INVALID;
    case EXPONENT_SIGN:
    case POWER:
      return is_digit(c) ? POWER : INVALID;
    default:
      return INVALID;
  }
}

/* Counts what each word of the text turned out to be. */
static void classify(const char *text, uint32_t counts[INVALID + 1]) {
  enum state s = START;
  for (int i = 0; i < TEXT; i++) {
    if (text[i] == ',') {
      counts[s]++;
      s = START;
    } else {
      s = step(s, text[i]);
    }
  }
}

/* ---- workload ---- */

static int setup(struct ctx *c) {
  struct lists *l = c->mem;
  l->seed = c->seed;
  crc32_table(l->crc);
  write_text(l);
  return 0;
}

static uint64_t unit(struct ctx *c) {
  struct lists *l = c->mem;
  struct {
    uint32_t list, counts[INVALID + 1];
  } results = {0};
  results.list = work_on_lists(l);
  classify(l->text, results.counts);
  uint32_t of_text = crc32(l->crc, l->text, TEXT), of_results = crc32(l->crc, &results, sizeof results);
  c->ops++;
  return mix_fold(of_text, of_results);
}

const struct workload cpu_lists = {.name = "cpu/lists", .memory = sizeof(struct lists), .flags = W_REPEATS, .setup = setup, .unit = unit};
