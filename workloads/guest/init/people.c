/* people.c: see people.h. */
#include "init/people.h"

#include "env.h"
#include "init/print.h"
#include "lib/format.h"
#include "lib/str.h"

static void help(void) {
  print(
      "list                                       the workloads\n"
      "run NAME[,NAME...] [ms=250] [seed=1] [cpus=N] [peer=ADDRESS:PORT]\n"
      "                                           runs them (names may hold * and ?) and shows figures\n"
      "echo [off]                                 shows what you type\n"
      "poweroff                                   ends the machine\n");
  print("prepare, start                             for programs: see control.c\n");
}

static void list(void) {
  for (const struct workload *const *w = workloads; *w; w++) print("%s\n", (*w)->name);
}

/* Does the name match one of the patterns, separated by commas? */
static int selected(const char *patterns, const char *name) {
  char one[64];
  for (const char *s = patterns; *s;) {
    size_t n = 0;
    for (; *s && *s != ','; s++) {
      if (n + 1 < sizeof one) one[n++] = *s;
    }
    one[n] = 0;
    if (*s) s++;
    if (str_glob(one, name)) return 1;
  }
  return 0;
}

static void show(const struct workload *w, const struct run_result *r) {
  uint64_t us = r->ns / 1000 ? r->ns / 1000 : 1;
  print("%-24s %llu units, %llu ops in %llu.%03llu ms: %llu ops/s, checksum %016llx", w->name, ull(r->units), ull(r->ops), ull(us / 1000),
        ull(us % 1000), ull(r->ops * 1000000 / us), ull(r->checksum));
  if (r->lat_count) print(", latency %llu ns", ull(r->lat_ns / r->lat_count));
  for (int i = 0; i < 4 && w->extra[i]; i++) print(", %s %llu", w->extra[i], ull(r->extra[i]));
  if (r->wrong_at != UINT64_MAX) print(", wrong data at byte %llu of the disk", ull(r->wrong_at));
  print(r->errors ? ", %llu ERRORS\n" : "\n", ull(r->errors));
}

/* 0 when it ran without errors or does not apply here, else 1. */
static int run_one(const struct workload *w, const struct run_config *config, uint64_t ms) {
  struct run_result result;
  const char *reason;
  int status = runner_prepare(w, config, &reason);
  if (status == 0) status = runner_sample(ms, config->seed, &result, &reason);
  if (status == 0) {
    if (reason) print("%-24s %s\n", w->name, reason);
    show(w, &result);
    return result.errors ? 1 : 0;
  }
  print("%-24s %s: %s (errno %d)\n", w->name, status == -ENV_ENOTSUP ? "skipped" : "FAILED", reason, -status);
  return status == -ENV_ENOTSUP ? 0 : 1;
}

/* 0, or 1 if anything failed. */
static int run(char *rest) {
  struct run_config config;
  uint64_t ms = 250, seed = 1;
  int failed = 0, found = 0;
  const char *patterns = str_word(&rest);
  if (!patterns) {
    print("error run what? `list` shows the workloads\n");
    return 1;
  }
  if (control_config(rest, &config) || control_duration(rest, &ms, &seed)) return 1;
  for (const struct workload *const *w = workloads; *w; w++) {
    if (!selected(patterns, (*w)->name)) continue;
    found = 1;
    failed |= run_one(*w, &config, ms);
  }
  if (!found) print("error no workload matches %s; `list` shows them\n", patterns);
  return failed || !found;
}

int people_command(const char *command, char *rest) {
  if (strcmp(command, "help") == 0) help();
  else if (strcmp(command, "list") == 0) list();
  else if (strcmp(command, "run") == 0) run(rest);
  else return -1;
  return 0;
}

void people_boot(const char *bootargs) {
  static const char *const options[] = {"ms", "seed", "cpus", "peer"};
  char line[256], key[16], value[64];
  if (!str_option(bootargs, "virtax.run", line, sizeof line)) return;
  size_t n = strlen(line);
  for (unsigned i = 0; i < sizeof options / sizeof *options; i++) {
    format(key, sizeof key, "virtax.%s", options[i]);
    if (!str_option(bootargs, key, value, sizeof value) || n >= sizeof line) continue;
    n += format(line + n, sizeof line - n, " %s=%s", options[i], value);
  }
  env_poweroff(run(line));
}
