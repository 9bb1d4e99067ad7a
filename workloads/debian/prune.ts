/** Keeps the cache small: what was assembled for former package lists or programs is not used again. */
import { existsSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';

/** Assembled folders that stay, of each kind: the last used. */
const KEPT = 2;
/** A run that goes on may still boot from a folder that it has used so long ago. */
const IN_USE_MS = 6 * 3600 * 1000;
const KINDS = ['guest-', 'programs-'];

/** Marks a folder of the cache as used. */
export function markUsed(folder: string): void {
  const now = new Date();
  if (existsSync(folder)) utimesSync(folder, now, now);
}

/** Removes all but the last used folders. now: milliseconds since 1970. */
export function pruneCache(cache: string, now = Date.now()): void {
  for (const kind of KINDS) {
    const folders = readdirSync(cache)
      .filter((name) => name.startsWith(kind))
      .map((name) => ({ path: join(cache, name), used: statSync(join(cache, name)).mtimeMs }))
      .sort((a, b) => b.used - a.used);
    for (const { path, used } of folders.slice(KEPT * (kind === 'guest-' ? 1 : 2))) {
      if (now - used > IN_USE_MS) rmSync(path, { recursive: true, force: true });
    }
  }
}
