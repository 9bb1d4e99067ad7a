/** Seeded randomness: the same seed gives the same order of engines and the same intervals, on every host. */

/** Uniform in [0, 1). */
export type Random = () => number;

/** 32-bit FNV-1a of a text: turns names into seeds. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** A seed for one purpose out of the run's seed: independent of every other purpose's. An integer below 2^32. */
export function deriveSeed(seed: number, ...purpose: (string | number)[]): number {
  return hashText(`${seed}/${purpose.join('/')}`);
}

/** sfc32 (Chris Doty-Humphrey's Small Fast Counter generator), seeded by splitting the seed and mixing 20 rounds. */
export function seededRandom(seed: number): Random {
  let a = seed >>> 0;
  let b = Math.floor(seed / 2 ** 32) >>> 0;
  let c = 0x9e3779b9;
  let counter = 1;
  const next = () => {
    const sum = (a + b + counter++) >>> 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) >>> 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum / 2 ** 32;
  };
  for (let i = 0; i < 20; i++) next();
  return next;
}

/** Fisher-Yates; the given array stays as it is. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}
