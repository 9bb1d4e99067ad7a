/** Debian's own kernel and firmware, unmodified, on `virtax run`: a script of busybox's shell runs in it, then it powers off. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Apt } from '#workloads/debian/apt.js';
import { busyboxOf, initramfs, openSbiOf } from '#workloads/debian/initramfs.js';
import { DebianKernel } from '#workloads/debian/kernel.js';

const VIRTAX = fileURLToPath(new URL('../../../virtax.mjs', import.meta.url));

/** A machine that does not end is killed after this long. */
export const BOOT_MS = 240_000;

export interface DebianBoot {
  /** For files that the boot needs. */
  folder: string;
  /** Of the kernel, loaded before the script runs. */
  modules: string[];
  script: string;
  /** For the kernel's command line. */
  append?: string;
  /** Further flags of `virtax run`. */
  flags: string[];
}

/** @returns all that was printed, by guest and command, and the command's exit status */
export async function bootDebian(boot: DebianBoot): Promise<{ output: string; status: number }> {
  const apt = new Apt('riscv64');
  const kernel = DebianKernel.fetch(apt, 'riscv64');
  const initrd = join(boot.folder, 'initrd');
  writeFileSync(initrd, initramfs(busyboxOf(apt), { modules: kernel.modules(boot.modules), script: boot.script }));
  const child = spawn(process.execPath, [
    ...[VIRTAX, 'run', '--bios', openSbiOf(apt), '--kernel', kernel.image, '--initrd', initrd],
    ...['--memory', '256M', '--append', ['console=ttyS0', 'quiet', boot.append].join(' ').trim(), ...boot.flags],
  ]);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const timer = setTimeout(() => child.kill(), BOOT_MS);
  const [status] = (await once(child, 'close')) as [number];
  clearTimeout(timer);
  return { output, status };
}
