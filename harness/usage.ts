/** Words on the command line and in profile files: sizes, lists, names. All errors here are the user's to mend: exit status 2. */

/** Bad usage or bad input; the message says what was wrong, where, and what to do. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const MAX_COUNT = 32;

const UNITS: Record<string, number> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** `128M`, `1G`, `1.5GiB`, `4096`: bytes, binary units as in fio and QEMU. @throws UsageError */
export function parseSize(text: string, what: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(text.trim());
  const bytes = match === null ? Number.NaN : Number(match[1]) * UNITS[match[2].toUpperCase()];
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw new UsageError(`${what}: "${text}" is no size; write for example 64M, 128M or 1G`);
  }
  return bytes;
}

/** A size in the largest unit that it is a whole number of, or with one decimal. */
export function formatSize(bytes: number): string {
  for (const unit of ['T', 'G', 'M', 'K']) {
    const value = bytes / UNITS[unit];
    if (value >= 1) return `${Number.isInteger(value) ? value : value.toFixed(1)} ${unit}iB`;
  }
  return `${bytes} B`;
}

/** `1,2,4`: whole numbers from 1 to 32, in rising order, each once. @throws UsageError */
export function parseCounts(text: string, what: string): number[] {
  const counts = text.split(',').map((word) => parseInteger(word, what, 1, MAX_COUNT));
  return [...new Set(counts)].sort((a, b) => a - b);
}

/** A whole number within bounds. @throws UsageError */
export function parseInteger(text: string, what: string, least: number, most: number): number {
  const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) {
    throw new UsageError(`${what}: "${text}" is not a whole number from ${least} to ${most}`);
  }
  return value;
}

/** `a,b,c`: at least one word, none empty, each once. @throws UsageError */
export function parseWords(text: string, what: string): string[] {
  const words = text.split(',').map((word) => word.trim());
  if (words.includes('')) throw new UsageError(`${what}: "${text}" has an empty name in it; write a,b,c`);
  return [...new Set(words)];
}

/** Says what the known names are nearest to the one that is not known. */
export function unknownName(kind: string, name: string, known: readonly string[], listCommand?: string): UsageError {
  const near = known
    .map((candidate) => ({ candidate, distance: nameDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ distance, candidate }) => distance <= Math.max(2, Math.ceil(candidate.length / 3)))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ candidate }) => candidate);
  const hint = near.length > 0 ? `did you mean ${near.join(', ')}?` : `known: ${known.join(', ')}`;
  const list = listCommand === undefined ? '' : ` (\`${listCommand}\` shows all)`;
  return new UsageError(`unknown ${kind} "${name}": ${hint}${list}`);
}

/** Levenshtein's distance; of `group/name` also to the part behind the slash, so that `seive` finds `cpu/sieve`. */
function nameDistance(name: string, candidate: string): number {
  const tail = candidate.slice(candidate.indexOf('/') + 1);
  return name.includes('/')
    ? editDistance(name, candidate)
    : Math.min(editDistance(name, candidate), editDistance(name, tail));
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

/** Whether a shell-like pattern (`*` any characters, `?` one) matches the whole name. */
export function globMatches(pattern: string, name: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${source}$`).test(name);
}

/** The names that at least one pattern matches, in their own order. @throws UsageError for a pattern that matches none */
export function selectByGlobs(
  patterns: readonly string[],
  names: readonly string[],
  kind: string,
  list: string,
): string[] {
  for (const pattern of patterns) {
    if (names.some((name) => globMatches(pattern, name))) continue;
    throw unknownName(kind, pattern, names, list);
  }
  return names.filter((name) => patterns.some((pattern) => globMatches(pattern, name)));
}
