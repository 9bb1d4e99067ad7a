/**
 * The Linux profile: ordinary programs out of Debian's packages, in the unmodified guest and, in the same version, on bare
 * metal. A unit is one run of the program, from its start to its end, with a fixed amount of work; agent.sh runs it.
 */
import type { WorkloadSpec } from '../spec.js';

const MIB = 1 << 20;
const common = {
  group: 'linux',
  minVcpus: 1,
  needs: {},
  comparable: true,
  vectorizable: false,
  memoryPerCpu: 480 * MIB, // of the whole machine: nothing here needs it for each CPU
} as const;

function program(name: string, measures: string): WorkloadSpec {
  return {
    ...common,
    name: `linux/${name}`,
    measures,
    metric: 'throughput',
    unit: 'runs/s',
    scale: 1,
    cpus: 'one',
  };
}

/** Time of one request as fio itself gives it: its start takes longer than many requests. */
function fio(name: string, measures: string): WorkloadSpec {
  return {
    ...common,
    name: `linux/${name}`,
    measures,
    metric: 'reported',
    unit: 'ns',
    scale: 1,
    cpus: 'one',
    needs: { disk: true },
  };
}

export const linuxWorkloads: readonly WorkloadSpec[] = [
  program('busybox-sha256', 'busybox sha256sum of 1 MiB'),
  program('gzip', 'gzip -6 of 512 KiB of text'),
  program('xz', 'xz -1 of 256 KiB of text'),
  program('stress-int', 'stress-ng: 40 rounds of its integer mixture (cpu-method int64)'),
  program('stress-float', 'stress-ng: 40 rounds of its floating-point mixture (cpu-method double)'),
  program('stress-matrix', 'stress-ng: 10 matrix products (matrix-method prod)'),
  program('stress-fork', 'stress-ng: 40 processes started and awaited'),
  program('stress-pipe', 'stress-ng: 2000 messages through a pipe between two processes'),
  fio('fio-randread-4k-qd1', 'fio: time of a direct random read of 4 KiB, one at a time'),
  fio('fio-randread-4k-qd32', 'fio: time for each direct random read of 4 KiB, 32 in flight (libaio)'),
];
