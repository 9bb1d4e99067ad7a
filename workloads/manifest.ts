import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';

const imageEntry = z.object({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.number().int().positive(),
  flags: z.array(z.string()),
});

const manifest = z.object({ compiler: z.string(), images: z.record(z.string(), imageEntry) });

/** What workloads/images/manifest.json says: which compiler made which image, with which flags. */
export type Manifest = z.infer<typeof manifest>;

export function readManifest(path: string): Manifest {
  let text: unknown;
  try {
    text = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(
      `cannot read ${path}: ${(error as Error).message}. Restore it (git checkout), or run npm run build:guests.`,
    );
  }
  const parsed = manifest.safeParse(text);
  if (!parsed.success) throw new Error(`${path} is not a manifest of images: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
