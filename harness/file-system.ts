import { statfs } from 'node:fs/promises';

/** f_type of statfs(2) by name, from linux/magic.h and the file systems' own headers. */
const MAGIC = new Map([
  [0xef53, 'ext4'], // shared by ext2 and ext3
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
  [0x794c7630, 'overlayfs'],
  [0x2fc12fc1, 'zfs'],
  [0xf2f52010, 'f2fs'],
  [0x65735546, 'fuse'],
  [0x01021997, '9p'],
  [0x6969, 'nfs'],
  [0xff534d42, 'cifs'],
  [0x4d44, 'vfat'],
  [0xca451a4e, 'bcachefs'],
]);

/** Name of the file system that a path lies on; its number where the name is not known. */
export async function fileSystemName(path: string): Promise<string> {
  const { type } = await statfs(path);
  const magic = type >>> 0;
  return MAGIC.get(magic) ?? `type 0x${magic.toString(16)}`;
}
