/**
 * The Debian guest of the Linux profile: Debian's firmware, kernel and programs for riscv64, and the same programs for
 * bare metal. Fetched by name with the host's apt, assembled in the user's cache, and taken from there the next time.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Apt, type DebianArchitecture, packageCache } from '../debian/apt.js';
import { bareInitramfs, busyboxOf, initramfs, openSbiOf } from '../debian/initramfs.js';
import { DebianKernel } from '../debian/kernel.js';
import { markUsed, pruneCache } from '../debian/prune.js';
import { PackagesUnavailable } from '../debian/unavailable.js';
import { packageRoot } from '../package-root.js';
import { keptPrograms } from './kept-programs.js';
import { LAYOUT, type ProgramFiles } from './programs.js';

/** What an engine boots in place of the project's own guest; engines/engine.ts has the same as GuestSystem. */
export interface DebianGuest {
  name: string;
  bios: string;
  kernel: string;
  initrd: string;
  append: string;
  bootInitrd: string;
  native: { program: string; args: string[]; env: Record<string, string> };
  facts: Record<string, string>;
}

/** Of which package, and where in it. */
export type Program = Parameters<typeof keptPrograms>[2][number];

const PROGRAMS: readonly Program[] = [
  { package: 'xz-utils', path: 'usr/bin/xz' },
  { package: 'gzip', path: 'usr/bin/gzip' },
  { package: 'stress-ng', path: 'usr/bin/stress-ng' },
  { package: 'fio', path: 'usr/bin/fio' },
];
const MODULES = ['sym53c8xx', 'sd_mod', 'virtio_pci', 'virtio_blk'];
const TEXT_BYTES = 1 << 20;
const APPEND = 'console=ttyS0 quiet loglevel=0';
/** In the guest: a terminal that changes nothing, the first disk that is there, and our agent in place of init. */
const SCRIPT = `
for try in 1 2 3 4 5 6 7 8 9 10; do
  for DISK in /dev/vda /dev/sda ''; do [ -z "$DISK" ] || [ ! -b "$DISK" ] || break; done
  [ -z "$DISK" ] && grep -q virtax.disk /proc/cmdline || break
  sleep 0.1
done
export ROOT= START= TEXT=/text WORK=/tmp DISK CPUS=$(nproc)
stty raw -echo
exec sh /agent.sh
`;

/** The start alone: the banner at once, and nothing more. */
const BOOT_INIT = `#!/bin/busybox sh
echo "virtax-guest 1 ready port=linux cpus=$(/bin/busybox nproc) disk=0 net=0"
exec /bin/busybox sleep 1000000
`;

/** Assembles the guest, or takes it from the cache. @throws PackagesUnavailable: a sentence that a user can act on */
export function debianGuest(programs: readonly Program[] = PROGRAMS, cache = packageCache()): DebianGuest {
  if (process.arch !== 'x64') {
    throw new PackagesUnavailable(
      `the Linux profile compares with Debian's amd64 programs; this host is ${process.arch}`,
    );
  }
  const apts = { riscv64: new Apt('riscv64', cache), amd64: new Apt('amd64', cache) };
  const agent = readFileSync(join(packageRoot(), 'workloads/linux/agent.sh'));
  const folder = join(cache, `guest-${identity(programs, agent, cache)}`);
  if (!existsSync(folder)) assemble(apts, programs, agent, cache, folder);
  markUsed(folder);
  pruneCache(cache);
  return readGuest(folder);
}

/** Another one for other programs, another agent, or newer package lists. */
function identity(programs: readonly Program[], agent: Buffer, cache: string): string {
  const lists = (['riscv64', 'amd64'] as const).map(
    (name) => statSync(join(cache, `trixie-${name}`, 'updated')).mtimeMs,
  );
  const text = JSON.stringify([programs, MODULES, SCRIPT, BOOT_INIT, lists]);
  return createHash('sha256').update(text).update(agent).digest('hex').slice(0, 16);
}

function assemble(
  apts: Record<DebianArchitecture, Apt>,
  wanted: readonly Program[],
  agent: Buffer,
  cache: string,
  folder: string,
): void {
  const half = `${folder}.${process.pid}`;
  mkdirSync(half, { recursive: true });
  const guest = keptPrograms(apts.riscv64, 'riscv64', wanted, cache);
  const native = keptPrograms(apts.amd64, 'amd64', wanted, cache);
  refuseOtherVersions(wanted, guest, native);
  const kernel = DebianKernel.fetch(apts.riscv64, 'riscv64');
  const files = new Map<string, { mode: number; data: Uint8Array }>();
  for (const [path, data] of guest.files) files.set(path, { mode: 0o755, data });
  files.set('agent.sh', { mode: 0o755, data: agent });
  files.set('text', { mode: 0o644, data: sampleText() });
  const modules = kernel.modules(MODULES);
  writeFileSync(join(half, 'initrd'), initramfs(busyboxOf(apts.riscv64), { modules, script: SCRIPT, files }));
  writeFileSync(join(half, 'boot-initrd'), bareInitramfs(busyboxOf(apts.riscv64), BOOT_INIT));
  writeFileSync(join(half, 'kernel'), readFileSync(kernel.image));
  writeFileSync(join(half, 'bios'), readFileSync(openSbiOf(apts.riscv64)));
  writeNative(join(half, 'native'), native, busyboxOf(apts.amd64), agent);
  const programs = wanted.map((program) => `${program.package} ${guest.versions.get(program.package)}`);
  const facts = {
    kernel: `Debian ${kernel.release}`,
    programs: [...programs, `busybox-static ${apts.riscv64.fetch('busybox-static').version}`].join(', '),
    initrd: `sha256:${createHash('sha256')
      .update(readFileSync(join(half, 'initrd')))
      .digest('hex')}`,
  };
  writeFileSync(join(half, 'facts.json'), JSON.stringify(facts));
  if (!existsSync(folder)) renameSync(half, folder);
}

/** What is compared must be the same program. Rebuilds of one version (+b1) are. */
function refuseOtherVersions(wanted: readonly Program[], guest: ProgramFiles, native: ProgramFiles): void {
  for (const { package: name } of wanted) {
    const [here, there] = [native, guest].map(({ versions }) => versions.get(name)?.replace(/\+b\d+$/, ''));
    if (here !== there)
      throw new PackagesUnavailable(`${name} is ${there} for riscv64, but ${here} for amd64: try later`);
  }
}

/** 1 MiB of words and numbers, drawn by Lehmer's generator: something to compress, the same everywhere. */
function sampleText(): Buffer {
  const words = 'the of and to in is it that was for on are with as at be this from'.split(' ');
  const lines: string[] = [];
  let x = 1;
  for (let bytes = 0; bytes < TEXT_BYTES; bytes += lines[lines.length - 1].length) {
    x = (x * 16_807) % 2_147_483_647;
    lines.push(`${words[x % words.length]} ${x % 10_007}\n`);
  }
  return Buffer.from(lines.join('')).subarray(0, TEXT_BYTES);
}

function writeNative(folder: string, { files }: ProgramFiles, busybox: Uint8Array, agent: Buffer): void {
  const write = (path: string, data: Uint8Array) => {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, data, { mode: 0o755 });
  };
  for (const [path, data] of files) write(path, data);
  write('bin/busybox', busybox);
  write('agent.sh', agent);
  write('text', sampleText());
  const list = spawnSync(join(folder, 'bin/busybox'), ['--list'], { encoding: 'utf8' });
  for (const applet of list.stdout.trim().split('\n')) {
    if (applet !== 'busybox') symlinkSync('busybox', join(folder, 'bin', applet));
  }
}

function readGuest(folder: string): DebianGuest {
  const native = join(folder, 'native');
  const { triplet, loader } = LAYOUT.amd64;
  return {
    name: 'debian',
    bios: join(folder, 'bios'),
    kernel: join(folder, 'kernel'),
    initrd: join(folder, 'initrd'),
    bootInitrd: join(folder, 'boot-initrd'),
    append: APPEND,
    native: {
      program: join(native, 'bin/busybox'),
      args: ['sh', join(native, 'agent.sh')],
      env: {
        PATH: join(native, 'bin'),
        ROOT: native,
        TEXT: join(native, 'text'),
        START: `${join(native, loader)} --library-path ${join(native, 'usr/lib', triplet)}`,
      },
    },
    facts: JSON.parse(readFileSync(join(folder, 'facts.json'), 'utf8')) as Record<string, string>,
  };
}
