import { describe, expect, it } from 'vitest';
import { cores, cpuTimes, governor, load, memory, stealFinding } from '#harness/doctor.js';
import { availableMemory, cpuQuota, hostFacts } from '#harness/host.js';
import { HostSchema } from '#harness/results.js';

const files = (contents: Record<string, string>) => (path: string) => contents[path] ?? null;

describe('host facts', () => {
  it('fit the results schema on this host', () => {
    expect(HostSchema.parse(hostFacts())).toEqual(hostFacts());
  });

  it('take the narrowest CPU quota on the way up the control groups (cgroup v2)', () => {
    const read = files({
      '/proc/self/cgroup': '0::/user/job\n',
      '/sys/fs/cgroup/user/job/cpu.max': 'max 100000',
      '/sys/fs/cgroup/user/cpu.max': '150000 100000',
      '/sys/fs/cgroup/cpu.max': '400000 100000',
    });
    expect(cpuQuota(read)).toBe(1.5);
    expect(cpuQuota(files({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': 'max 100000' }))).toBeNull();
    expect(cpuQuota(files({}))).toBeNull();
  });

  it('know cgroup v1, where -1 is no quota', () => {
    const v1 = (quota: string) =>
      files({ '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': quota, '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000' });
    expect(cpuQuota(v1('50000'))).toBe(0.5);
    expect(cpuQuota(v1('-1'))).toBeNull();
  });

  it('take as free memory what the control group leaves', () => {
    const meminfo = 'MemTotal: 9 kB\nMemAvailable:    8388608 kB\n';
    expect(availableMemory(files({ '/proc/meminfo': meminfo }))).toBe(2 ** 33);
    const limited = files({
      '/proc/meminfo': meminfo,
      '/proc/self/cgroup': '0::/a\n',
      '/sys/fs/cgroup/a/memory.max': String(2 ** 30),
      '/sys/fs/cgroup/a/memory.current': String(2 ** 29),
      '/sys/fs/cgroup/memory.max': 'max',
    });
    expect(availableMemory(limited)).toBe(2 ** 29);
  });
});

describe('doctor', () => {
  it('judges cores, quota, governor, load and memory', () => {
    expect(cores(8, null).verdict).toBe('good');
    expect(cores(2, null).verdict).toBe('note');
    expect(cores(1, null).verdict).toBe('bad');
    expect(cores(8, 2)).toMatchObject({ verdict: 'bad', found: '8, of which the control group allows 2.0' });
    expect([null, 'performance', 'powersave'].map((name) => governor(name).verdict)).toEqual(['good', 'good', 'bad']);
    expect([0.1, 0.9, 3].map((average) => load(2, average).verdict)).toEqual(['good', 'note', 'bad']);
    expect([2 ** 33, 2 ** 31, 2 ** 29].map((bytes) => memory(bytes).verdict)).toEqual(['good', 'note', 'bad']);
  });

  it('tells how to mend what it calls bad', () => {
    for (const finding of [cores(1, null), governor('powersave'), load(1, 5), memory(1)])
      expect(finding.mend).not.toBe('');
  });

  it('reads steal time as proc(5) has it', () => {
    const before = cpuTimes('cpu  100 0 100 800 0 0 0 0 50 0\ncpu0 1 2 3\n');
    expect(before).toEqual({ total: 1000, steal: 0 });
    const after = cpuTimes('cpu  140 0 140 910 0 0 0 10 50 0\n');
    expect(stealFinding(before, after)).toMatchObject({ verdict: 'bad', found: '5.0 % now, 0.8 % since boot' });
    expect(stealFinding(before, before)).toMatchObject({ verdict: 'good' });
    expect(cpuTimes(null)).toBeNull();
    expect(stealFinding(null, after).verdict).toBe('good');
  });
});
