/**
 * Loads koffi. Its own index reads the running program's ELF file and looks through folders for the addon that fits: 7 of
 * its 8 ms, in each thread. So that is done once, and threads and child processes start from what it has found: the
 * environment tells them, which they inherit.
 */
import { createRequire } from 'node:module';

export type Koffi = typeof import('koffi').default;

const ADDON = 'VIRTAX_KOFFI';

/** Throws an Error where koffi is not installed, or has no addon for this host. */
export function loadKoffi(): Koffi {
  const require = createRequire(import.meta.url);
  return found(require) ?? searched(require);
}

function found(require: NodeJS.Require): Koffi | undefined {
  const path = process.env[ADDON];
  if (path === undefined) return undefined;
  try {
    return require(path) as Koffi;
  } catch {
    return undefined; // it has gone since: koffi knows better
  }
}

function searched(require: NodeJS.Require): Koffi {
  const koffi = require('koffi') as Koffi;
  const addon = Object.keys(require.cache).find((path) => path.endsWith('koffi.node'));
  if (addon !== undefined) process.env[ADDON] = addon;
  return koffi;
}
