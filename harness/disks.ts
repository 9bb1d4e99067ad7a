/**
 * Backing files of the VMs' disks: one a VM index, the same for every engine (samples never overlap), with the pristine
 * contents that the guests know. They are made by the native image's tool mode and removed when the run ends.
 */
import { constants } from 'node:fs';
import { access, open, rm, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { DiskConfig } from '../engines/engine.js';
import { fileSystemName } from './file-system.js';
import { makeFolder } from './make-folder.js';
import { formatSize, UsageError } from './usage.js';

/** Makes the pristine file of a disk. Rejects with what the maker said. */
export type MakeDisk = (path: string, bytes: number) => Promise<void>;

/** A disk could not be made; its cells fail with this reason, the others go on. */
export class DiskFailed extends Error {
  override readonly name = 'DiskFailed';
}

export interface DiskOptions {
  /** Files are `${prefix}0.img`, `${prefix}1.img`, … */
  prefix: string;
  bytes: number;
  /** Files that are already there may be replaced: they are in the run's own folder. */
  replace: boolean;
  make: MakeDisk;
}

const SPARE_BYTES = 16 << 20; // left free beside the disks: results.json must still fit

export class Disks {
  private readonly made: DiskConfig[] = [];

  constructor(private readonly options: DiskOptions) {}

  /** Disks for this many VMs; those made before are kept. @throws DiskFailed, UsageError */
  async upTo(count: number): Promise<DiskConfig[]> {
    while (this.made.length < count) this.made.push(await this.makeOne(this.made.length, count - this.made.length));
    return this.made.slice(0, count);
  }

  /** Where the files lie and how they can be opened; for the results. */
  async describe(): Promise<{ path: string; bytes: number; fileSystem: string; direct: boolean } | null> {
    const [first] = this.made;
    if (first === undefined) return null;
    return {
      path: this.options.prefix,
      bytes: first.bytes,
      fileSystem: await fileSystemName(first.path),
      direct: first.direct,
    };
  }

  /** Removes every file that this object made. Never rejects. */
  async remove(): Promise<void> {
    await Promise.allSettled(this.made.splice(0).map(({ path }) => rm(path, { force: true })));
  }

  private async makeOne(index: number, missing: number): Promise<DiskConfig> {
    const { prefix, bytes, replace, make } = this.options;
    const path = `${prefix}${index}.img`;
    await makeFolder(dirname(path)).catch((error: Error) => {
      throw new DiskFailed(`no folder for the disks: ${error.message}; give another --disk-file or --out`);
    });
    if (!replace && (await exists(path))) {
      throw new UsageError(`--disk-file: ${path} is already there; remove it or give another path`);
    }
    await refuseIfFull(path, bytes, missing);
    try {
      await make(path, bytes);
      await refuseWrongSize(path, bytes);
    } catch (error) {
      await rm(path, { force: true }).catch(() => {}); // where nothing may be written, nothing may be removed
      const reason = error instanceof Error ? error.message : String(error);
      throw new DiskFailed(`the disk file ${basename(path)} could not be made: ${reason}`);
    }
    return { path, bytes, direct: await takesDirect(path) };
  }
}

async function refuseIfFull(path: string, bytes: number, missing: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path));
  if (bavail * bsize >= bytes * missing + SPARE_BYTES) return;
  const need = missing === 1 ? formatSize(bytes) : `${missing} times ${formatSize(bytes)}`;
  throw new DiskFailed(
    `no space for the disks: ${need} wanted in ${join(dirname(path), '')}, ${formatSize(bavail * bsize)} free; ` +
      'free some, or give --disk-size or --disk-file',
  );
}

async function refuseWrongSize(path: string, bytes: number): Promise<void> {
  const { size } = await stat(path);
  if (size !== bytes) throw new Error(`it has ${size} bytes instead of ${bytes}; is the file system full?`);
}

/** Whether the file system takes O_DIRECT. */
export async function takesDirect(path: string): Promise<boolean> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_DIRECT);
    await file.close();
    return true;
  } catch {
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
