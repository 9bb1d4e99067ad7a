import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readManifest, sha256 } from '../workloads/manifest.js';
import { packageRoot } from '../workloads/package-root.js';

export interface ImageHashes {
  /** SHA-256 of the files as they are, of every image that this host can run. */
  images: Record<string, string>;
  /** Images that differ from what the manifest says, and such as cannot be read. */
  notes: string[];
}

/** Hashes the guest images themselves: what the manifest says of them is only compared. */
export function imageHashes(): ImageHashes {
  const folder = join(packageRoot(), 'workloads', 'images');
  const found: ImageHashes = { images: {}, notes: [] };
  for (const [name, entry] of Object.entries(readManifest(join(folder, 'manifest.json')).images)) {
    if (name.startsWith('linux-') && !name.startsWith(`linux-${process.arch}/`)) continue;
    try {
      found.images[name] = sha256(readFileSync(join(folder, name)));
      if (found.images[name] !== entry.sha256) found.notes.push(`image ${name} is not the one in the manifest`);
    } catch (error) {
      found.notes.push(`image ${name} cannot be read: ${(error as Error).message}`);
    }
  }
  return found;
}
