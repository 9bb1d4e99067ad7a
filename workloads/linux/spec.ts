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

/** Time of one operation as the program itself gives it: its start takes longer than many operations. */
function timed(name: string, measures: string, needs: WorkloadSpec['needs'] = {}): WorkloadSpec {
  return { ...common, name: `linux/${name}`, measures, metric: 'reported', unit: 'ns', scale: 1, cpus: 'one', needs };
}

const boot: WorkloadSpec = {
  ...common,
  name: 'linux/boot',
  measures: 'from the machine’s start to /init: firmware, kernel, a small RAM disk',
  metric: 'time-per-op',
  unit: 'ms',
  scale: 1e6,
  cpus: 'one',
  comparable: false,
  boots: true,
};

export const linuxWorkloads: readonly WorkloadSpec[] = [
  boot,
  program('busybox-sha256', 'busybox sha256sum of 1 MiB'),
  program('gzip', 'gzip -6 of 512 KiB of text'),
  program('xz', 'xz -1 of 256 KiB of text'),
  timed('stress-int64', 'stress-ng: an operation of --cpu-method int64'),
  timed('stress-double', 'stress-ng: an operation of --cpu-method double'),
  timed('stress-fft', 'stress-ng: an operation of --cpu-method fft'),
  timed('stress-crc16', 'stress-ng: an operation of --cpu-method crc16'),
  timed('stress-queens', 'stress-ng: an operation of --cpu-method queens'),
  timed('stress-matrix', 'stress-ng: an operation of --matrix-method prod'),
  timed('stress-fork', 'stress-ng: a process started and awaited (--fork)'),
  timed('stress-pipe', 'stress-ng: a message through a pipe between two processes (--pipe)'),
  timed('stress-switch', 'stress-ng: a switch between two processes (--switch)'),
  timed('fio-randread-4k-qd1', 'fio: a direct random read of 4 KiB, one at a time', { disk: true }),
  timed('fio-randread-4k-qd32', 'fio: a direct random read of 4 KiB, 32 in flight (libaio)', { disk: true }),
];
