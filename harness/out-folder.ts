/** The folder of a run: results.json, the reports and, while it goes on, the disks. */
import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { makeFolder } from './make-folder.js';
import { UsageError } from './usage.js';

export const RESULTS_FILE = 'results.json';
const HOME = 'bench-results';

/** Folder of a new run, made where it is missing. @throws UsageError when it holds a run or cannot be made */
export async function newRunFolder(given: string | undefined, profile: string, now: Date): Promise<string> {
  const stamp = now.toISOString().slice(0, 19).replaceAll(':', '-');
  const folder = resolve(given ?? join(HOME, `${stamp}-${profile}`));
  try {
    await makeFolder(folder);
    await access(folder, 2 /* W_OK */);
  } catch (error) {
    throw new UsageError(`--out: ${folder} cannot be written to: ${(error as Error).message}`);
  }
  if (await exists(join(folder, RESULTS_FILE))) {
    throw new UsageError(
      `--out: ${folder} holds a run already; go on with it by --resume ${given ?? folder}, or give another folder`,
    );
  }
  return folder;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
