/* str.h: strings, numbers in text, and the file-name patterns of `run`. No allocation, no locale. */
#ifndef VIRTAX_STR_H
#define VIRTAX_STR_H
#include <stddef.h>
#include <stdint.h>

size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);

/* Copies at most max - 1 characters and always ends with a zero byte (max > 0). Returns strlen(from). */
size_t str_copy(char *to, const char *from, size_t max);
int str_starts(const char *s, const char *prefix);
/* Does name match the pattern? `*` stands for any characters, `?` for one. */
int str_glob(const char *pattern, const char *name);
/* Decimal, or hexadecimal after 0x; the whole string up to its end must be digits. 0, or -1 (also on overflow). */
int str_u64(const char *s, uint64_t *value);
/* a.b.c.d:port, address in host byte order. 0, or -1. */
int str_endpoint(const char *s, uint32_t *ip, uint16_t *port);
/* Cuts the next word (blanks around it) off *rest in place; NULL at the end. */
char *str_word(char **rest);
/* The value of `key=` in a list of words, copied to value; 1 if it is there, else 0 and value is "". */
int str_option(const char *words, const char *key, char *value, size_t max);

#endif
