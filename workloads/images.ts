import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { readManifest } from './manifest.js';
import { packageRoot } from './package-root.js';

/** A committed image of the guest program. */
export interface GuestImage {
  path: string;
  /** As the manifest says, 64 hexadecimal digits. */
  sha256: string;
}

/** The image for a host of this architecture is not part of the package, or was lost. */
export class ImageMissing extends Error {
  override readonly name = 'ImageMissing';
}

function image(name: string): GuestImage {
  const folder = join(packageRoot(), 'workloads', 'images');
  const path = join(folder, name);
  const entry = readManifest(join(folder, 'manifest.json')).images[name];
  if (!entry)
    throw new ImageMissing(
      `there is no image ${name}: it is not in workloads/images/manifest.json; npm run build:guests builds the images`,
    );
  try {
    accessSync(path, constants.R_OK);
  } catch {
    throw new ImageMissing(
      `the image workloads/images/${name} cannot be read; restore it (git checkout), or run npm run build:guests`,
    );
  }
  return { path, sha256: entry.sha256 };
}

/** Architectures of a Linux host that have a native image, in Node's words (process.arch). */
export const NATIVE_ARCHITECTURES: readonly string[] = ['x64', 'arm64'];

/** The native program of bare metal, which also has the tool modes `peer` and `mkdisk`. */
export function nativeImage(options: { vectorized?: boolean; arch?: string } = {}): GuestImage {
  const arch = options.arch ?? process.arch;
  if (process.platform !== 'linux' || !NATIVE_ARCHITECTURES.includes(arch)) {
    throw new ImageMissing(`bare metal needs Linux on x86-64 or arm64; this is ${process.platform} on ${arch}`);
  }
  return image(`linux-${arch}/virtax-guest${options.vectorized === false ? '-novec' : ''}`);
}

/** The unmodified guest OS: boots on the emulated machine and on QEMU's `virt`. */
export function riscvImage(): GuestImage {
  return image('riscv64/virtax-kernel.elf');
}

/** The paravirtualized guest: kernel and program in one module. */
export function paraImage(): GuestImage {
  return image('wasm32/virtax-para.wasm');
}
