/** A file of the user's as a disk: checked before the machine is built, each problem with its mend. */
import { accessSync, constants, statSync } from 'node:fs';

const SECTOR_BYTES = 512;

export interface DiskFileOptions {
  readonly: boolean;
  /** Its size must be a multiple of 512 bytes. */
  wholeSectors: boolean;
  /** What a user does who may only read it. */
  mend?: string;
}

/** Its size. @throws Error with a sentence for the user */
export function diskFile(
  path: string,
  { readonly, wholeSectors, mend = 'change its permissions' }: DiskFileOptions,
): { bytes: number } {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new Error(`the disk ${path} is not there`);
  if (!stats.isFile()) throw new Error(`the disk ${path} is not a file`);
  if (stats.size === 0) throw new Error(`the disk ${path} is empty; make one for example with: truncate -s 1G ${path}`);
  if (wholeSectors && stats.size % SECTOR_BYTES !== 0) {
    throw new Error(
      `the disk ${path} has ${stats.size} bytes, which are no whole sectors; this fills the last: truncate -s %${SECTOR_BYTES} ${path}`,
    );
  }
  const mode = readonly ? constants.R_OK : constants.R_OK | constants.W_OK;
  if (!may(path, mode))
    throw new Error(`the disk ${path} cannot be ${readonly ? 'read' : 'read and written'}; ${mend}`);
  return { bytes: stats.size };
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
