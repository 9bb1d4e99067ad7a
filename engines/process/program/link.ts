/**
 * Makes one script of an entry module and all modules of ours that it imports. Node's loader takes 0.7 ms and 50 KiB a
 * module, in each process and again in each worker: for the 200 modules of a VM that is most of its start, and a third
 * of its memory. Each module becomes a function that runs when it is first wanted.
 *
 * `import * as name` of a module of ours does not run it: that waits until something of it is first used, as `import defer * as
 * name` would (TC39's proposal). So what only some machines need, their devices, is no more than text in the threads of others.
 *
 * It knows the forms of import and export that tsc leaves of this project's sources; it throws an Error at others, and
 * where modules import each other in a circle, since what they import is bound once.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface LinkedProgram {
  /**
   * A function expression of one parameter, `require` for Node's own modules and packages; it returns that of ours, by
   * path. Its characters are those of ISO 8859-1: V8 takes two bytes for each where there is one other.
   */
  readonly source: string;
  /** Paths of all modules, the entries first. */
  readonly files: readonly string[];
}

const IMPORT = /^import (?:(?:\{([^}]*)\}|((?:\* as )?\w+)) from )?'([^']+)';$/gm;
const REEXPORT = /^export (?:\{([^}]*)\}|\*) from '([^']+)';$/gm;
const LIST = /^export \{([^}]*)\};$/gm;
const DECLARATION = /^export ((?:async )?function\*?|class|const) (\w+)/gm;
const DYNAMIC = /\bawait import\('(\.[^']+)'\)/g;

/** `entries`: paths of JavaScript modules. */
export function link(entries: readonly string[]): LinkedProgram {
  const numbers = new Numbers(entries);
  const modules = new Map<string, string>();
  for (const entry of entries) add(entry, modules, numbers, []);
  const files = numbers.paths;
  const table = files.map((file) => `(exports, own, require) => {${modules.get(file)}\n}`);
  const source =
    `(function (require) {\n${RUNTIME}const modules = [\n${table.join(',\n')}\n];\n` +
    `const entries = ${JSON.stringify(entries)};\nreturn (entry) => own(entries.indexOf(entry));\n})`;
  return { source: source.replace(/[\u0100-\uffff]/g, escaped), files };
}

/** Modules know each other by number: paths would be a tenth of the text. */
class Numbers {
  readonly #numbers = new Map<string, number>();

  /** These come first, in order. */
  constructor(entries: readonly string[]) {
    for (const entry of entries) this.of(entry);
  }

  of(path: string): number {
    const number = this.#numbers.get(path) ?? this.#numbers.size;
    this.#numbers.set(path, number);
    return number;
  }

  get paths(): string[] {
    return [...this.#numbers.keys()];
  }
}

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

const RUNTIME = `const done = [];
function own(number) {
  let exports = done[number];
  if (exports === undefined) {
    exports = done[number] = Object.create(null);
    modules[number](exports, own, require);
  }
  return exports;
}
const $late = (number) => new Proxy(Object.create(null), { get: (_, name) => own(number)[name] });
`;

function add(file: string, modules: Map<string, string>, numbers: Numbers, path: readonly string[]): void {
  if (path.includes(file)) throw new Error(`modules import each other: ${[...path, file].join(' → ')}`);
  if (modules.has(file)) return;
  const { body, imports } = translate(file, readFileSync(file, 'utf8'), numbers);
  for (const imported of imports) add(imported, modules, numbers, [...path, file]);
  modules.set(file, body);
}

/** One module's text as a function's body. */
function translate(file: string, source: string, numbers: Numbers): { body: string; imports: string[] } {
  const imports: string[] = [];
  const exported: string[] = [];
  const wanted = (specifier: string, how: 'own' | '$late' = 'own'): string => {
    if (!specifier.startsWith('.')) return `require(${JSON.stringify(specifier)})`;
    const path = resolve(dirname(file), specifier);
    imports.push(path);
    return `${how}(${numbers.of(path)})`;
  };
  const body = source
    .replace(/^\/\/# sourceMappingURL=.*$/m, '')
    .replace(IMPORT, (_, names?: string, whole?: string, specifier = '') => {
      if (names !== undefined) return `const {${names.replaceAll(' as ', ': ')}} = ${wanted(specifier)};`;
      if (whole === undefined) return `${wanted(specifier)};`;
      const name = whole.replace(/^\* as /, '');
      return `const ${name} = ${wanted(specifier, name === whole ? 'own' : '$late')};`;
    })
    .replace(REEXPORT, (_, names: string | undefined, specifier: string) => {
      const from = wanted(specifier);
      if (names === undefined) return `Object.assign(exports, ${from});`;
      return exportedNames(names)
        .map(([name, as]) => `exports.${as} = ${from}.${name};`)
        .join(' ');
    })
    .replace(LIST, (_, names: string) => {
      for (const [name, as] of exportedNames(names)) exported.push(`exports.${as} = ${name};`);
      return '';
    })
    .replace(DECLARATION, (_, kind: string, name: string) => {
      exported.push(`exports.${name} = ${name};`);
      return `${kind} ${name}`;
    })
    .replace(DYNAMIC, (_, specifier: string) => `(${wanted(specifier)})`)
    .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(file).href));
  const left = /^(?:import|export)\b.*|\bimport\.meta\b|\bawait import\(/m.exec(body);
  if (left !== null) throw new Error(`${file}: not one of the known forms of import and export: ${left[0]}`);
  return { body: `'use strict';${unindented(body)}${exported.join(' ')}`, imports };
}

/** A quarter of the text is indentation, and V8 keeps the text. Where a string of several lines may be, it stays. */
function unindented(body: string): string {
  const inOneLine = body.split('\n').every((line) => line.split('`').length % 2 === 1);
  return inOneLine ? body.replace(/^ +/gm, '') : body;
}

/** `a, b as c`: [['a', 'a'], ['b', 'c']]. */
function exportedNames(names: string): [string, string][] {
  const words = names.split(',').map((name) => name.trim());
  return words
    .filter((name) => name !== '')
    .map((name) => {
      const [from, as = from] = name.split(' as ');
      return [from, as];
    });
}
