import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../workloads/package-root.js';

/** As package.json says. */
export function version(): string {
  return (JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string }).version;
}
