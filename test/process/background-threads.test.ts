import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

/** In a process of its own: a priority that was lowered stays so. Tells its threads' niceness beyond its own. */
const PROGRAM = `
import { readdirSync } from 'node:fs';
import { getPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { lowerBackgroundThreads } from '#engines/process/background-threads.js';
const threads = () => readdirSync('/proc/self/task').map(Number).filter((thread) => thread !== process.pid);
const own = getPriority(process.pid);
const before = threads();
lowerBackgroundThreads();
const worker = new Worker('setTimeout(() => {}, 1e6)', { eval: true });
await new Promise((resolve) => worker.once('online', resolve));
const steps = (list) => list.map((thread) => getPriority(thread) - own);
const later = threads().filter((thread) => !before.includes(thread));
process.stdout.write(JSON.stringify({ main: getPriority(process.pid) - own, before: steps(before), later: steps(later) }));
process.exit(0);
`;

describe('priorities of a process’s threads', () => {
  it('are lower for V8’s own threads than for the main one and for those that start later', () => {
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', PROGRAM], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    const { main, before, later } = JSON.parse(stdout) as { main: number; before: number[]; later: number[] };
    expect(main).toBe(0);
    expect(before.length).toBeGreaterThan(0);
    // A process that is at the lowest priority already cannot go further.
    for (const steps of before) expect(steps).toBeGreaterThan(0);
    expect(later.length).toBeGreaterThan(0);
    for (const steps of later) expect(steps).toBe(0);
  });
});
