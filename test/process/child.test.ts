import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { startNative, startNode } from '#engines/process/child.js';
import { processCpuSeconds } from '#engines/process/cpu-time.js';
import { alive } from '../support/alive.js';

const PARENT = fileURLToPath(new URL('./fixtures/parent.mjs', import.meta.url));
const CHILD = new URL('./fixtures/child.mjs', import.meta.url);

/** Ends when the process does; the test's own time-out is the only clock. */
async function gone(pid: number): Promise<void> {
  while (alive(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A parent that starts a child, and the child's process id. */
async function family(mode: string): Promise<{ parent: ChildProcess; childPid: number }> {
  const parent = spawn(process.execPath, [PARENT, mode], { stdio: ['pipe', 'pipe', 'ignore'] });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  return { parent, childPid: Number(line.toString()) };
}

describe('supervised children', () => {
  it.each(['idle', 'busy'])('a Node child (%s) does not outlive its parent’s SIGKILL', async (mode) => {
    const { parent, childPid } = await family(mode);
    expect(alive(childPid)).toBe(true);
    parent.kill('SIGKILL');
    await gone(childPid);
  });

  it.each(['exit', 'throw'])('nor its parent’s end by %s', async (mode) => {
    const { parent, childPid } = await family(mode);
    await once(parent, 'exit');
    await gone(childPid);
  });

  it('stop() ends a child that ignores SIGTERM', async () => {
    const child = startNode(CHILD, ['stubborn']);
    await once(child.process, 'message');
    await child.stop(20);
    expect(child.ended).toBe('signal SIGKILL');
  });

  it('stop() of a child that has ended, or could not start, resolves', async () => {
    const child = startNative('/nonexistent/program', []);
    expect(await child.exited).toMatch(/could not be started.*ENOENT/);
    await child.stop();
    await child.stop(10);
  });

  it('tells how a child ended and what it wrote to stderr', async () => {
    const child = startNode(CHILD, ['fail']);
    expect(await child.exited).toBe('exit status 3');
    expect(child.stderr.tail()).toEqual(['something broke']);
  });

  it('a send to a dead child is false, not an exception', async () => {
    const child = startNode(CHILD, ['fail']);
    await child.exited;
    expect(child.send({ hello: 1 })).toBe(false);
  });

  it('a Node child has no certificates to parse, no flags of the user’s, and knows where koffi’s addon lies', async () => {
    vi.stubEnv('NODE_OPTIONS', '--max-old-space-size=1000');
    vi.stubEnv('NODE_EXTRA_CA_CERTS', '/etc/ssl/certs/ca-certificates.crt');
    const child = startNode(CHILD, ['environment']);
    const [seen] = (await once(child.process, 'message')) as [
      { certificates?: string; options?: string; koffi?: string },
    ];
    vi.unstubAllEnvs();
    await child.stop();
    expect(seen.certificates).toBeUndefined();
    expect(seen.options).toBeUndefined();
    expect(seen.koffi).toMatch(/koffi\.node$/);
  });

  it('CPU seconds of another process grow while it works', async () => {
    const child = startNode(CHILD, ['busy']);
    await once(child.process, 'message');
    const pid = child.process.pid ?? 0;
    const before = processCpuSeconds(pid) ?? Number.NaN;
    let after = before;
    while (after - before < 0.02) after = processCpuSeconds(pid) ?? Number.NaN;
    await child.stop();
    expect(before).toBeGreaterThan(0);
    expect(processCpuSeconds(pid)).toBeUndefined();
  });
});
