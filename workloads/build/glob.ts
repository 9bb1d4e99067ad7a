import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** `*` within a folder, `**` across folders, `{a,b}` alternatives. */
function toRegExp(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^$()|[\]\\]/g, '\\$&')
    .replace(/\{([^}]*)\}/g, (_, list: string) => `(?:${list.split(',').join('|')})`)
    .replace(/\*\*\/|\*/g, (star) => (star === '*' ? '[^/]*' : '(?:[^/]+/)*'));
  return new RegExp(`^${source}$`);
}

/** All files below root, as sorted relative paths with `/`. */
function filesBelow(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}

/** Files below root that match any of the patterns, each once, in an order that does not depend on the file system. */
export function glob(root: string, patterns: string[]): string[] {
  const expressions = patterns.map(toRegExp);
  return filesBelow(root).filter((path) => expressions.some((expression) => expression.test(path)));
}
