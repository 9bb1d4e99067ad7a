/* format.c: see format.h. */
#include "lib/format.h"

#include <stdint.h>

struct sink {
  char *out;
  size_t max, length;
};

struct field {
  int left, zero;
  unsigned width;
};

static void put(struct sink *to, char c) {
  if (to->length + 1 < to->max) to->out[to->length] = c;
  to->length++;
}

static void put_field(struct sink *to, const struct field *f, const char *sign, const char *text, unsigned n) {
  unsigned signs = *sign ? 1 : 0, pad = f->width > n + signs ? f->width - n - signs : 0;
  if (f->zero && signs) put(to, *sign);
  if (!f->left) {
    for (unsigned i = 0; i < pad; i++) put(to, f->zero ? '0' : ' ');
  }
  if (!f->zero && signs) put(to, *sign);
  for (unsigned i = 0; i < n; i++) put(to, text[i]);
  if (f->left) {
    for (unsigned i = 0; i < pad; i++) put(to, ' ');
  }
}

static void put_number(struct sink *to, const struct field *f, const char *sign, uint64_t v, unsigned base) {
  char digits[20];
  unsigned i = sizeof digits;
  do {
    digits[--i] = "0123456789abcdef"[v % base];
    v /= base;
  } while (v);
  put_field(to, f, sign, digits + i, (unsigned)sizeof digits - i);
}

static void put_string(struct sink *to, const struct field *f, const char *s) {
  unsigned n = 0;
  if (!s) s = "(null)";
  while (s[n]) n++;
  put_field(to, f, "", s, n);
}

/* Flags, width and length modifier; leaves the conversion character. bits: size of the argument. */
static const char *parse_field(const char *s, struct field *f, unsigned *bits) {
  *f = (struct field){0, 0, 0};
  *bits = sizeof(int) * 8;
  for (; *s == '-' || *s == '0'; s++) {
    if (*s == '-') f->left = 1;
    else f->zero = 1;
  }
  if (f->left) f->zero = 0;
  for (; *s >= '0' && *s <= '9'; s++) f->width = f->width * 10 + (unsigned)(*s - '0');
  if (*s == 'z') return *bits = sizeof(size_t) * 8, s + 1;
  if (*s != 'l') return s;
  *bits = sizeof(long) * 8;
  if (s[1] != 'l') return s + 1;
  *bits = 64;
  return s + 2;
}

size_t vformat(char *out, size_t max, const char *text, va_list args) {
  struct sink to = {out, max, 0};
  for (const char *s = text; *s; s++) {
    struct field f;
    unsigned bits;
    if (*s != '%') {
      put(&to, *s);
      continue;
    }
    s = parse_field(s + 1, &f, &bits);
    if (!*s) break;
    if (*s == 's') {
      put_string(&to, &f, va_arg(args, const char *));
    } else if (*s == 'c') {
      char c = (char)va_arg(args, int);
      put_field(&to, &f, "", &c, 1);
    } else if (*s == 'd' || *s == 'i') {
      int64_t v = bits == 64 ? va_arg(args, long long) : va_arg(args, int);
      put_number(&to, &f, v < 0 ? "-" : "", v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10);
    } else if (*s == 'u' || *s == 'x') {
      put_number(&to, &f, "", bits == 64 ? va_arg(args, unsigned long long) : va_arg(args, unsigned), *s == 'x' ? 16 : 10);
    } else if (*s == 'p') {
      put_number(&to, &f, "", (uintptr_t)va_arg(args, void *), 16);
    } else {
      put(&to, *s);
    }
  }
  if (max) out[to.length < max ? to.length : max - 1] = 0;
  return to.length;
}

size_t format(char *out, size_t max, const char *text, ...) {
  va_list args;
  va_start(args, text);
  size_t n = vformat(out, max, text, args);
  va_end(args);
  return n;
}
