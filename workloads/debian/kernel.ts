/** Debian's kernel for a machine, and modules out of its package, each after those that it needs. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Apt, DebianPackage } from './apt.js';
import { PackagesUnavailable } from './unavailable.js';

const XZ_MAX_BYTES = 2 ** 28;

export interface KernelModule {
  /** As `modprobe` takes it, with `_`. */
  name: string;
  data: Buffer;
}

export class DebianKernel {
  /** Path of the kernel's image. */
  readonly image: string;
  /** As `uname -r` shows it. */
  readonly release: string;
  readonly #files = new Map<string, string>();
  readonly #builtin: Set<string>;

  /** Of the unpacked package linux-image-RELEASE. */
  constructor(root: string) {
    const boot = join(root, 'boot');
    const image = readdirSync(boot).find((file) => file.startsWith('vmlinu'));
    if (image === undefined) throw new PackagesUnavailable(`${boot} holds no kernel`);
    this.image = join(boot, image);
    this.release = image.slice(image.indexOf('-') + 1);
    const modules = ['usr/lib/modules', 'lib/modules']
      .map((folder) => join(root, folder, this.release))
      .find((folder) => existsSync(folder));
    if (modules === undefined) throw new PackagesUnavailable(`${root} holds no modules for ${this.release}`);
    for (const file of readdirSync(modules, { recursive: true, encoding: 'utf8' })) {
      if (/\.ko(\.xz)?$/.test(file)) this.#files.set(moduleName(file), join(modules, file));
    }
    this.#builtin = new Set(readFileSync(join(modules, 'modules.builtin'), 'utf8').trim().split('\n').map(moduleName));
  }

  /** The newest kernel that `linux-image-ARCHITECTURE` stands for. */
  static fetch(apt: Apt, architecture: string): DebianKernel {
    const image = /linux-image-[^ ,(]+/.exec(apt.field(`linux-image-${architecture}`, 'Depends'))?.[0];
    if (image === undefined) throw new PackagesUnavailable(`linux-image-${architecture} names no kernel`);
    const found: DebianPackage = apt.fetch(image);
    return new DebianKernel(found.root);
  }

  /** The modules asked for and all that they need, in the order in which they must be loaded; built-in ones left out. */
  modules(names: readonly string[]): KernelModule[] {
    const loaded = new Map<string, KernelModule>();
    for (const name of names) this.#add(name, loaded);
    return [...loaded.values()];
  }

  #add(asked: string, loaded: Map<string, KernelModule>): void {
    const name = moduleName(asked);
    if (loaded.has(name) || this.#builtin.has(name)) return;
    const file = this.#files.get(name);
    if (file === undefined) throw new PackagesUnavailable(`the kernel ${this.release} has no module ${asked}`);
    const data = decompressed(file);
    for (const needed of dependencies(data)) this.#add(needed, loaded);
    for (const wish of wishes(data)) this.#addIfThere(wish, loaded);
    loaded.set(name, { name, data });
  }

  /** An algorithm is wished for as crypto-NAME; its plain implementation is the module NAME_generic. */
  #addIfThere(wished: string, loaded: Map<string, KernelModule>): void {
    const wish = wished.replace(/^crypto-/, '');
    const name = [wish, `${wish}_generic`].find((each) => this.#files.has(moduleName(each)));
    if (name !== undefined) this.#add(name, loaded);
  }
}

/** A path's or a module's name, with `_` for `-` as the kernel has it. */
const moduleName = (path: string): string =>
  path
    .replace(/^.*\//, '')
    .replace(/\.ko(\.xz)?$/, '')
    .replaceAll('-', '_');

function decompressed(file: string): Buffer {
  if (!file.endsWith('.xz')) return readFileSync(file);
  const { status, stdout, error } = spawnSync('xz', ['-dc', file], { maxBuffer: XZ_MAX_BYTES });
  if (error !== undefined || status !== 0) throw new PackagesUnavailable(`xz cannot unpack ${file}: install xz-utils`);
  return stdout;
}

/** Strings of the module's .modinfo section, which end with NUL: `depends=a,b`. */
function modinfo(module: Buffer, key: string): string {
  const at = module.indexOf(`\0${key}=`, 0, 'latin1');
  if (at < 0) return '';
  const from = at + key.length + 2;
  return module.toString('latin1', from, module.indexOf(0, from));
}

const dependencies = (module: Buffer): string[] =>
  modinfo(module, 'depends')
    .split(',')
    .filter((name) => name !== '');

/** `softdep=pre: a b post: c`: what modprobe loads first when it is there (algorithms by their name for the crypto API). */
function wishes(module: Buffer): string[] {
  const list = /pre:((?:\s+[^\s:]+(?!:))*)/.exec(modinfo(module, 'softdep'))?.[1] ?? '';
  return list.split(/\s+/).filter((name) => name !== '');
}
