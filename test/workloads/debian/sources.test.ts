import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { debianSource } from '#workloads/debian/apt-sources.js';
import { cpio } from '#workloads/debian/cpio.js';
import { PackagesUnavailable } from '#workloads/debian/unavailable.js';

const top = mkdtempSync(join(tmpdir(), 'virtax-apt-'));
afterAll(() => rmSync(top, { recursive: true, force: true }));
let hosts = 0;

/** A host's /etc/apt and os-release. */
function host(files: Record<string, string>, release = 'ID=debian\nVERSION_CODENAME=bookworm\n'): [string, string] {
  const folder = join(top, `${hosts++}`);
  mkdirSync(join(folder, 'sources.list.d'), { recursive: true });
  writeFileSync(join(folder, 'os-release'), release);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return [folder, join(folder, 'os-release')];
}

describe('source of another suite', () => {
  it('from deb822 files: mirror and key stay, security is passed over', () => {
    const text = [
      'Types: deb\nURIs: http://security.example/debian\nSuites: bookworm-security\nComponents: main',
      'Types: deb\n# a comment\nURIs: http://mirror.example/debian http://other.example\nSuites: bookworm bookworm-updates\nComponents: main contrib\nSigned-By: /keys/debian.gpg',
    ].join('\n\n');
    expect(debianSource('trixie', ...host({ 'sources.list.d/debian.sources': text }))).toBe(
      'Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\nComponents: main\nSigned-By: /keys/debian.gpg\n',
    );
  });

  it('from lines', () => {
    const text =
      '# deb http://no.example bookworm main\ndeb [arch=amd64 signed-by=/k.gpg] http://m.example bookworm main\n';
    expect(debianSource('trixie', ...host({ 'sources.list': text }))).toBe(
      'Types: deb\nURIs: http://m.example\nSuites: trixie\nComponents: main\nSigned-By: /k.gpg\n',
    );
  });

  it('a host without one is told so', () => {
    expect(() => debianSource('trixie', ...host({}))).toThrow(PackagesUnavailable);
    expect(() => debianSource('trixie', ...host({}, 'ID=other\n'))).toThrow(/need a Debian host/);
  });
});

describe('cpio archive', () => {
  // The fields of the newc header in their order, from the kernel's buffer-format document.
  it('is the newc format, padded to 4 bytes', () => {
    const archive = cpio([{ kind: 'file', path: 'abc', mode: 0o755, data: Buffer.from('hello') }]).toString('latin1');
    const zero = '00000000';
    const hex = (n: number) => n.toString(16).padStart(8, '0');
    const head = `070701${hex(1)}${hex(0o100755)}${zero}${zero}${hex(1)}${zero}${hex(5)}${zero.repeat(4)}${hex(4)}${zero}`;
    expect(archive.slice(0, 124)).toBe(`${head}abc\0\0\0hello\0\0\0`);
    expect(archive.slice(124)).toMatch(/^070701.*TRAILER!!!\0{4}$/s);
    expect(archive.length % 4).toBe(0);
  });
});
