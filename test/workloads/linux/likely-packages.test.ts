import { describe, expect, it } from 'vitest';
import { likelyPackages } from '#workloads/linux/programs.js';

describe('the package of a library by its soname (Debian policy 8.1)', () => {
  // Debian 13's packages and what lies in them.
  it.each([
    ['libaio.so.1t64', 'libaio1t64'],
    ['libaio.so.1', 'libaio1t64'],
    ['libz.so.1', undefined], // zlib1g
    ['libjpeg.so.62', 'libjpeg62-turbo'],
    ['libmd4c.so.0', undefined],
    ['libX11.so.6', 'libx11-6'],
    ['libcrypt.so.1', 'libcrypt1'],
    ['libc.so.6', 'libc6'],
    ['libmpfr.so.6', 'libmpfr6'],
  ])('%s: %s', (soname, expected) => {
    const dependencies = ['libaio1t64', 'zlib1g', 'libjpeg62-turbo', 'libx11-6', 'libcrypt1', 'libc6', 'libmpfr6'];
    expect(likelyPackages(soname, dependencies)).toEqual(expected === undefined ? [] : [expected]);
  });

  it('does not take libfoo12 for libfoo1', () => {
    expect(likelyPackages('libfoo.so.1', ['libfoo12', 'libfoo1t64'])).toEqual(['libfoo1t64']);
  });
});
