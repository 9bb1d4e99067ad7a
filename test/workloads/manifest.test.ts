import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readManifest } from '#workloads/manifest.js';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'virtax-manifest-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function read(text: string) {
  const path = join(folder, 'manifest.json');
  writeFileSync(path, text);
  return readManifest(path);
}

const IMAGE = { sha256: 'a'.repeat(64), bytes: 5, flags: ['-O2'] };
const manifestOf = (image: object) => JSON.stringify({ compiler: 'clang', images: { 'a/b': image } });

describe('a manifest of images', () => {
  it('is read as it is', () => {
    expect(read(manifestOf(IMAGE))).toEqual({ compiler: 'clang', images: { 'a/b': IMAGE } });
  });

  it.each([
    ['is no JSON', '{', /cannot read .*manifest\.json.*git checkout/],
    ['holds something else', '[]', /manifest\.json is not a manifest of images: it holds no object/],
    ['names no compiler', '{"images":{}}', /compiler/],
    ['names no images', '{"compiler":"clang"}', /images/],
    ['has a broken sum', manifestOf({ ...IMAGE, sha256: 'A' }), /sha256 of a\/b/],
    ['has no size', manifestOf({ ...IMAGE, bytes: 0 }), /bytes of a\/b/],
    ['has no flags', manifestOf({ ...IMAGE, flags: [1] }), /flags of a\/b/],
    ['has an image that is none', manifestOf([]), /a\/b is no object/],
  ])('that %s is refused, and says why', (_, text, message) => {
    expect(() => read(text)).toThrow(message);
  });
});
