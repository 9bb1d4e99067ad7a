/** Linked programs: the same meaning as the modules that they are made of. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Script } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { link } from '#engines/process/program/link.js';
import { startOf } from '#engines/process/program/program-file.js';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'virtax-link-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes modules; the first is the entry. */
function write(modules: Record<string, string>): string {
  for (const [name, text] of Object.entries(modules)) writeFileSync(join(folder, name), text);
  return join(folder, Object.keys(modules)[0]);
}

/** What the entry exports, once by Node's own loader and once linked. */
async function both(modules: Record<string, string>): Promise<{ node: object; linked: object }> {
  const entry = write(modules);
  const program = new Script(link([entry]).source).runInThisContext();
  return { node: { ...(await import(entry)) }, linked: { ...program(createRequire(entry))(entry) } };
}

describe('link', () => {
  it('gives each form of import and export the meaning that it has', async () => {
    const { node, linked } = await both({
      'forms.mjs': [
        `import { inspect as show } from 'node:util';`,
        `import * as path from 'node:path';`,
        `import {\n  one,\n  two as deux,\n} from './numbers.mjs';`,
        `import './effect.mjs';`,
        `export { three } from './numbers.mjs';`,
        `export { three as trois } from './numbers.mjs';`,
        `export * from './more.mjs';`,
        `export const sum = one + deux;`,
        `export function name() { return path.basename('/a/b'); }`,
        `export class Box { value = show({ sum }); }`,
        `const hidden = 'é → ✓';`,
        `export { hidden as shown };`,
        `export const boxed = new Box().value + name();`,
        `export const here = import.meta.url;`,
        `export const effect = globalThis.linkedEffect;`,
      ].join('\n'),
      'numbers.mjs': 'export const one = 1;\nexport const two = 2;\nexport const three = 3;\n',
      'more.mjs': 'export const four = 4;\n',
      'effect.mjs': 'globalThis.linkedEffect = (globalThis.linkedEffect ?? 0) + 1;\n',
    });
    const functions = { name: expect.any(Function), Box: expect.any(Function), effect: expect.any(Number) };
    expect({ ...linked, ...functions }).toEqual({ ...node, ...functions });
    expect(linked).toMatchObject({
      sum: 3,
      four: 4,
      trois: 3,
      shown: 'é → ✓',
      here: pathToFileURL(join(folder, 'forms.mjs')).href,
    });
  });

  it('holds characters of one byte alone', () => {
    const { source } = link([write({ 'wide.mjs': `export const text = '→';\n` })]);
    expect(/[\u0100-\uffff]/.test(source)).toBe(false);
  });

  it('runs a module once, and a module that is imported later only then', async () => {
    const { linked } = await both({
      'late.mjs': [
        `import { log } from './log.mjs';`,
        `log.push('first');`,
        `const { value } = await import('./wanted.mjs');`,
        `export { value };`,
        `export { log };`,
      ].join('\n'),
      'log.mjs': 'export const log = [];\n',
      'wanted.mjs': `import { log } from './log.mjs';\nlog.push('later');\nexport const value = 7;\n`,
    });
    expect(linked).toMatchObject({ log: ['first', 'later'], value: 7 });
  });

  it('refuses what it does not know, with the place', () => {
    expect(() => link([write({ 'default.mjs': 'export default 1;\n' })])).toThrow(/default\.mjs: .*export default 1/);
    const circle = { 'a.mjs': `import './b.mjs';\n`, 'b.mjs': `import './a.mjs';\n` };
    expect(() => link([write(circle)])).toThrow(/import each other: .*a\.mjs → .*b\.mjs → .*a\.mjs/);
  });
});

describe('startOf', () => {
  it('starts a module as it is where its program cannot be linked', () => {
    const entry = write({ 'odd.mjs': 'export default 1;\n' });
    expect(startOf(pathToFileURL(entry), [pathToFileURL(entry)])).toEqual({ path: entry, arguments: [] });
  });

  it('links the program of a VM', async () => {
    const { vmMain, hartThread } = await import('#engines/full/vm/vm-program.js');
    const [file, entry] = vmMain().arguments;
    expect(entry).toMatch(/vm-main\.js$/);
    expect(hartThread().arguments).toEqual([file, expect.stringMatching(/hart-thread\.js$/)]);
  });
});
