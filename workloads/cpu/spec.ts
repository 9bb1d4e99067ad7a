import type { WorkloadSpec } from '../spec.js';

const KIB = 1024;

function cpu(
  name: string,
  measures: string,
  memoryPerCpu: number,
  options: { vectorizable?: boolean } = {},
): WorkloadSpec {
  return {
    name: `cpu/${name}`,
    group: 'cpu',
    measures,
    metric: 'throughput',
    unit: 'units/s',
    scale: 1,
    minVcpus: 1,
    cpus: 'all',
    needs: {},
    comparable: true,
    vectorizable: options.vectorizable ?? false,
    memoryPerCpu,
  };
}

export const cpuWorkloads: WorkloadSpec[] = [
  cpu('sieve', 'integer work on bytes: the primes below 2^17 by the sieve of Eratosthenes', 64 * KIB),
  cpu('sha256', 'integer work in registers: SHA-256 of 16 KiB', 16 * KIB),
  cpu('matmul', 'floating point over rows: a product of two 56 x 56 matrices of doubles', 76 * KIB, {
    vectorizable: true,
  }),
  cpu('quicksort', 'branches that cannot be predicted: 8192 random numbers sorted', 64 * KIB),
  cpu('mandelbrot', 'floating point in registers: escape times of 72 x 48 points', 4 * KIB),
  cpu('nbody', 'square roots and divisions: 1000 steps of the Sun and its four giants', 4 * KIB, {
    vectorizable: true,
  }),
  cpu('lists', 'branchy integer code: linked lists, a state machine over text, CRC-32', 36 * KIB),
];
