/**
 * `npm run build:guests`: builds all images into workloads/images and writes the manifest.
 * `npm run verify:guests` (--verify): builds them elsewhere and compares byte for byte; exit 1 names those that differ.
 * Both take words: only images whose name holds one of them (`npm run build:guests -- riscv64`).
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Manifest, readManifest, sha256 } from '../manifest.js';
import { packageRoot } from '../package-root.js';
import { buildImage, flagsOf, missingSource } from './build-image.js';
import { BuildError, compilerVersion } from './compiler.js';
import { IMAGES, type Image } from './ports.js';

const WORKLOADS = join(packageRoot(), 'workloads');
const OUTPUT = join(WORKLOADS, 'images');
const MANIFEST = join(OUTPUT, 'manifest.json');

interface Built {
  image: Image;
  path: string;
}

const words = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const selected = IMAGES.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));

/** Builds each selected image whose sources are there, reports the others. */
async function buildAll(folder: string): Promise<Built[]> {
  const built: Built[] = [];
  for (const image of selected) {
    const missing = missingSource(WORKLOADS, image);
    if (missing) {
      console.log(`${image.name}: left out, there is no workloads/${missing}`);
      continue;
    }
    const place = join(folder, image.name.replaceAll('/', '-'));
    mkdirSync(place);
    built.push({ image, path: await buildImage(WORKLOADS, image, place) });
  }
  return built;
}

async function install(built: Built[]): Promise<void> {
  const manifest: Manifest = {
    compiler: await compilerVersion(),
    images: words.length ? readManifest(MANIFEST).images : {},
  };
  for (const { image, path } of built) {
    const target = join(OUTPUT, image.name);
    mkdirSync(dirname(target), { recursive: true });
    rmSync(target, { force: true }); // a process that runs the old image keeps it
    copyFileSync(path, target);
    chmodSync(target, image.name.startsWith('linux-') ? 0o755 : 0o644);
    const bytes = readFileSync(target);
    manifest.images[image.name] = { sha256: sha256(bytes), bytes: bytes.length, flags: flagsOf(image) };
    console.log(`${image.name}: ${bytes.length} bytes`);
  }
  writeFileSync(MANIFEST, `${JSON.stringify(manifest, null, 2)}\n`);
}

/** What is wrong with the committed image, or undefined. */
function difference({ image, path }: Built, manifest: Manifest): string | undefined {
  const committed = join(OUTPUT, image.name);
  const entry = manifest.images[image.name];
  if (!existsSync(committed) || !entry) return 'is not committed';
  const bytes = readFileSync(committed);
  if (sha256(bytes) !== entry.sha256) return 'does not have the SHA-256 that the manifest says';
  return bytes.equals(readFileSync(path)) ? undefined : 'differs from what its sources give';
}

async function verify(built: Built[]): Promise<boolean> {
  const manifest = readManifest(MANIFEST);
  const version = await compilerVersion();
  let same = true;
  for (const one of built) {
    const wrong = difference(one, manifest);
    console.log(`${one.image.name}: ${wrong ?? 'the same'}`);
    if (wrong) same = false;
  }
  if (!same && version !== manifest.compiler)
    console.log(`the images were built by ${manifest.compiler}, this is ${version}`);
  if (!same) console.log('npm run build:guests builds them anew');
  return same;
}

async function main(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'virtax-images-'));
  try {
    const built = await buildAll(folder);
    if (process.argv.includes('--verify')) return (await verify(built)) ? 0 : 1;
    await install(built);
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
