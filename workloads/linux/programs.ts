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
  for (const program of programs) collector.program(program.package, program.path);
  const { loader } = LAYOUT[architecture];
  collector.loader(loader);
  return { files: collector.files, versions: collector.versions };
}

class Collector {
  readonly files = new Map<string, Buffer>();
  readonly versions = new Map<string, string>();
  readonly #packages = new Map<string, DebianPackage>();

  constructor(
    private readonly apt: Apt,
    private readonly triplet: string,
  ) {}

  program(name: string, path: string): void {
    const file = join(this.#fetch(name).root, path);
    if (!existsSync(file)) throw new PackagesUnavailable(`the package ${name} holds no ${path}`);
    this.#add(path, file, name);
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
    for (const soname of elfNeeds(data)?.libraries ?? []) this.#library(soname, owner);
  }

  #library(soname: string, owner: string): void {
    const path = `usr/lib/${this.triplet}/${soname}`;
    if (this.files.has(path) || soname.startsWith('ld-linux')) return;
    for (const name of [owner, ...this.#dependencies(owner)]) {
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
    const known = this.#packages.get(name) ?? this.apt.fetch(name);
    this.#packages.set(name, known);
    return known;
  }
}
