import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** What workloads/images/manifest.json says: which compiler made which image, with which flags. */
export interface Manifest {
  compiler: string;
  images: Record<string, { sha256: string; bytes: number; flags: string[] }>;
}

export function readManifest(path: string): Manifest {
  let text: unknown;
  try {
    text = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(
      `cannot read ${path}: ${(error as Error).message}. Restore it (git checkout), or run npm run build:guests.`,
    );
  }
  const wrong = fault(text);
  if (wrong !== undefined) throw new Error(`${path} is not a manifest of images: ${wrong}`);
  return text as Manifest;
}

/** By hand, since every command reads it: to load zod takes longer than the start of a VM's process. */
function fault(value: unknown): string | undefined {
  if (!isObject(value)) return 'it holds no object';
  const { compiler, images } = value;
  if (typeof compiler !== 'string') return 'compiler is no text';
  if (!isObject(images)) return 'images is no object';
  for (const [name, image] of Object.entries(images)) {
    if (!isObject(image)) return `${name} is no object`;
    const { sha256, bytes, flags } = image;
    if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return `sha256 of ${name} is no SHA-256`;
    if (!Number.isSafeInteger(bytes) || Number(bytes) <= 0) return `bytes of ${name} is no size`;
    if (!Array.isArray(flags) || flags.some((flag) => typeof flag !== 'string')) return `flags of ${name} are no texts`;
  }
  return undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
