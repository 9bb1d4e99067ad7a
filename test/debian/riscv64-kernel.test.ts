import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildImage } from '#workloads/build/build-image.js';
import { IMAGES } from '#workloads/build/ports.js';
import { qemuRun } from './support/qemu.js';

const folder = mkdtempSync(join(tmpdir(), 'virtax-kernel-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let kernel = '';

/** Compiling the kernel on a machine that does other things too. */
const BUILD_MS = 120_000;

/** The riscv64 image as it is built, but for the program inside. */
beforeAll(async () => {
  const image = IMAGES.find(({ name }) => name.startsWith('riscv64/'));
  if (!image) throw new Error('there is no riscv64 image');
  const [program, ...rest] = image.links;
  const sources = ['guest/lib/*.c', 'guest/test/kernel_test.c', 'guest/port/riscv64/user/*.{c,S}'];
  const links = [{ ...program, sources }, ...rest];
  kernel = await buildImage(resolve(import.meta.dirname, '../../workloads'), { ...image, links }, folder);
}, BUILD_MS);

const run = (append: string, harts = 2, memory = '64M') => qemuRun(kernel, { harts, memory, append });

describe('the riscv64 kernel under QEMU', () => {
  it.each(['calls', 'memory'])('answers what it should: %s', async (name) => {
    expect(await run(name)).toEqual({ status: 0, console: 'done\n' });
  });

  it.each([4, 32])('gives and takes memory on %i harts at once', async (harts) => {
    expect(await run('crowd', harts, '1G')).toEqual({ status: 0, console: 'done\n' });
  });

  it('ends with the status that the program gives', async () => {
    expect((await run('status')).status).toBe(7);
  });

  it.each([
    ['null', 'CPU 0: load page fault', 'address 8,'],
    ['kernel', 'CPU 0: store page fault', 'address 80000000,'],
    ['constant', 'CPU 0: store page fault', 'address 10'],
    ['illegal', 'CPU 0: illegal instruction', 'address 10002573,'],
    ['stack', 'CPU 0: store page fault', 'address 1040'],
    ['execute', 'CPU 0: instruction page fault', 'pc 208'],
    ['thread', 'CPU 1: store page fault', 'address 10,'],
    ['stale', 'CPU 1: load page fault', 'address 3000000000,'],
  ])('ends a program that does the wrong thing: %s', async (name, cause, address) => {
    const result = await run(name);
    expect(result.console).not.toContain('FAIL');
    expect(result.console).toContain(`program fault on ${cause}, pc `);
    expect(result.console).toContain(address);
    expect(result.status).toBe(1);
  });
});
