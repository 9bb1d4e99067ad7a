/*
 * control.c: the command loop on the console. The same lines on every port (host to guest `>`, guest to host `<`):
 *
 *   < virtax-guest 1 ready port=riscv64 cpus=4 disk=134217728 net=1
 *   > prepare cpu/sieve seed=1 cpus=4 peer=10.0.2.2:9000
 *   < ready cpu/sieve            | skipped cpu/sieve REASON | error REASON
 *   > start ms=250 seed=7
 *   < STX, work, ETX             the doorbells: bytes 2 and 3 here, a hypercall on para
 *   < result units=123 ops=456 checksum=0123456789abcdef errors=0 ns=250012345 [latns=N] [other=N] [wrong=N]
 *   > poweroff
 *
 * wrong: the lowest byte of the disk where data was not what it must be.
 *
 * For people there are help, list, run and echo (people.c), and the boot argument virtax.run=….
 */
#include "init/control.h"

#include "env.h"
#include "init/people.h"
#include "init/print.h"
#include "init/runner.h"
#include "lib/format.h"
#include "lib/str.h"

enum { LINE_MAX = 256, NAME_MAX = 48 };

static int echo; /* input is shown only when a person asked for it: programs do not want their own lines back */

/* key=number of a line into *value (kept when absent). 0, or -1 after printing the error. */
static int number_option(const char *line, const char *key, uint64_t *value) {
  char text[24];
  if (!str_option(line, key, text, sizeof text) || str_u64(text, value) == 0) return 0;
  print("error %s=%s is not a number\n", key, text);
  return -1;
}

int control_config(const char *line, struct run_config *config) {
  char peer[32];
  uint64_t cpus = env_cpus();
  *config = (struct run_config){.seed = 1};
  if (number_option(line, "seed", &config->seed) || number_option(line, "cpus", &cpus)) return -1;
  if (cpus < 1 || cpus > env_cpus()) {
    print("error cpus=%llu: this machine has 1 to %u\n", ull(cpus), env_cpus());
    return -1;
  }
  config->cpus = (unsigned)cpus;
  if (str_option(line, "peer", peer, sizeof peer) && str_endpoint(peer, &config->peer_ip, &config->peer_port)) {
    print("error peer=%s is not ADDRESS:PORT\n", peer);
    return -1;
  }
  return 0;
}

int control_duration(const char *line, uint64_t *ms, uint64_t *seed) {
  if (number_option(line, "ms", ms) || number_option(line, "seed", seed)) return -1;
  if (*ms <= 3600000) return 0;
  print("error ms=%llu: at most an hour (3600000)\n", ull(*ms));
  return -1;
}

static void print_error(int status, const char *reason) { print("error %s (errno %d)\n", reason, -status); }

static void prepare(char *rest) {
  struct run_config config;
  const char *reason;
  const char *name = str_word(&rest);
  const struct workload *w = name ? runner_find(name) : NULL;
  if (!w) {
    print("error no workload %s; `list` shows them\n", name ? name : "was named");
    return;
  }
  if (control_config(rest, &config)) return;
  int status = runner_prepare(w, &config, &reason);
  if (status == -ENV_ENOTSUP) print("skipped %s %s\n", w->name, reason);
  else if (status) print_error(status, reason);
  else print("ready %s\n", w->name);
}

static void print_result(const struct workload *w, const struct run_result *r) {
  char tail[160] = "";
  size_t n = 0;
  if (r->lat_count) n += format(tail, sizeof tail, " latns=%llu", ull(r->lat_ns / r->lat_count));
  for (int i = 0; i < 4 && w && w->extra[i] && n < sizeof tail; i++) {
    n += format(tail + n, sizeof tail - n, " %s=%llu", w->extra[i], ull(r->extra[i]));
  }
  if (r->wrong_at != UINT64_MAX && n < sizeof tail) format(tail + n, sizeof tail - n, " wrong=%llu", ull(r->wrong_at));
  print("result units=%llu ops=%llu checksum=%016llx errors=%llu ns=%llu%s\n", ull(r->units), ull(r->ops), ull(r->checksum), ull(r->errors),
        ull(r->ns), tail);
}

static void start(const char *rest) {
  uint64_t ms = 250, seed = 1;
  struct run_result result;
  const char *reason;
  if (control_duration(rest, &ms, &seed)) return;
  if (!runner_current() && ms > 0) {
    print("error nothing is prepared\n");
    return;
  }
  int status = runner_sample(ms, seed, &result, &reason);
  if (status) {
    print_error(status, reason);
    return;
  }
  if (reason) print("note %s\n", reason); /* the cause of errors, for the console's last lines */
  print_result(runner_current(), &result);
}

static void execute(char *line) {
  char *command = str_word(&line);
  if (!command) return;
  if (strcmp(command, "prepare") == 0) prepare(line);
  else if (strcmp(command, "start") == 0) start(line);
  else if (strcmp(command, "poweroff") == 0) env_poweroff(0);
  else if (strcmp(command, "echo") == 0) echo = !str_starts(line, "off");
  else if (people_command(command, line) < 0) print("error no command %s; `help` shows them\n", command);
}

/* One line without its end; 0, or -EIO at the end of input. Characters beyond the buffer are dropped. */
static int read_line(char *line) {
  unsigned n = 0;
  for (;;) {
    char c;
    if (env_read(&c) < 0) return -ENV_EIO;
    if (c == '\r' || c == '\n') break;
    if ((c == 8 || c == 127) && n > 0) {
      n--;
      if (echo) env_write("\b \b", 3);
    } else if ((unsigned char)c >= ' ' && c != 127 && n + 1 < LINE_MAX) {
      line[n++] = c;
      if (echo) env_write(&c, 1);
    }
  }
  if (echo) env_write("\r\n", 2);
  line[n] = 0;
  return 0;
}

_Noreturn void init_main(void) {
  char line[LINE_MAX];
  print("virtax-guest 1 ready port=%s cpus=%u disk=%llu net=%d\n", env_port(), env_cpus(), ull(env_block_bytes()), env_has_net() ? 1 : 0);
  people_boot(env_bootargs());
  for (;;) {
    if (echo) env_write("> ", 2);
    if (read_line(line) < 0) env_poweroff(0);
    execute(line);
  }
}
