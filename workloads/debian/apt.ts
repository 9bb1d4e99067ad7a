/**
 * Debian's packages, by name, for a machine that is not this one: fetched with the host's own apt, keys and mirrors, into a
 * folder of their own, and unpacked there. Nothing of the host's package database is read or changed.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { debianSource } from './apt-sources.js';
import { PackagesUnavailable } from './unavailable.js';

export type DebianArchitecture = 'riscv64' | 'amd64';

export const SUITE = 'trixie';
/** Package lists older than this are fetched again, if that is possible. */
const LISTS_MAX_AGE_MS = 24 * 3600 * 1000;
const UPDATE_MS = 120_000;
const DOWNLOAD_MS = 600_000;
const OUTPUT_MAX_BYTES = 64 * 2 ** 20;
/**
 * apt's digest of the package lists, without which every question costs it a second. On the command line, since a host's
 * own configuration (that of container images) may turn it off and is read after ours.
 */
const KEEP_DIGEST = ['-o', 'Dir::Cache::pkgcache=pkgcache.bin', '-o', 'Dir::Cache::srcpkgcache=srcpkgcache.bin'];

export interface DebianPackage {
  name: string;
  version: string;
  /** Where its files lie, as they would lie under `/`. */
  root: string;
}

/** VIRTAX_DEBIAN_CACHE, or a folder in the user's cache (XDG Base Directory). */
export function packageCache(): string {
  const { VIRTAX_DEBIAN_CACHE, XDG_CACHE_HOME } = process.env;
  return VIRTAX_DEBIAN_CACHE ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'virtax', 'debian');
}

/** A private apt for one architecture. */
export class Apt {
  readonly #folder: string;
  readonly #records = new Map<string, string[]>();

  /** Throws PackagesUnavailable where apt or dpkg-deb is missing, or the host has no Debian source. */
  constructor(
    private readonly architecture: DebianArchitecture,
    cache = packageCache(),
  ) {
    this.#folder = join(cache, `${SUITE}-${architecture}`);
    for (const folder of ['state/lists/partial', 'cache/archives/partial', 'debs', 'roots']) {
      mkdirSync(join(this.#folder, folder), { recursive: true });
    }
    if (!existsSync(this.#at('state/status'))) writeFileSync(this.#at('state/status'), '');
    writeFileSync(this.#at('debian.sources'), debianSource(SUITE));
    writeFileSync(this.#at('apt.conf'), this.#configuration());
    this.#update();
  }

  /** Fetches and unpacks a package, unless that has been done. Throws PackagesUnavailable when it cannot be had. */
  fetch(name: string): DebianPackage {
    return this.fetchAll([name])[0];
  }

  /** The same for many, with one question and one download: each takes apt a second where other work is going on. */
  fetchAll(names: readonly string[]): DebianPackage[] {
    this.look(names);
    const packages = names.map((name): DebianPackage => {
      const version = this.field(name, 'Version');
      return { name, version, root: this.#at('roots', `${name}_${version.replaceAll(/[^A-Za-z0-9.+~-]/g, '-')}`) };
    });
    const missing = packages.filter(({ root }) => !existsSync(root));
    if (missing.length > 0) this.#download(missing);
    return packages;
  }

  /** Asks for the records of packages, those that do not exist too; field() then answers at once. */
  look(names: readonly string[]): void {
    const unknown = [...new Set(names)].filter((name) => !this.#records.has(name));
    if (unknown.length === 0) return;
    const { stdout } = this.#run('apt-cache', [...KEEP_DIGEST, 'show', '--no-all-versions', ...unknown]);
    for (const name of unknown) this.#records.set(name, []);
    for (const record of stdout.split(/\n\n+/)) {
      const lines = record.split('\n');
      const name = fieldOf(lines, 'Package');
      if (this.#records.get(name)?.length === 0) this.#records.set(name, lines);
    }
  }

  /** Whether there is such a package. */
  has(name: string): boolean {
    this.look([name]);
    return this.#records.get(name)?.length !== 0;
  }

  /** A field of the newest version of a package; '' when it has none. */
  field(name: string, field: string): string {
    if (!this.has(name))
      throw new PackagesUnavailable(`Debian ${SUITE} has no package ${name} for ${this.architecture}`);
    return fieldOf(this.#records.get(name) ?? [], field);
  }

  #at(...parts: string[]): string {
    return join(this.#folder, ...parts);
  }

  #configuration(): string {
    return [
      `Dir::Etc::sourcelist "${this.#at('debian.sources')}";`,
      'Dir::Etc::sourceparts "-";',
      `Dir::State "${this.#at('state')}";`,
      `Dir::State::status "${this.#at('state/status')}";`,
      `Dir::Cache "${this.#at('cache')}";`,
      `APT::Architecture "${this.architecture}";`,
      `APT::Architectures { "${this.architecture}"; };`,
      'APT::Sandbox::User "";',
      'Acquire::Languages "none";',
      '',
    ].join('\n');
  }

  /** Old lists serve where there is no network. */
  #update(): void {
    const stamp = this.#at('updated');
    const known = existsSync(stamp);
    if (known && Date.now() - statSync(stamp).mtimeMs < LISTS_MAX_AGE_MS) return;
    const result = this.#run('apt-get', ['update', '--error-on=any'], UPDATE_MS);
    if (result.status === 0) writeFileSync(stamp, '');
    else if (!known) throw new PackagesUnavailable(`Debian's package lists cannot be fetched: ${lastLine(result)}`);
  }

  /** Into a folder of its own, which goes when all is unpacked. */
  #download(packages: readonly DebianPackage[]): void {
    const folder = mkdtempSync(this.#at('debs', 'download-'));
    try {
      const wanted = packages.map(({ name, version }) => `${name}=${version}`);
      const result = this.#run('apt-get', ['download', ...wanted], DOWNLOAD_MS, folder);
      const names = packages.map(({ name }) => name).join(', ');
      if (result.status !== 0) throw new PackagesUnavailable(`${names} cannot be fetched: ${lastLine(result)}`);
      const files = readdirSync(folder);
      for (const { name, root } of packages) {
        const file = files.find((each) => each.startsWith(`${name}_`)); // NAME_VERSION_ARCHITECTURE.deb
        if (file === undefined) throw new PackagesUnavailable(`apt has fetched no file of the package ${name}`);
        this.#unpack(join(folder, file), root);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Under another name first: a folder of the right name is complete. */
  #unpack(file: string, root: string): void {
    const half = `${root}.${process.pid}`;
    const result = this.#run('dpkg-deb', ['-x', file, half]);
    if (result.status !== 0) throw new PackagesUnavailable(`${file} cannot be unpacked: ${lastLine(result)}`);
    if (!existsSync(root)) renameSync(half, root);
  }

  #run(command: string, args: string[], timeout = UPDATE_MS, cwd = this.#folder): SpawnSyncReturns<string> {
    const env = { ...process.env, APT_CONFIG: this.#at('apt.conf'), LC_ALL: 'C' };
    const result = spawnSync(command, args, { cwd, env, timeout, encoding: 'utf8', maxBuffer: OUTPUT_MAX_BYTES });
    if (result.error !== undefined) {
      const missing = 'code' in result.error && result.error.code === 'ENOENT';
      throw new PackagesUnavailable(
        missing
          ? `${command} is not here: Debian's packages need a Debian host`
          : `${command}: ${result.error.message}`,
      );
    }
    return result;
  }
}

const fieldOf = (record: readonly string[], field: string): string =>
  record.find((line) => line.startsWith(`${field}: `))?.slice(field.length + 2) ?? '';

const lastLine = ({ stderr, status }: SpawnSyncReturns<string>): string =>
  stderr.trim().split('\n').at(-1) || `status ${status}`;
