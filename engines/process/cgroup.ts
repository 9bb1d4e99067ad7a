/**
 * Control groups for single threads of this process: the one way in which Linux caps processor time. Version 2 in threaded mode
 * (Documentation/admin-guide/cgroup-v2.rst, "Threads"), or version 1's cpu controller (admin-guide/cgroup-v1), below the group in which
 * this process is, where its user may make groups.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Short, since a thread that is held for the rest of a period may hold a lock of the hypervisor; the kernel takes no less than 1 ms of quota. */
const PERIOD_US = 10_000;
const LEAST_QUOTA_US = 1000;
const NAME = /^virtax-(\d+)-/;
/** Of a thread at nice 0, in each version's own unit, and what may be written. */
const UNITS = { 1: { one: 1024, least: 2, most: 262_144 }, 2: { one: 100, least: 1, most: 10_000 } } as const;

/** /proc/self and where groups are, for tests: `root` stands before all paths. */
export interface CgroupHost {
  root: string;
  pid: number;
}

const HERE: CgroupHost = { root: '', pid: process.pid };

interface Place {
  version: 1 | 2;
  /** Folder of this process's own group. */
  folder: string;
}

/** A group of threads. Methods throw the host's own error when it refuses. */
export class ThreadGroup {
  constructor(
    private readonly place: Place,
    private readonly folder: string,
  ) {}

  private write(file: string, text: string): void {
    writeFileSync(join(this.folder, file), text);
  }

  /** Processor time of all its threads together; percent of one processor, 0: no limit. */
  setCap(percent: number): void {
    const quota = Math.max(LEAST_QUOTA_US, Math.round((PERIOD_US * percent) / 100));
    const period = percent === 0 ? PERIOD_US : Math.round((100 * quota) / percent);
    if (this.place.version === 2) this.write('cpu.max', `${percent === 0 ? 'max' : quota} ${period}`);
    else {
      this.write('cpu.cfs_quota_us', '-1'); // or the kernel holds the new period against the old quota
      this.write('cpu.cfs_period_us', String(period));
      if (percent !== 0) this.write('cpu.cfs_quota_us', String(quota));
    }
  }

  /** Against threads of nice 0 outside of it: as so many of them. */
  setWeight(threads: number): void {
    const { one, least, most } = UNITS[this.place.version];
    const weight = Math.max(least, Math.min(most, Math.round(one * threads)));
    this.write(this.place.version === 2 ? 'cpu.weight' : 'cpu.shares', String(weight));
  }

  add(tid: number): void {
    this.write(tasksFile(this.place), String(tid));
  }

  /** A thread goes back to the group of its process. */
  remove(tid: number): void {
    writeFileSync(join(this.place.folder, tasksFile(this.place)), String(tid));
  }

  /** When it has no threads. */
  delete(): void {
    rmdirSync(this.folder);
  }
}

const tasksFile = ({ version }: Place): string => (version === 2 ? 'cgroup.threads' : 'tasks');

/** A new group. Throws a sentence that says why there can be none. */
export function createThreadGroup(name: string, host: CgroupHost = HERE): ThreadGroup {
  const place = ownPlace(host);
  removeDead(place.folder);
  const folder = join(place.folder, `virtax-${host.pid}-${name}`);
  try {
    mkdirSync(folder, { recursive: true });
    if (place.version === 2) {
      writeFileSync(join(folder, 'cgroup.type'), 'threaded');
      writeFileSync(join(place.folder, 'cgroup.subtree_control'), '+cpu');
    }
    return new ThreadGroup(place, folder);
  } catch (error) {
    removeQuietly(folder);
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`this user may make no control group with the cpu controller in ${place.folder} (${why}); ${MEND}`);
  }
}

const MEND =
  'run virtax as root, or in a group that was delegated to this user: systemd-run --user --scope -p Delegate=yes npx virtax …';

/** Where this process is. Throws a sentence when no hierarchy there has the cpu controller. */
function ownPlace({ root }: CgroupHost): Place {
  const mounts = mountsIn(read(`${root}/proc/self/mountinfo`));
  const groups = read(`${root}/proc/self/cgroup`).split('\n');
  for (const line of groups) {
    const [id, controllers = '', path = '/'] = line.split(':');
    const version = id === '0' ? 2 : 1;
    const has = (names: string): boolean => names.split(/[ ,\n]/).includes('cpu');
    const mount = mounts.find((each) => each.version === version && (version === 2 || has(each.options)));
    if (mount === undefined || (version === 1 && !has(controllers))) continue;
    const inside = path.startsWith(mount.root) ? path.slice(mount.root.length) : path;
    const folder = join(root, mount.at, inside);
    if (version === 1 || has(read(join(folder, 'cgroup.controllers')))) return { version, folder };
  }
  throw new Error('this host has no control groups with the cpu controller for this process: caps need them');
}

interface Mount {
  version: 1 | 2;
  root: string;
  at: string;
  options: string;
}

/** proc(5): … root mount-point options … - type source super-options */
function mountsIn(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , root = '', at = ''] = left.split(' ');
    const [type, , options = ''] = right.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    return [{ version: type === 'cgroup2' ? 2 : 1, root: root === '/' ? '' : root, at, options }];
  });
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Groups of processes that were killed. */
function removeDead(folder: string): void {
  for (const name of namesIn(folder)) {
    const pid = NAME.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) removeQuietly(join(folder, name));
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function removeQuietly(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // there is none, or it has threads
  }
}
