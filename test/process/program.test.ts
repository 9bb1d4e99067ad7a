/** Linked programs: the same meaning as the modules that they are made of. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Script } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { link } from '#engines/process/program/link.js';
import { startOf } from '#engines/process/program/program-file.js';

/** The linker takes what is ours by relative paths. */
const ownProgram = () =>
  relative(folder, createRequire(import.meta.url).resolve('#engines/process/program/own-program.js'));

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

  it('runs a module that is imported as a whole when something of it is first used', async () => {
    const modules = {
      'whole.mjs': [
        `import { log } from './log.mjs';`,
        `import * as late from './late-one.mjs';`,
        `const before = [...log];`,
        `export const value = late.value + new late.Box().value;`,
        `export const order = [...before, '|', ...log];`,
      ].join('\n'),
      'log.mjs': 'export const log = [];\n',
      'late-one.mjs': [
        `import { log } from './log.mjs';`,
        `log.push('ran');`,
        `export const value = 7;`,
        `export class Box { value = 1; }`,
      ].join('\n'),
    };
    const { node, linked } = await both(modules);
    expect(node).toMatchObject({ value: 8 });
    expect(linked).toMatchObject({ value: 8, order: ['|', 'ran'] });
  });

  it('refuses what it does not know, with the place', () => {
    expect(() => link([write({ 'default.mjs': 'export default 1;\n' })])).toThrow(/default\.mjs: .*export default 1/);
    const circle = { 'a.mjs': `import './b.mjs';\n`, 'b.mjs': `import './a.mjs';\n` };
    expect(() => link([write(circle)])).toThrow(/import each other: .*a\.mjs → .*b\.mjs → .*a\.mjs/);
  });
});

describe('startOf', () => {
  it('starts a module as it is where its program cannot be linked', () => {
    const entry = pathToFileURL(write({ 'odd.mjs': 'export default 1;\n' }));
    const program = { modules: [entry], preparation: entry, rehearsal: entry };
    expect(startOf(entry, program)).toEqual({ path: fileURLToPath(entry), arguments: [] });
  });

  it('gives workers a text of their own, which holds nothing that only the main thread needs', async () => {
    const { hartThread } = await import('#engines/full/vm/vm-program.js');
    const [file] = hartThread().arguments;
    const names = readdirSync(dirname(file)).filter((name) => name.startsWith(`${basename(file)}.`));
    const [text] = names.filter((name) => name.endsWith('.worker-text'));
    const worker = readFileSync(join(dirname(file), text), 'latin1');
    const main = readFileSync(file, 'latin1');
    const where = (name: string) => [main.includes(name), worker.includes(name)];
    expect(where('class RegionCompiler')).toEqual([true, false]);
    expect(where('class HartThread ')).toEqual([false, true]);
  });

  it('links the program of a VM', async () => {
    const { vmMain, hartThread } = await import('#engines/full/vm/vm-program.js');
    const [file, entry] = vmMain().arguments;
    expect(entry).toMatch(/vm-main\.js$/);
    expect(hartThread().arguments).toEqual([file, expect.stringMatching(/hart-main\.js$/)]);
  });
});

/** A program of three modules: its preparation makes bytes, its rehearsal and its main module take them. */
function programOf(name: string, { preparation = '', rehearsal = '', main = '' }) {
  const keeper = `import { keep, kept } from '${ownProgram()}';\n`;
  const url = (kind: string, text: string) =>
    pathToFileURL(write({ [`${name}-${kind}.mjs`]: `${keeper}export const known = [keep, kept];\n${text}` }));
  const entry = url('main', main);
  const program = {
    modules: [entry, url('preparation', preparation), url('rehearsal', rehearsal)],
    preparation: url('preparation', preparation),
    rehearsal: url('rehearsal', rehearsal),
  };
  const start = startOf(entry, program);
  programs.push(start.arguments[0] ?? '');
  return start;
}

const programs: string[] = [];
const cachesOf = (file: string) =>
  readdirSync(dirname(file)).filter((name) => name.startsWith(`${basename(file)}.`) && name.endsWith('.cache'));

describe('a rehearsal', () => {
  afterAll(() => {
    for (const file of programs) {
      for (const name of [basename(file), `${basename(file)}.contents`, ...cachesOf(file)]) {
        rmSync(join(dirname(file), name), { force: true });
      }
    }
  });

  it('leaves what was kept, and code that V8 takes, for later processes', () => {
    const start = programOf('fine', {
      preparation: `keep('number', new Uint8Array([7]));`,
      rehearsal: `if (kept('number')[0] !== 7) process.exit(1);`,
      main: `console.log(kept('number')[0], kept('other'));`,
    });
    const [file] = start.arguments;
    expect(cachesOf(file).some((name) => name.endsWith('.main.cache'))).toBe(true);
    const { stdout } = spawnSync(process.execPath, [start.path, ...start.arguments], { encoding: 'utf8' });
    expect(stdout).toBe('7 undefined\n');
    const [code] = cachesOf(file).filter((name) => name.endsWith('.main.cache'));
    const script = new Script(readFileSync(file, 'latin1'), { cachedData: readFileSync(join(dirname(file), code)) });
    expect(script.cachedDataRejected).toBe(false);
  });

  it.each([
    ['fails', `process.exit(3);`],
    ['is killed', `process.kill(process.pid, 'SIGKILL');`],
  ])('that %s leaves nothing, and the program starts all the same', (how, rehearsal) => {
    const preparation = `keep('number', new Uint8Array([7]));`;
    const main = `console.log(kept('number'));`;
    const start = programOf(how.replace(' ', '-'), { preparation, rehearsal, main });
    expect(cachesOf(start.arguments[0])).toEqual([]);
    const { stdout } = spawnSync(process.execPath, [start.path, ...start.arguments], { encoding: 'utf8' });
    expect(stdout).toBe('undefined\n');
  });

  it('of which a cache is damaged: the program starts all the same', () => {
    const start = programOf('damaged', { main: `console.log('here');` });
    const [file] = start.arguments;
    for (const name of cachesOf(file)) writeFileSync(join(dirname(file), name), 'not what V8 has written');
    const { stdout } = spawnSync(process.execPath, [start.path, ...start.arguments], { encoding: 'utf8' });
    expect(stdout).toBe('here\n');
  });
});
