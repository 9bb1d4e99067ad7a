/** Facts of the host that a reader needs to judge or repeat a run. What the host does not show is null. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { promisify } from 'node:util';
import type { Host } from './results.js';

export function hostFacts(): Host {
  const { virtualized, hypervisor } = virtualization();
  return {
    cpu: cpuModel(),
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    os: distribution(),
    kernel: release(),
    node: process.version,
    arch: process.arch,
    virtualized,
    hypervisor,
    cpuQuota: cpuQuota(),
    smt: readFlag('/sys/devices/system/cpu/smt/active'),
    governor: readText('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'),
    loadAverage: loadavg()[0],
    clockSource: readText('/sys/devices/system/clocksource/clocksource0/current_clocksource'),
  };
}

/** A small file of /proc or /sys without its last newline; null when it is not there. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}

/** `1` and `0` of /sys as a boolean. */
export function readFlag(path: string): boolean | null {
  const text = readText(path);
  return text === null ? null : text === '1';
}

/** CPUs that the control group lets this process use (cgroup v2 cpu.max, v1 cpu.cfs_quota_us); null without a limit. */
export function cpuQuota(read: (path: string) => string | null = readText): number | null {
  const own = /^0::(\/.*)$/m.exec(read('/proc/self/cgroup') ?? '')?.[1] ?? '/';
  const limits = ancestors(own).flatMap((folder) => {
    const [quota, period] = (read(`/sys/fs/cgroup${folder}/cpu.max`) ?? 'max').split(' ');
    return quota === 'max' ? [] : [Number(quota) / Number(period)];
  });
  const v1 = Number(read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us') ?? -1);
  if (v1 > 0) limits.push(v1 / Number(read('/sys/fs/cgroup/cpu/cpu.cfs_period_us')));
  const finite = limits.filter((limit) => Number.isFinite(limit) && limit > 0);
  return finite.length === 0 ? null : Math.min(...finite);
}

/** Memory that can be given to guests without swapping, bytes: MemAvailable, or what the control group leaves. */
export function availableMemory(read: (path: string) => string | null = readText): number {
  const meminfo = /^MemAvailable:\s+(\d+) kB$/m.exec(read('/proc/meminfo') ?? '')?.[1];
  const host = meminfo === undefined ? totalmem() : Number(meminfo) * 1024;
  const own = /^0::(\/.*)$/m.exec(read('/proc/self/cgroup') ?? '')?.[1] ?? '/';
  const left = ancestors(own).flatMap((folder) => {
    const most = Number(read(`/sys/fs/cgroup${folder}/memory.max`) ?? Number.NaN);
    const used = Number(read(`/sys/fs/cgroup${folder}/memory.current`) ?? 0);
    return Number.isFinite(most) ? [Math.max(0, most - used)] : [];
  });
  return Math.min(host, ...left);
}

/** The commit of the checkout at a folder, `-dirty` behind it when files differ; null outside of one. */
export async function gitCommit(folder: string): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)(
      'git',
      ['describe', '--always', '--dirty', '--abbrev=40', '--exclude=*'],
      {
        cwd: folder,
        timeout: 5000,
      },
    );
    return stdout.trim() || null;
  } catch {
    return null;
  }
}

/** `/a/b` and all folders above it, as paths below the control groups' root. */
function ancestors(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return ['', ...parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`)];
}

function cpuModel(): string {
  const model = cpus()[0]?.model ?? '';
  return model === '' || model === 'unknown' ? `unknown ${process.arch} processor` : model;
}

function distribution(): string {
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readText('/etc/os-release') ?? '')?.[1] ?? process.platform;
}

/** The processor's hypervisor bit (CPUID.1:ECX[31], as /proc/cpuinfo shows it), and who it is by the firmware's tables. */
function virtualization(): { virtualized: boolean; hypervisor: string | null } {
  const flag = /^(flags|Features)\s*:.*\bhypervisor\b/m.test(readText('/proc/cpuinfo') ?? '');
  const type = readText('/sys/hypervisor/type');
  const vendor = readText('/sys/class/dmi/id/sys_vendor');
  const product = readText('/sys/class/dmi/id/product_name');
  const dmi = [vendor, product].filter((text) => text !== null).join(' ');
  const known = /QEMU|KVM|VMware|VirtualBox|Xen|Bochs|Virtual Machine|Amazon EC2|Google|Firecracker|Parallels/i.test(
    dmi,
  );
  return { virtualized: flag || type !== null || known, hypervisor: type ?? (known ? dmi : null) };
}
