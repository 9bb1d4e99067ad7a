/** Reads the files that a configuration names. */
import { readFileSync } from 'node:fs';
import type { VmConfig } from '../config.js';
import type { Images } from './loader.js';

/** Throws an Error for the user that says which file cannot be read, and why. */
export function readImages({ bios, kernel, initrd }: VmConfig): Images {
  return {
    ...(bios === undefined ? {} : { bios: read('firmware', bios) }),
    ...(kernel === undefined ? {} : { kernel: read('kernel', kernel) }),
    ...(initrd === undefined ? {} : { initrd: read('initial RAM disk', initrd) }),
  };
}

function read(what: string, path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`the ${what} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
