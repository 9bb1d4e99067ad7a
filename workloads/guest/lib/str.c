/* str.c: see str.h. */
#include "lib/str.h"

size_t strlen(const char *s) {
  const char *p = s;
  while (*p) p++;
  return (size_t)(p - s);
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, (size_t)-1); }

int strncmp(const char *a, const char *b, size_t n) {
  for (; n; n--, a++, b++) {
    if (*a != *b) return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
    if (!*a) return 0;
  }
  return 0;
}

char *strchr(const char *s, int c) {
  for (;; s++) {
    if (*s == (char)c) return (char *)s;
    if (!*s) return NULL;
  }
}

size_t str_copy(char *to, const char *from, size_t max) {
  size_t n = strlen(from), i = 0;
  for (; i < n && i + 1 < max; i++) to[i] = from[i];
  to[i] = 0;
  return n;
}

int str_starts(const char *s, const char *prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }

int str_glob(const char *pattern, const char *name) {
  const char *star = NULL, *again = NULL; /* the last star, and how far it has swallowed */
  while (*name) {
    if (*pattern == '*') {
      star = ++pattern;
      again = name;
    } else if (*pattern == '?' || *pattern == *name) {
      pattern++, name++;
    } else if (star) {
      pattern = star;
      name = ++again;
    } else {
      return 0;
    }
  }
  while (*pattern == '*') pattern++;
  return !*pattern;
}

static int digit(char c, unsigned base) {
  unsigned d = c >= '0' && c <= '9' ? (unsigned)(c - '0') : (c | 32) >= 'a' && (c | 32) <= 'f' ? (unsigned)((c | 32) - 'a' + 10) : 99;
  return d < base ? (int)d : -1;
}

int str_u64(const char *s, uint64_t *value) {
  unsigned base = 10;
  uint64_t v = 0;
  if (s[0] == '0' && (s[1] | 32) == 'x') base = 16, s += 2;
  if (!*s) return -1;
  for (; *s; s++) {
    int d = digit(*s, base);
    if (d < 0 || v > (UINT64_MAX - (unsigned)d) / base) return -1;
    v = v * base + (unsigned)d;
  }
  *value = v;
  return 0;
}

/* Decimal number up to the given end character; the position after it, or NULL. */
static const char *field(const char *s, char end, unsigned max, unsigned *value) {
  unsigned v = 0;
  const char *p = s;
  for (; *p >= '0' && *p <= '9'; p++) {
    v = v * 10 + (unsigned)(*p - '0');
    if (v > max) return NULL;
  }
  if (p == s || *p != end) return NULL;
  *value = v;
  return p + 1;
}

int str_endpoint(const char *s, uint32_t *ip, uint16_t *port) {
  unsigned part, address = 0;
  for (int i = 0; i < 4; i++) {
    s = field(s, i < 3 ? '.' : ':', 255, &part);
    if (!s) return -1;
    address = address << 8 | part;
  }
  if (!field(s, 0, 65535, &part) || part == 0) return -1;
  *ip = address;
  *port = (uint16_t)part;
  return 0;
}

static int blank(char c) { return c == ' ' || c == '\t'; }

char *str_word(char **rest) {
  char *s = *rest, *word;
  while (blank(*s)) s++;
  if (!*s) return NULL;
  word = s;
  while (*s && !blank(*s)) s++;
  if (*s) *s++ = 0;
  *rest = s;
  return word;
}

int str_option(const char *words, const char *key, char *value, size_t max) {
  size_t length = strlen(key);
  for (const char *s = words; *s;) {
    while (blank(*s)) s++;
    if (strncmp(s, key, length) == 0 && s[length] == '=') {
      size_t n = 0;
      for (s += length + 1; *s && !blank(*s); s++) {
        if (n + 1 < max) value[n++] = *s;
      }
      value[n] = 0;
      return 1;
    }
    while (*s && !blank(*s)) s++;
  }
  value[0] = 0;
  return 0;
}
