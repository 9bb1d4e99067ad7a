/* selftest.c */
#include "host.h"
int selftest_main(void) { return 2; }
