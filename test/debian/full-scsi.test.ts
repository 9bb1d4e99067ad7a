/**
 * Debian's unmodified kernel drives the emulated 53C895A (sym53c8xx): finds a disk, a read-only disk and a CD-ROM, reads each
 * byte for byte, and copies one onto the other. A bus that had to be reset would still do all that in the end, so resets are counted.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { BOOT_MS, bootDebian } from './support/debian.js';

const MIB = 1 << 20;
const folder = mkdtempSync(join(tmpdir(), 'virtax-scsi-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const pattern = (bytes: number, seed: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => (Math.imul(i + seed, 2_654_435_761) >>> 13) & 255));
const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');

/** The two disks are told apart by their size: which of them is found first is the driver's affair. */
const SCRIPT = `
[ $(cat /sys/block/sda/size) = 16384 ] && W=/dev/sda R=/dev/sdb || W=/dev/sdb R=/dev/sda
echo "readonly $(cat /sys/block/\${R#/dev/}/ro) $(cat /sys/block/\${W#/dev/}/ro)"
echo "disk $(md5sum < $R)"
echo "cd $(cat /sys/block/sr0/size) $(md5sum < /dev/sr0)"
dd if=$R of=$W bs=64k oflag=direct 2> /dev/null
sync
echo "copied $(dd if=$W bs=4k count=1024 iflag=direct 2> /dev/null | md5sum)"
echo "resets $(dmesg | grep -c 'BUS has been reset')"
echo "errors $(dmesg | grep -c -i -E 'I/O error|phase change|parity error|unexpected disconnect')"
`;

function file(name: string, data: Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, data);
  return path;
}

describe('Debian drives the 53C895A', () => {
  it(
    'a disk, a read-only disk and a CD-ROM',
    async () => {
      const [original, cd] = [pattern(4 * MIB, 1), pattern(2 * MIB, 99)];
      const disk = file('disk', Buffer.alloc(8 * MIB));
      const { output, status } = await bootDebian({
        folder,
        modules: ['sym53c8xx', 'sd_mod', 'sr_mod'],
        script: SCRIPT,
        flags: [
          ...['--disk', `${disk},if=scsi`, '--disk', `${file('readonly', original)},if=scsi,readonly`],
          ...['--disk', `${file('cd', cd)},if=scsi,media=cdrom`],
        ],
      });
      for (const line of [
        'readonly 1 0',
        `disk ${md5(original)}`,
        `cd ${(2 * MIB) / 512} ${md5(cd)}`,
        `copied ${md5(original)}`,
        'resets 1', // the driver's own, when it starts
        'errors 0',
      ]) {
        expect(output).toContain(line);
      }
      expect(status).toBe(0);
      expect(readFileSync(disk).subarray(0, original.length).equals(original)).toBe(true);
    },
    BOOT_MS + 30_000,
  );
});
