/** What of this host would spoil a measurement, and how to mend it. Each check is one function and says one thing. */
import { constants } from 'node:fs';
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { uringProblem } from '../engines/backends/io-context.js';
import { takesDirect } from './disks.js';
import { fileSystemName } from './file-system.js';
import { availableMemory, hostFacts, readText } from './host.js';
import { formatSize } from './usage.js';

export interface Finding {
  what: string;
  verdict: 'good' | 'note' | 'bad';
  found: string;
  /** What to do about it; empty when it is good. */
  mend: string;
}

const STEAL_WINDOW_MS = 300;

/** Checks this host, and the folder that disks and results would go to. */
export async function examine(folder: string): Promise<Finding[]> {
  const host = hostFacts();
  return [
    cores(host.cores, host.cpuQuota),
    governor(host.governor),
    turbo(),
    smt(host.smt),
    load(host.cores),
    await steal(),
    virtualized(host.virtualized, host.hypervisor),
    clockSource(host.clockSource),
    memory(availableMemory()),
    ...(await disk(folder)),
    ioUring(),
  ];
}

function good(what: string, found: string): Finding {
  return { what, verdict: 'good', found, mend: '' };
}

export function cores(count: number, quota: number | null): Finding {
  const what = 'cores';
  const found = quota === null ? `${count}` : `${count}, of which the control group allows ${quota.toFixed(1)}`;
  if (quota !== null && quota < count) {
    return {
      what,
      verdict: 'bad',
      found,
      mend: 'a CPU quota stops threads in mid-sample: raise it, or pin with cpuset',
    };
  }
  if (count < 2) return { what, verdict: 'bad', found, mend: 'guest and harness share one core: use 2 or more' };
  if (count < 4) return { what, verdict: 'note', found, mend: `more than ${count} VMs or vCPUs are overcommitted` };
  return good(what, found);
}

export function governor(name: string | null): Finding {
  const what = 'frequency governor';
  if (name === null) return good(what, 'not shown by the host');
  if (name === 'performance') return good(what, name);
  return { what, verdict: 'bad', found: name, mend: 'sudo cpupower frequency-set -g performance' };
}

function turbo(): Finding {
  const what = 'turbo';
  const noTurbo = readText('/sys/devices/system/cpu/intel_pstate/no_turbo');
  const boost = readText('/sys/devices/system/cpu/cpufreq/boost');
  if (noTurbo === null && boost === null) return good(what, 'not shown by the host');
  if (noTurbo === '1' || boost === '0') return good(what, 'off');
  const file = noTurbo === null ? 'echo 0 > …/cpufreq/boost' : 'echo 1 > …/intel_pstate/no_turbo';
  return { what, verdict: 'note', found: 'on', mend: `speed depends on heat; for steadier figures as root: ${file}` };
}

function smt(active: boolean | null): Finding {
  const what = 'SMT';
  if (active !== true) return good(what, active === null ? 'not shown by the host' : 'off');
  const mend =
    'two vCPUs may share a core; for scaling figures as root: echo off > /sys/devices/system/cpu/smt/control';
  return { what, verdict: 'note', found: 'on', mend };
}

export function load(count: number, average = loadavg()[0]): Finding {
  const what = 'load';
  const found = `${average.toFixed(2)} on ${count} cores`;
  if (average < 0.2 * count) return good(what, found);
  return { what, verdict: average < 0.7 * count ? 'note' : 'bad', found, mend: 'other work runs: stop it, see `top`' };
}

/** Share of time that the hypervisor below this host gave to others, from two readings of /proc/stat. */
async function steal(): Promise<Finding> {
  const before = cpuTimes(readText('/proc/stat'));
  await new Promise((resolve) => setTimeout(resolve, STEAL_WINDOW_MS));
  return stealFinding(before, cpuTimes(readText('/proc/stat')));
}

interface CpuTimes {
  total: number;
  steal: number;
}

/** The first line of /proc/stat, proc(5): user nice system idle iowait irq softirq steal guest guest_nice. */
export function cpuTimes(stat: string | null): CpuTimes | null {
  const fields = /^cpu +(.*)$/m
    .exec(stat ?? '')?.[1]
    .split(' ')
    .map(Number);
  if (fields === undefined || fields.length < 8) return null;
  return { total: fields.slice(0, 8).reduce((sum, ticks) => sum + ticks, 0), steal: fields[7] };
}

export function stealFinding(before: CpuTimes | null, after: CpuTimes | null): Finding {
  const what = 'steal time';
  if (before === null || after === null) return good(what, 'not shown by the host');
  const total = after.total - before.total;
  const now = total > 0 ? (100 * (after.steal - before.steal)) / total : 0;
  const ever = after.total > 0 ? (100 * after.steal) / after.total : 0;
  const found = `${now.toFixed(1)} % now, ${ever.toFixed(1)} % since boot`;
  if (now < 1 && ever < 1) return good(what, found);
  return {
    what,
    verdict: now < 5 ? 'note' : 'bad',
    found,
    mend: 'other machines share the processor: use a dedicated host',
  };
}

function virtualized(is: boolean, by: string | null): Finding {
  const what = 'virtualized';
  if (!is) return good(what, 'no');
  const mend = '“bare metal” here means this virtual machine; its own tax is in every figure alike';
  return { what, verdict: 'note', found: by ?? 'yes', mend };
}

function clockSource(name: string | null): Finding {
  const what = 'clock source';
  const fast = name === null || ['tsc', 'kvm-clock', 'arch_sys_counter', 'hyperv_clocksource_tsc_page'].includes(name);
  if (fast) return good(what, name ?? 'not shown by the host');
  return { what, verdict: 'bad', found: name, mend: 'reading it costs microseconds: boot with clocksource=tsc' };
}

export function memory(available: number): Finding {
  const what = 'free memory';
  const found = formatSize(available);
  if (available >= 4 * 2 ** 30) return good(what, found);
  const verdict = available < 2 ** 30 ? 'bad' : 'note';
  return { what, verdict, found, mend: 'cells with many VMs are skipped: free some, or give less with --memory' };
}

async function disk(folder: string): Promise<Finding[]> {
  const { bavail, bsize } = await statfs(folder);
  const space = bavail * bsize;
  const spaceFinding: Finding =
    space >= 2 * 2 ** 30
      ? good('disk space', formatSize(space))
      : {
          what: 'disk space',
          verdict: 'bad',
          found: formatSize(space),
          mend: 'give --disk-size or --disk-file elsewhere',
        };
  return [spaceFinding, await directIo(folder)];
}

async function directIo(folder: string): Promise<Finding> {
  const what = 'file system';
  const name = await fileSystemName(folder);
  const inMemory = name === 'tmpfs' || name === 'ramfs';
  const direct = await tryDirect(folder);
  if (direct && !inMemory) return good(what, `${name}, O_DIRECT`);
  const mend = 'the page cache answers instead of a disk: give --disk-file on ext4, xfs or btrfs';
  return { what, verdict: 'bad', found: `${name}, ${direct ? 'in memory' : 'no O_DIRECT'}`, mend };
}

async function tryDirect(folder: string): Promise<boolean> {
  if (constants.O_DIRECT === undefined) return false;
  const trial = await mkdtemp(join(folder, '.virtax-'));
  try {
    const path = join(trial, 'direct');
    await writeFile(path, Buffer.alloc(4096));
    return await takesDirect(path);
  } finally {
    await rm(trial, { recursive: true, force: true });
  }
}

function ioUring(): Finding {
  const what = 'io_uring';
  const problem = uringProblem(); // it is tried: a container may refuse what the sysctl allows
  if (problem === undefined) return good(what, 'works');
  const mend =
    'block I/O falls back to worker threads; where it is forbidden, as root: sysctl kernel.io_uring_disabled=0';
  return { what, verdict: 'note', found: problem, mend };
}
