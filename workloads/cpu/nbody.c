/*
 * cpu/nbody: the Sun and the four gas giants, by a symplectic integrator. Floating point with square roots and divisions.
 * Initial condition and step as in the well-known n-body benchmark, whose energies are published.
 */
#include "cpu/cpu.h"
#include "lib/mix.h"
#include "workload.h"

enum { STEPS = 1000 };

#define PI 3.141592653589793
#define SOLAR_MASS (4 * PI * PI)
#define DAYS_PER_YEAR 365.24

/* Positions in astronomical units, velocities in AU a day, masses in solar masses. */
static const struct body initial[BODIES] = {
    {0, 0, 0, 0, 0, 0, 1},
    {4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01, 1.66007664274403694e-03, 7.69901118419740425e-03,
     -6.90460016972063023e-05, 9.54791938424326609e-04},
    {8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01, -2.76742510726411230e-03, 4.99852801234917238e-03,
     2.30417297573763929e-05, 2.85885980666130812e-04},
    {1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01, 2.96460137564761618e-03, 2.37847173959480950e-03,
     -2.96589568540237556e-05, 4.36624404335156298e-05},
    {1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01, 2.68067772490389322e-03, 1.62824170038242295e-03,
     -9.51592254519715870e-05, 5.15138902046611451e-05},
};

void nbody_start(struct body b[BODIES]) {
  double px = 0, py = 0, pz = 0;
  for (int i = 0; i < BODIES; i++) {
    b[i] = initial[i];
    b[i].vx *= DAYS_PER_YEAR;
    b[i].vy *= DAYS_PER_YEAR;
    b[i].vz *= DAYS_PER_YEAR;
    b[i].mass *= SOLAR_MASS;
    px += b[i].vx * b[i].mass;
    py += b[i].vy * b[i].mass;
    pz += b[i].vz * b[i].mass;
  }
  /* The Sun moves so that the whole stands still. */
  b[0].vx = -px / SOLAR_MASS;
  b[0].vy = -py / SOLAR_MASS;
  b[0].vz = -pz / SOLAR_MASS;
}

void nbody_advance(struct body b[BODIES], double dt) {
  for (int i = 0; i < BODIES; i++) {
    for (int k = i + 1; k < BODIES; k++) {
      double dx = b[i].x - b[k].x, dy = b[i].y - b[k].y, dz = b[i].z - b[k].z;
      double square = dx * dx + dy * dy + dz * dz;
      double pull = dt / (square * __builtin_sqrt(square));
      double to_i = b[k].mass * pull, to_k = b[i].mass * pull;
      b[i].vx -= dx * to_i;
      b[i].vy -= dy * to_i;
      b[i].vz -= dz * to_i;
      b[k].vx += dx * to_k;
      b[k].vy += dy * to_k;
      b[k].vz += dz * to_k;
    }
  }
  for (int i = 0; i < BODIES; i++) {
    b[i].x += dt * b[i].vx;
    b[i].y += dt * b[i].vy;
    b[i].z += dt * b[i].vz;
  }
}

double nbody_energy(const struct body b[BODIES]) {
  double energy = 0;
  for (int i = 0; i < BODIES; i++) {
    energy += 0.5 * b[i].mass * (b[i].vx * b[i].vx + b[i].vy * b[i].vy + b[i].vz * b[i].vz);
    for (int k = i + 1; k < BODIES; k++) {
      double dx = b[i].x - b[k].x, dy = b[i].y - b[k].y, dz = b[i].z - b[k].z;
      energy -= b[i].mass * b[k].mass / __builtin_sqrt(dx * dx + dy * dy + dz * dz);
    }
  }
  return energy;
}

static uint64_t unit(struct ctx *c) {
  struct body *bodies = c->mem;
  nbody_start(bodies);
  for (int i = 0; i < STEPS; i++) nbody_advance(bodies, 0.01);
  union {
    double value;
    uint64_t bits;
  } energy = {nbody_energy(bodies)};
  c->ops++;
  return mix64(energy.bits);
}

const struct workload cpu_nbody = {.name = "cpu/nbody", .memory = BODIES * sizeof(struct body), .flags = W_REPEATS, .unit = unit};
