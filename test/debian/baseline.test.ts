import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '#workloads/package-root.js';

const script = join(packageRoot(), 'dist/harness/baseline/check-baseline.js');

/** The outcome of npm run check:baseline is CI's own step; here: that it runs, and that it can fail. */
describe('npm run check:baseline', () => {
  const check = (...args: string[]) =>
    new Promise<string>((resolve) => {
      execFile(process.execPath, [script, ...args], (_, stdout, stderr) => resolve(stdout + stderr));
    });

  it('compares cpu work with glibc', async () => {
    expect(await check('--only', 'cpu/lists', '--rounds', '3')).toMatch(/cpu\/lists .*glibc .*\d %.*95\.0 %/);
  });

  it('compares the disk with fio', async () => {
    expect(await check('--only', 'block/randread-4k-qd1', '--rounds', '1')).toMatch(
      /block\/randread-4k-qd1 .*fio .*\d %.*90\.0 %/,
    );
  });

  it('compares the network with plain sockets', async () => {
    expect(await check('--only', 'net/*', '--rounds', '1')).toMatch(
      /net\/udp-rr .*C sockets .*\d %[\s\S]*net\/udp-stream/,
    );
  });
});
