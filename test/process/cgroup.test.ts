/** Control groups, on a host that is a folder: what is written where (Linux: admin-guide/cgroup-v2.rst, sched-bwc.rst). */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createThreadGroup } from '#engines/process/cgroup.js';

const PID = 4711;
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'virtax-cgroup-'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** A host with the files of /proc/self that tell of groups, and a folder of its own. */
function host(mountinfo: string[], cgroup: string[], folder: string, files: Record<string, string> = {}): string {
  mkdirSync(join(root, 'proc/self'), { recursive: true });
  writeFileSync(join(root, 'proc/self/mountinfo'), `${mountinfo.join('\n')}\n`);
  writeFileSync(join(root, 'proc/self/cgroup'), `${cgroup.join('\n')}\n`);
  const own = join(root, folder);
  mkdirSync(own, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(own, name), text);
  return own;
}

const V2 = '30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate';
const V1 = '31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct';
const V2_WITHOUT = '32 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw';

const create = () => createThreadGroup('3', { root, pid: PID });
const text = (...path: string[]) => readFileSync(join(...path), 'utf8');

describe('version 2', () => {
  const scope = 'user.slice/user-1000.slice/run-7.scope';
  const own = () =>
    host([V2], [`0::/${scope}`], `sys/fs/cgroup/${scope}`, { 'cgroup.controllers': 'cpuset cpu memory pids\n' });

  it('has a threaded group below its own, with the cpu controller', () => {
    const folder = own();
    const group = create();
    const below = join(folder, `virtax-${PID}-3`);
    expect(text(below, 'cgroup.type')).toBe('threaded');
    expect(text(folder, 'cgroup.subtree_control')).toBe('+cpu');
    group.setCap(50);
    expect(text(below, 'cpu.max')).toBe('5000 10000');
    group.setCap(250);
    expect(text(below, 'cpu.max')).toBe('25000 10000');
    group.setCap(3); // no less than 1 ms of quota: the period is longer
    expect(text(below, 'cpu.max')).toBe('1000 33333');
    group.setCap(0);
    expect(text(below, 'cpu.max')).toBe('max 10000');
    group.setWeight(2);
    expect(text(below, 'cpu.weight')).toBe('200');
    group.setWeight(1e6);
    expect(text(below, 'cpu.weight')).toBe('10000');
    group.add(12);
    expect(text(below, 'cgroup.threads')).toBe('12');
    group.remove(12);
    expect(text(folder, 'cgroup.threads')).toBe('12');
  });

  it('without the cpu controller has none', () => {
    host([V2], ['0::/a'], 'sys/fs/cgroup/a', { 'cgroup.controllers': 'memory pids\n' });
    expect(create).toThrow(/no control groups with the cpu controller for this process: caps need them/);
  });

  it('removes groups of processes that are gone, and no others', () => {
    const folder = own();
    for (const name of ['virtax-4194305-1', `virtax-${process.pid}-1`, 'other-1']) mkdirSync(join(folder, name));
    create();
    expect(readdirSync(folder).filter((name) => name.includes('-'))).toEqual(
      [`virtax-${process.pid}-1`, `virtax-${PID}-3`, 'other-1'].sort(),
    );
  });

  it('that this user may not change is refused with its folder and what to do', () => {
    const folder = own();
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    writeFileSync(join(folder, 'cgroup.controllers'), 'cpu');
    writeFileSync(join(folder, `virtax-${PID}-3`), 'in the way');
    expect(create).toThrow(
      /may make no control group with the cpu controller in .*run-7.scope \(EEXIST.*systemd-run --user/s,
    );
  });
});

describe('version 1', () => {
  it('has a group of its cpu controller, also where version 2 is mounted without it', () => {
    const folder = host([V1, V2_WITHOUT], ['0::/', '3:cpu,cpuacct:/box', '2:cpuset:/'], 'sys/fs/cgroup/cpu/box');
    const group = create();
    const below = join(folder, `virtax-${PID}-3`);
    group.setCap(20);
    expect([text(below, 'cpu.cfs_period_us'), text(below, 'cpu.cfs_quota_us')]).toEqual(['10000', '2000']);
    group.setCap(0);
    expect(text(below, 'cpu.cfs_quota_us')).toBe('-1');
    group.setWeight(1.5);
    expect(text(below, 'cpu.shares')).toBe('1536');
    group.add(7);
    expect(text(below, 'tasks')).toBe('7');
    group.remove(7);
    expect(text(folder, 'tasks')).toBe('7');
  });

  it('is found where a container has only a part of it', () => {
    const part = V1.replace(' / /sys', ' /docker/abc /sys');
    const folder = host([part], ['3:cpu,cpuacct:/docker/abc'], 'sys/fs/cgroup/cpu');
    create();
    expect(readdirSync(folder)).toEqual([`virtax-${PID}-3`]);
  });
});

it('without control groups there are none', () => {
  host([], ['0::/'], 'sys');
  expect(create).toThrow(/no control groups with the cpu controller/);
});
