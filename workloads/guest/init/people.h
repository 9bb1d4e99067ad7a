/* people.h: commands for people at the console, and the boot argument virtax.run. */
#ifndef VIRTAX_PEOPLE_H
#define VIRTAX_PEOPLE_H
#include <stdint.h>

#include "init/runner.h"

/* help, list, run. 0, or -1 when it is none of these. */
int people_command(const char *command, char *rest);
/* Does what virtax.run=NAME,… of the boot arguments says and powers off; returns at once if they say nothing. */
void people_boot(const char *bootargs);

/* control.c: the options of a line. 0, or -1 after an error was printed. */
int control_config(const char *line, struct run_config *config);
int control_duration(const char *line, uint64_t *ms, uint64_t *seed);

#endif
