/** What collectPrograms() found, kept in the cache: asking apt about a hundred packages takes a minute and more. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Apt, type DebianArchitecture, SUITE } from '../debian/apt.js';
import { markUsed } from '../debian/prune.js';
import { collectPrograms, type ProgramFiles } from './programs.js';

/** The programs, from the cache if the package lists are still those that they were found by. @throws PackagesUnavailable */
export function keptPrograms(
  apt: Apt,
  architecture: DebianArchitecture,
  programs: readonly { package: string; path: string }[],
  cache: string,
): ProgramFiles {
  const lists = statSync(join(cache, `${SUITE}-${architecture}`, 'updated')).mtimeMs;
  const text = JSON.stringify([architecture, programs, lists]);
  const folder = join(cache, `programs-${createHash('sha256').update(text).digest('hex').slice(0, 16)}`);
  if (!existsSync(folder)) keep(collectPrograms(apt, architecture, programs), folder);
  markUsed(folder);
  return read(folder);
}

/** Under another name first: a folder of the right name is complete. */
function keep({ files, versions }: ProgramFiles, folder: string): void {
  const half = `${folder}.${process.pid}`;
  for (const [path, data] of files) {
    const file = join(half, 'files', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, data);
  }
  writeFileSync(join(half, 'versions.json'), JSON.stringify([...versions]));
  if (!existsSync(folder)) renameSync(half, folder);
}

function read(folder: string): ProgramFiles {
  const root = join(folder, 'files');
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  const files = paths.filter((path) => statSync(join(root, path)).isFile());
  const versions = JSON.parse(readFileSync(join(folder, 'versions.json'), 'utf8')) as [string, string][];
  return {
    files: new Map(files.map((path) => [path, readFileSync(join(root, path))])),
    versions: new Map(versions),
  };
}
