/**
 * Programs out of Debian's packages with the shared libraries that they load, found as Debian's own dependencies lead to
 * them: a library lies in a package that the package of whoever needs it depends on.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Apt, DebianArchitecture, DebianPackage } from '../debian/apt.js';
import { PackagesUnavailable } from '../debian/unavailable.js';
import { elfNeeds } from './elf-needs.js';

/** Folder of the architecture's libraries, and path of its dynamic loader. */
export const LAYOUT: Record<DebianArchitecture, { triplet: string; loader: string }> = {
  riscv64: { triplet: 'riscv64-linux-gnu', loader: 'lib/ld-linux-riscv64-lp64d.so.1' },
  amd64: { triplet: 'x86_64-linux-gnu', loader: 'lib64/ld-linux-x86-64.so.2' },
};

/** Packages whose libraries are looked at: what else a package depends on (python3 for tools) is not fetched. */
const LIBRARY_PACKAGE = /^(lib|zlib1g)/;

export interface ProgramFiles {
  /** By path without a leading `/`, as they lie in the guest; libraries under their sonames. */
  files: Map<string, Buffer>;
  /** Version of each package that one of the files is from. */
  versions: Map<string, string>;
}

/** Collects programs, `usr/bin/xz` of `xz-utils`. @throws PackagesUnavailable */
export function collectPrograms(
  apt: Apt,
  architecture: DebianArchitecture,
  programs: readonly { package: string; path: string }[],
): ProgramFiles {
  const collector = new Collector(apt, LAYOUT[architecture].triplet);
  collector.programs(programs);
  collector.loader(LAYOUT[architecture].loader);
  return { files: collector.files, versions: collector.versions };
}

class Collector {
  readonly files = new Map<string, Buffer>();
  readonly versions = new Map<string, string>();
  readonly #packages = new Map<string, DebianPackage>();
  /** Libraries that are still to be found, and the package of what needs them. */
  readonly #needed: { soname: string; owner: string }[] = [];

  constructor(
    private readonly apt: Apt,
    private readonly triplet: string,
  ) {}

  programs(wanted: readonly { package: string; path: string }[]): void {
    this.#fetchAll(['libc6', ...wanted.map((program) => program.package)]);
    for (const { package: name, path } of wanted) {
      const file = join(this.#fetch(name).root, path);
      if (!existsSync(file)) throw new PackagesUnavailable(`the package ${name} holds no ${path}`);
      this.#add(path, file, name);
    }
    // One download for all that the last round needs.
    for (let round = this.#needed.splice(0); round.length > 0; round = this.#needed.splice(0)) {
      this.apt.look(round.flatMap(({ owner }) => this.#dependencies(owner)));
      this.#fetchAll(round.flatMap(({ soname, owner }) => likelyPackages(soname, this.#dependencies(owner))));
      for (const { soname, owner } of round) this.#library(soname, owner);
    }
  }

  loader(path: string): void {
    const { root } = this.#fetch('libc6');
    const file = [path, `usr/${path}`].map((each) => join(root, each)).find(existsSync);
    if (file === undefined) throw new PackagesUnavailable(`the package libc6 holds no ${path}`);
    this.files.set(path, readFileSync(file));
  }

  #add(path: string, file: string, owner: string): void {
    const data = readFileSync(file);
    this.files.set(path, data);
    this.versions.set(owner, this.#fetch(owner).version);
    for (const soname of elfNeeds(data)?.libraries ?? []) this.#needed.push({ soname, owner });
  }

  #library(soname: string, owner: string): void {
    const path = `usr/lib/${this.triplet}/${soname}`;
    if (this.files.has(path) || soname.startsWith('ld-linux')) return;
    const dependencies = this.#dependencies(owner);
    const isHere = (name: string) => this.#packages.has(name);
    const others = dependencies.filter((name) => !isHere(name) && this.apt.has(name));
    for (const name of [owner, ...dependencies.filter(isHere), ...others]) {
      const file = this.#find(name, soname);
      if (file === undefined) continue;
      this.#add(path, file, name);
      return;
    }
    throw new PackagesUnavailable(`no package that ${owner} depends on holds ${soname}`);
  }

  /** Most libraries lie where the loader looks; some packages have a folder of their own there (an RPATH leads to it). */
  #find(name: string, soname: string): string | undefined {
    const { root } = this.#fetch(name);
    return ['usr/lib', 'lib', 'usr/lib/ceph', 'usr/lib/pulseaudio']
      .flatMap((folder) => {
        const [first, ...rest] = folder.split('/').reverse();
        return folder === 'usr/lib' || folder === 'lib'
          ? [join(root, folder, this.triplet, basename(soname))]
          : [join(root, ...rest.reverse(), this.triplet, first, basename(soname))];
      })
      .find(existsSync);
  }

  #dependencies(name: string): string[] {
    const field = `${this.apt.field(name, 'Pre-Depends')}, ${this.apt.field(name, 'Depends')}`;
    return field
      .split(',')
      .map((clause) => clause.split('|')[0].trim().split(/[ :(]/)[0])
      .filter((dependency) => LIBRARY_PACKAGE.test(dependency));
  }

  #fetch(name: string): DebianPackage {
    return this.#packages.get(name) ?? this.#fetchAll([name])[0];
  }

  #fetchAll(names: readonly string[]): DebianPackage[] {
    const missing = [...new Set(names)].filter((name) => !this.#packages.has(name));
    for (const each of this.apt.fetchAll(missing)) this.#packages.set(each.name, each);
    return names.map((name) => this.#packages.get(name) as DebianPackage);
  }
}

/**
 * Those of the packages that are called as Debian's policy (8.1) calls the package of a library: `libaio.so.1` lies in
 * `libaio1`, or `libaio1t64` since times have 64 bits, `libmd4c.so.0` in `libmd4c0`, `libmpdec++.so.4` in `libmpdec++4`.
 */
export function likelyPackages(soname: string, packages: readonly string[]): string[] {
  const match = /^(.+)\.so\.?(\d*)/.exec(soname);
  if (match === null) return [];
  const base = match[1].toLowerCase().replaceAll('_', '-');
  const name = `${base}${/\d$/.test(base) && match[2] !== '' ? '-' : ''}${match[2]}`;
  return packages.filter((each) => each.startsWith(name) && !/^\d/.test(each.slice(name.length)));
}
