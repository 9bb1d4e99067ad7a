/** An initial RAM disk out of Debian's busybox, modules of Debian's kernel, and an init script of our own. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Apt } from './apt.js';
import { type CpioEntry, cpio } from './cpio.js';
import type { KernelModule } from './kernel.js';

export interface InitramfsOptions {
  /** In the order in which they are loaded. */
  modules?: readonly KernelModule[];
  /** Shell commands that run once /proc, /sys, /dev and the modules are there. When they end, the machine powers off. */
  script: string;
  /** Further files, by path without a leading `/`; their folders are made. */
  files?: ReadonlyMap<string, { mode: number; data: Uint8Array }>;
}

const FOLDERS = ['bin', 'dev', 'etc', 'lib', 'lib/modules', 'mnt', 'proc', 'root', 'run', 'sys', 'tmp'];
/** The console at once, for messages of init before devtmpfs is mounted. */
const CONSOLE: CpioEntry = { kind: 'character', path: 'dev/console', mode: 0o600, major: 5, minor: 1 };

const PREPARE = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
`;

/** The archive, not compressed. busybox: the program, statically linked. */
export function initramfs(busybox: Uint8Array, options: InitramfsOptions): Buffer {
  const { modules = [], files = new Map(), script } = options;
  const folders = new Set(FOLDERS);
  for (const path of files.keys()) for (const folder of foldersOf(path)) folders.add(folder);
  const load = modules.map(({ name }) => `insmod /lib/modules/${name}.ko\n`).join('');
  const init = `${PREPARE}${load}${script}\nsync\npoweroff -f\n`;
  return cpio([
    ...[...folders].sort().map((path): CpioEntry => ({ kind: 'directory', path, mode: 0o755 })),
    CONSOLE,
    { kind: 'file', path: 'bin/busybox', mode: 0o755, data: busybox },
    { kind: 'symlink', path: 'bin/sh', target: 'busybox' },
    ...modules.map(
      ({ name, data }): CpioEntry => ({ kind: 'file', path: `lib/modules/${name}.ko`, mode: 0o644, data }),
    ),
    ...[...files].map(([path, { mode, data }]): CpioEntry => ({ kind: 'file', path, mode, data })),
    { kind: 'file', path: 'init', mode: 0o755, data: Buffer.from(init) },
  ]);
}

/** The archive of an /init that mounts nothing and loads nothing. */
export function bareInitramfs(busybox: Uint8Array, init: string): Buffer {
  return cpio([
    ...['bin', 'dev'].map((path): CpioEntry => ({ kind: 'directory', path, mode: 0o755 })),
    CONSOLE,
    { kind: 'file', path: 'bin/busybox', mode: 0o755, data: busybox },
    { kind: 'file', path: 'init', mode: 0o755, data: Buffer.from(init) },
  ]);
}

export const busyboxOf = (apt: Apt): Uint8Array =>
  readFileSync(join(apt.fetch('busybox-static').root, 'usr/bin/busybox'));

/** OpenSBI's firmware for QEMU's `virt`, which takes the next stage from struct fw_dynamic_info. */
export const openSbiOf = (apt: Apt): string =>
  join(apt.fetch('opensbi').root, 'usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin');

const foldersOf = (path: string): string[] =>
  path
    .split('/')
    .slice(0, -1)
    .map((_, i, parts) => parts.slice(0, i + 1).join('/'));
