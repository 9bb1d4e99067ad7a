/**
 * Debian's own kernel and firmware, unmodified, on `virtax run` and on QEMU with the same devices: what the guest finds must
 * be the same. Each machine boots, writes to its disk, reboots itself, finds what it has written, and powers off.
 */
import { execFile, execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apt } from '#workloads/debian/apt.js';
import { busyboxOf, initramfs, openSbiOf } from '#workloads/debian/initramfs.js';
import { DebianKernel } from '#workloads/debian/kernel.js';

const VIRTAX = fileURLToPath(new URL('../../virtax.mjs', import.meta.url));
/** Two boots on an interpreted CPU, on a machine that does other things too. */
const PATIENCE_MS = 1_200_000;
const HARTS = 2;

/** Lines `fact NAME VALUE` are compared; the disk remembers that this is the second boot. */
const SCRIPT = `
fact() { echo "fact $*"; }
fact release $(uname -r -m)
fact harts $(nproc)
fact mmu $(grep -m1 ^mmu /proc/cpuinfo | cut -d: -f2)
fact timer $(grep -q riscv-timer /proc/interrupts && echo yes)
fact pci $(grep -l 0x1000 /sys/bus/pci/devices/*/vendor | wc -l) $(cat /sys/block/sda/device/type)
fact disk $(cat /sys/block/sda/size) $(cat /sys/block/sda/ro)
mount -t ext4 /dev/sda /mnt || poweroff -f
fact file $(sha256sum < /mnt/data)
fact again $(cat /mnt/again 2>/dev/null)
if [ ! -e /mnt/again ]; then echo yes > /mnt/again; umount /mnt; reboot -f; fi
umount /mnt
`;

const folder = mkdtempSync(join(tmpdir(), 'virtax-debian-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Files {
  bios: string;
  kernel: string;
  initrd: string;
  release: string;
}

function prepare(): Files {
  const apt = new Apt('riscv64');
  const kernel = DebianKernel.fetch(apt, 'riscv64');
  const initrd = join(folder, 'initrd');
  const modules = kernel.modules(['sym53c8xx', 'sd_mod', 'ext4']);
  writeFileSync(initrd, initramfs(busyboxOf(apt), { modules, script: SCRIPT }));
  return { bios: openSbiOf(apt), kernel: kernel.image, initrd, release: kernel.release };
}

/** An ext4 file system with one file of 300,000 bytes. */
function makeDisk(path: string): void {
  const contents = join(folder, 'contents');
  mkdirSync(contents);
  writeFileSync(
    join(contents, 'data'),
    Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff)),
  );
  writeFileSync(path, '');
  truncateSync(path, 32 * 2 ** 20);
  execFileSync('/sbin/mke2fs', ['-q', '-t', 'ext4', '-d', contents, path]);
}

interface Ended {
  status: number;
  console: string;
  facts: string[];
}

function boot(command: string, args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(command, args, { timeout: PATIENCE_MS }, (error, stdout, stderr) => {
      const status = error ? Number(error.code ?? -1) : 0;
      // Not from the line's beginning: what the kernel prints may stand there.
      const facts = stdout.match(/fact \w+( \S+)*/g) ?? [];
      resolve({ status, console: stdout + stderr, facts });
    });
    child.stdin?.end();
  });
}

const APPEND = 'console=ttyS0 quiet';

function onFull(files: Files, disk: string): Promise<Ended> {
  const machine = ['--vcpus', String(HARTS), '--memory', '256M', '--disk', `${disk},if=scsi`];
  const guest = ['--bios', files.bios, '--kernel', files.kernel, '--initrd', files.initrd, '--append', APPEND];
  return boot(process.execPath, [VIRTAX, 'run', ...machine, ...guest]);
}

function onQemu(files: Files, disk: string): Promise<Ended> {
  const machine = ['-M', 'virt', '-nographic', '-smp', String(HARTS), '-m', '256M'];
  const guest = ['-bios', files.bios, '-kernel', files.kernel, '-initrd', files.initrd, '-append', APPEND];
  const drive = [
    '-drive',
    `if=none,id=d,file=${disk},format=raw`,
    '-device',
    'lsi53c895a',
    '-device',
    'scsi-hd,drive=d',
  ];
  return boot('qemu-system-riscv64', [...machine, ...guest, ...drive]);
}

describe('Debian', () => {
  let files: Files;
  let full: Ended;
  let qemu: Ended;

  beforeAll(async () => {
    files = prepare();
    const [first, second] = [join(folder, 'full.img'), join(folder, 'qemu.img')];
    makeDisk(first);
    copyFileSync(first, second);
    full = await onFull(files, first);
    qemu = await onQemu(files, second);
  }, PATIENCE_MS);

  it('boots, reboots and powers off on full', () => {
    expect(full.console).toMatch(/OpenSBI v[\s\S]*reboot: Restarting system[\s\S]*OpenSBI v[\s\S]*reboot: Power down/);
    expect(full.status).toBe(0);
    expect(full.facts).toContain(`fact release ${files.release} riscv64`);
    expect(full.facts).toContain('fact again yes');
  });

  it('finds there what it finds on QEMU', () => {
    expect(qemu.status).toBe(0);
    expect(full.facts).toEqual(qemu.facts);
    expect(full.facts).toHaveLength(16);
  });

  it('the kernel complains of nothing', () => {
    expect(full.console).not.toMatch(/BUG:|WARNING:|Oops|Call Trace|I\/O error|EXT4-fs error|rcu: INFO/);
  });
});
