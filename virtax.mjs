#!/usr/bin/env node
// The command `virtax`. Builds dist/ with the TypeScript compiler from node_modules when it is missing or older than a
// source file, then runs it.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const SOURCES = ['engines', 'harness', 'reports', 'workloads'];
const STAMP = join(root, 'dist', '.tsbuildinfo');

/** Whether a TypeScript source or a setting of the build is newer than the last build. */
function stale() {
  if (!existsSync(STAMP) || !existsSync(join(root, 'dist', 'harness', 'cli.js'))) return true;
  const built = statSync(STAMP).mtimeMs;
  const newer = (path) => statSync(path).mtimeMs > built;
  const inFolder = (folder) =>
    readdirSync(folder, { withFileTypes: true }).some((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? inFolder(path) : entry.name.endsWith('.ts') && newer(path);
    });
  return (
    ['tsconfig.json', 'package.json'].some((name) => newer(join(root, name))) ||
    SOURCES.some((name) => inFolder(join(root, name)))
  );
}

function build() {
  process.stderr.write('virtax: building …\n');
  let compiler;
  try {
    const manifest = createRequire(import.meta.url).resolve('typescript/package.json');
    compiler = join(dirname(manifest), 'bin', 'tsc');
  } catch {
    process.stderr.write('virtax: the packages are not installed; run `npm ci` first\n');
    process.exit(2);
  }
  const { status } = spawnSync(process.execPath, [compiler, '-p', join(root, 'tsconfig.json')], {
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) {
    process.stderr.write('virtax: the build failed\n');
    process.exit(1);
  }
  // tsc leaves it alone when a source was touched but not changed.
  utimesSync(STAMP, new Date(), new Date());
}

if (stale()) build();
const { main } = await import('./dist/harness/cli.js');
process.exitCode = await main(process.argv.slice(2));
// Whatever still keeps the process alive by now must not make a finished command hang.
setTimeout(() => process.exit(), 3000).unref();
