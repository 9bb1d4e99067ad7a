/*
 * runner.c: a sample, from barrier to doorbell.
 *
 *   CPU 0   begin ─ all here? ─ STX ─ go ─ unit unit unit ─ drain ─────── all done? ─ finish
 *   CPU n   begin ─ arrive ───────── go ─ unit unit unit unit ─ drain ─ ETX (the last one) ─ finish
 *
 * Each CPU has a slot of its own; what they share (struct shared_state) is touched only at the two barriers.
 */
#include "init/runner.h"

#include "env.h"
#include "lib/mem.h"
#include "lib/mix.h"
#include "lib/str.h"

enum { WAIT, RUN, ABORT };

struct slot {
  struct ctx ctx;
  uint64_t units, first; /* checksum of the sample's first unit */
  int status;            /* of the last setup, begin, drain or finish: the first error stays */
  size_t bytes;          /* of ctx.mem, as allocated */
} __attribute__((aligned(128)));

static struct slot slots[ENV_MAX_CPUS];

static struct shared_state {
  const struct workload *w;
  unsigned cpus; /* slots in use: one for a W_CPU0 workload */
  void *shared;
  size_t shared_bytes;
  uint64_t ns;         /* length of the sample, as asked for */
  uint64_t start, end; /* guest's clock: start doorbell rung, and when no further unit begins */
  uint64_t stop;       /* guest's clock: the last drain was done */
  unsigned arrived, failed, finished, go;
} state;

static unsigned load(const unsigned *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static void store(unsigned *p, unsigned v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static unsigned increment(unsigned *p) { return __atomic_add_fetch(p, 1, __ATOMIC_ACQ_REL); }

const struct workload *runner_current(void) { return state.w; }

const struct workload *runner_find(const char *name) {
  for (const struct workload *const *w = workloads; *w; w++) {
    if (strcmp((*w)->name, name) == 0) return *w;
  }
  return NULL;
}

/* Runs job(slot) on every participating CPU and returns when all are done. */
static int on_all_cpus(void (*job)(void *)) {
  int status = 0;
  unsigned started = 1;
  for (; started < state.cpus && status == 0; started++) status = env_spawn(started, job, &slots[started]);
  if (status) {
    /* Jobs that already run wait for CPUs that will never come. */
    store(&state.go, ABORT);
    started--;
  } else {
    job(&slots[0]);
  }
  for (unsigned cpu = 1; cpu < started; cpu++) env_join(cpu);
  return status;
}

/* The first error of any CPU, with its reason. */
static int first_error(const char *phase, const char **reason) {
  for (unsigned i = 0; i < state.cpus; i++) {
    if (slots[i].status == 0) continue;
    *reason = slots[i].ctx.reason ? slots[i].ctx.reason : phase;
    return slots[i].status;
  }
  return 0;
}

/* What any CPU says of errors that did not end the sample. */
static const char *any_reason(void) {
  for (unsigned i = 0; i < state.cpus; i++) {
    if (slots[i].ctx.reason) return slots[i].ctx.reason;
  }
  return NULL;
}

static void keep_status(struct slot *s, int status) {
  if (s->status == 0 && status < 0) s->status = status;
}

/* ---- prepare ---- */

/* Grows *memory to at least `bytes`; a large enough block from an earlier workload is kept. Returns 0 or -ENOMEM. */
static int provide(void **memory, size_t *have, size_t bytes) {
  if (*have >= bytes) return 0;
  if (*memory) env_free(*memory, *have);
  *memory = env_alloc(bytes);
  *have = *memory ? bytes : 0;
  return *memory ? 0 : -ENV_ENOMEM;
}

static int provide_all(void) {
  for (unsigned i = 0; i < state.cpus; i++) {
    if (provide(&slots[i].ctx.mem, &slots[i].bytes, state.w->memory)) return -ENV_ENOMEM;
  }
  return provide(&state.shared, &state.shared_bytes, state.w->shared);
}

static void setup_job(void *arg) {
  struct slot *s = arg;
  /* Each CPU touches its own memory first, so that the host places it near. */
  if (state.w->memory) memset(s->ctx.mem, 0, state.w->memory);
  if (state.w->setup) keep_status(s, state.w->setup(&s->ctx));
}

static uint64_t cpu_seed(uint64_t seed, unsigned cpu) { return mix64(seed * ENV_MAX_CPUS + cpu); }

static void fill_slots(const struct run_config *config) {
  for (unsigned i = 0; i < state.cpus; i++) {
    void *mem = slots[i].ctx.mem;
    slots[i].ctx = (struct ctx){
        .cpu = i,
        .cpus = config->cpus,
        .seed = cpu_seed(config->seed, i),
        .mem = mem,
        .peer_ip = config->peer_ip,
        .peer_port = config->peer_port,
        .shared = state.shared,
    };
    slots[i].status = 0;
  }
}

int runner_prepare(const struct workload *w, const struct run_config *config, const char **reason) {
  state.w = w;
  state.cpus = w->flags & W_CPU0 ? 1 : config->cpus;
  int status = provide_all();
  *reason = "not enough memory for the workload's buffers; give the machine more";
  if (status == 0) {
    if (w->shared) memset(state.shared, 0, w->shared);
    fill_slots(config);
    *reason = "a CPU of the machine does not answer";
    status = on_all_cpus(setup_job);
  }
  if (status == 0) status = first_error("set-up failed", reason);
  if (status) state.w = NULL;
  else *reason = NULL;
  return status;
}

/* ---- sample ---- */

static void run_units(struct slot *s) {
  const struct workload *w = state.w;
  const uint64_t end = state.end;
  do {
    uint64_t checksum = w->unit(&s->ctx);
    if (s->units == 0) s->first = checksum;
    else if ((w->flags & W_REPEATS) && checksum != s->first) s->ctx.errors++;
    s->ctx.unit = ++s->units;
    env_poll();
  } while (env_now_ns() < end && !env_leaving());
}

/* CPU 0, when all have arrived: rings the start doorbell and lets them go. */
static void start_all(void) {
  if (load(&state.failed)) {
    store(&state.go, ABORT);
    return;
  }
  env_doorbell(ENV_DOORBELL_START);
  state.start = env_now_ns();
  state.end = state.start + state.ns;
  store(&state.go, RUN);
}

/* After the last unit. Whoever comes last rings the stop doorbell; all leave together, since finish() is not timed. */
static void end_together(void) {
  if (increment(&state.finished) == state.cpus) {
    state.stop = env_now_ns();
    env_doorbell(ENV_DOORBELL_STOP);
    increment(&state.finished);
  }
  while (load(&state.finished) <= state.cpus && !env_leaving()) env_relax();
}

static void sample_job(void *arg) {
  struct slot *s = arg;
  const struct workload *w = state.w;
  if (w->begin) keep_status(s, w->begin(&s->ctx));
  if (s->status) increment(&state.failed);
  increment(&state.arrived);
  if (s->ctx.cpu == 0) {
    while (load(&state.arrived) < state.cpus) env_relax();
    start_all();
  }
  while (load(&state.go) == WAIT) env_relax();
  if (load(&state.go) == ABORT) return;
  run_units(s);
  if (w->drain) keep_status(s, w->drain(&s->ctx));
  end_together();
  if (w->finish) keep_status(s, w->finish(&s->ctx));
}

static void reset_slots(uint64_t seed) {
  for (unsigned i = 0; i < state.cpus; i++) {
    struct slot *s = &slots[i];
    struct ctx *c = &s->ctx;
    c->seed = cpu_seed(seed, i);
    c->unit = c->ops = c->errors = c->lat_ns = c->lat_count = 0;
    for (unsigned k = 0; k < 4; k++) c->extra[k] = 0;
    c->wrong_at = UINT64_MAX;
    c->reason = NULL;
    s->units = s->first = 0;
    s->status = 0;
  }
  state.arrived = state.failed = state.finished = 0;
  state.go = WAIT;
}

static void collect(struct run_result *r) {
  for (unsigned i = 0; i < state.cpus; i++) {
    const struct slot *s = &slots[i];
    r->units += s->units;
    r->ops += s->ctx.ops;
    r->errors += s->ctx.errors;
    if (s->ctx.wrong_at < r->wrong_at) r->wrong_at = s->ctx.wrong_at;
    r->lat_ns += s->ctx.lat_ns;
    r->lat_count += s->ctx.lat_count;
    r->checksum = mix_fold(r->checksum, s->first);
    for (unsigned k = 0; k < 4; k++) r->extra[k] += s->ctx.extra[k];
  }
  r->ns = state.stop - state.start;
}

static void empty_pair(struct run_result *r) {
  env_doorbell(ENV_DOORBELL_START);
  uint64_t start = env_now_ns();
  r->ns = env_now_ns() - start;
  env_doorbell(ENV_DOORBELL_STOP);
}

int runner_sample(uint64_t ms, uint64_t seed, struct run_result *result, const char **reason) {
  *result = (struct run_result){.wrong_at = UINT64_MAX};
  *reason = NULL;
  if (ms == 0) {
    empty_pair(result);
    return 0;
  }
  reset_slots(seed);
  state.ns = ms * 1000000;
  int status = on_all_cpus(sample_job);
  if (status) {
    *reason = "a CPU of the machine does not answer";
    return status;
  }
  collect(result);
  *reason = any_reason();
  status = first_error("the workload failed", reason);
  return status;
}
