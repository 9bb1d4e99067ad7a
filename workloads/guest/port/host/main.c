/* main.c: argv of the native image, its tool modes, and what the program asks of the machine as a whole. */
#include "host.h"
#include "init/control.h"
#include "init/print.h"
#include "lib/format.h"
#include "lib/str.h"
#include "workload.h"

enum { PR_SET_PDEATHSIG = 1, PR_SET_TIMERSLACK = 29, SIGKILL = 9 };

struct host_config host = {.vcpus = 1};

static const char usage[] =
    "usage: virtax-guest guest [--vcpus N] [--disk PATH [--direct]] [--peer PORT] [--poll-us N] [--stamp] [--append ARGS]\n"
    "                          the workloads as a native process, driven by lines on standard input (try `help`)\n"
    "       virtax-guest peer [PORT]         UDP peer of the net workloads on 127.0.0.1; ends with its standard input\n"
    "       virtax-guest mkdisk PATH BYTES   makes a disk file with the contents that the block workloads expect\n"
    "       virtax-guest list                names of the workloads\n"
    "       virtax-guest unit NAME [N]       N units of a workload, nothing else: to count instructions\n"
    "       virtax-guest selftest            known answers, for the tests\n";

static void report(const char *text, va_list args) {
  char line[PRINT_MAX];
  size_t n = format(line, sizeof line, "virtax-guest: ");
  n += vformat(line + n, sizeof line - n - 1, text, args);
  if (n > sizeof line - 2) n = sizeof line - 2;
  line[n++] = '\n';
  write_all(2, line, n);
}

void host_report(const char *text, ...) {
  va_list args;
  va_start(args, text);
  report(text, args);
  va_end(args);
}

_Noreturn void host_die(int status, const char *text, ...) {
  va_list args;
  va_start(args, text);
  report(text, args);
  va_end(args);
  env_poweroff(status);
}

_Noreturn void env_poweroff(int status) {
  for (;;) SYSCALL(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

const char *env_bootargs(void) { return host.bootargs; }
const char *env_port(void) { return "host"; }

static void bad_usage(const char *what, const char *argument) {
  host_report("%s: %s", what, argument);
  write_all(2, usage, sizeof usage - 1);
  env_poweroff(2);
}

static uint64_t number(const char *option, const char *text, uint64_t min, uint64_t max) {
  uint64_t v;
  if (!text || str_u64(text, &v) || v < min || v > max) {
    host_die(2, "%s wants a number from %llu to %llu, not %s", option, (unsigned long long)min, (unsigned long long)max, text ? text : "nothing");
  }
  return v;
}

static void add_bootargs(const char *text, const char *value) {
  size_t n = strlen(host.bootargs);
  if (n + strlen(text) + strlen(value) + 2 > sizeof host.bootargs) host_die(2, "--append is too long: at most %zu characters", sizeof host.bootargs);
  format(host.bootargs + n, sizeof host.bootargs - n, "%s%s%s", n ? " " : "", text, value);
}

static int *find_flag(const char *option) {
  if (strcmp(option, "--direct") == 0) return &host.direct;
  if (strcmp(option, "--stamp") == 0) return &host.stamp;
  if (strcmp(option, "--no-io-uring") == 0) return &host.no_uring;
  return NULL;
}

static void parse_guest(int argc, char **argv) {
  for (int i = 0; i < argc; i++) {
    const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
    int *flag = find_flag(option);
    if (flag) {
      *flag = 1;
      continue;
    }
    if (strcmp(option, "--vcpus") == 0) host.vcpus = (unsigned)number(option, value, 1, ENV_MAX_CPUS);
    else if (strcmp(option, "--poll-us") == 0) host.poll_ns = number(option, value, 0, 1000000) * 1000;
    else if (strcmp(option, "--disk") == 0 && value) host.disk_path = value;
    else if (strcmp(option, "--append") == 0 && value) add_bootargs("", value);
    else if (strcmp(option, "--peer") == 0 && number(option, value, 1, 65535)) add_bootargs("virtax.peer=127.0.0.1:", value);
    else bad_usage(value ? "unknown option" : "unknown option, or its value is missing", option);
    i++;
  }
}

static _Noreturn void guest_main(int argc, char **argv) {
  parse_guest(argc, argv);
  cpus_start();
  if (host.disk_path) block_open();
  init_main();
}

static void list_main(void) {
  for (const struct workload *const *w = workloads; *w; w++) print("%s\n", (*w)->name);
}

/* From _start: sp points to argc, argv, NULL, environment, NULL, auxiliary vector. */
_Noreturn void host_start(const uint64_t *sp) {
  int argc = (int)sp[0];
  char **argv = (char **)(sp + 1);
  const uint64_t *p = sp + 1 + argc + 1;
  while (*p) p++;
  clock_find(p + 1);
  cpus[0].self = &cpus[0];
  cpu_set_self(&cpus[0]);
  /* A killed parent can no longer end us; the kernel does. */
  SYSCALL(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
  /* Sleeps end when they should, not up to 50 us later: the engines' threads do the same. Threads inherit it. */
  SYSCALL(SYS_prctl, PR_SET_TIMERSLACK, 1, 0, 0, 0, 0);
  const char *mode = argc > 1 ? argv[1] : "";
  if (strcmp(mode, "guest") == 0) guest_main(argc - 2, argv + 2);
  if (strcmp(mode, "peer") == 0) env_poweroff(peer_main(argc - 2, argv + 2));
  if (strcmp(mode, "mkdisk") == 0) env_poweroff(mkdisk_main(argc - 2, argv + 2));
  if (strcmp(mode, "unit") == 0) env_poweroff(unit_main(argc - 2, argv + 2));
  if (strcmp(mode, "selftest") == 0) env_poweroff(selftest_main());
  if (strcmp(mode, "list") == 0) {
    list_main();
    env_poweroff(0);
  }
  if (strcmp(mode, "--help") == 0) {
    write_all(1, usage, sizeof usage - 1);
    env_poweroff(0);
  }
  bad_usage(argc > 1 ? "unknown mode" : "no mode given", mode);
  env_poweroff(2);
}
