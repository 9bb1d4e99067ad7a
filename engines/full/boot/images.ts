/** Reads the files that a configuration names. */
import { readFileSync, statSync } from 'node:fs';
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

/** What Node reads at once. */
const MOST_BYTES = 2 ** 31 - 1;

function read(what: string, path: string): Uint8Array {
  try {
    return checked(readFileSync(path));
  } catch (error) {
    throw new Error(`the ${what} ${path} cannot be read: ${reason(error, path)}`);
  }
}

function checked(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) throw new Error('it is empty');
  return bytes;
}

function reason(error: unknown, path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return 'it is not there';
  if (stats.isDirectory()) return 'it is a directory';
  if (stats.size > MOST_BYTES) return `it has ${stats.size} bytes, and an image has at most ${MOST_BYTES}`;
  return error instanceof Error ? error.message : String(error);
}
