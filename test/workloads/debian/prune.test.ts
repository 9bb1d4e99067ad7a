import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { markUsed, pruneCache } from '#workloads/debian/prune.js';

const HOUR = 3600;

describe('the cache of assembled guests', () => {
  const cache = mkdtempSync(join(tmpdir(), 'virtax-prune-'));
  afterEach(() => {
    for (const name of readdirSync(cache)) rmSync(join(cache, name), { recursive: true });
  });
  const now = 1_700_000_000;
  const make = (name: string, hoursAgo: number) => {
    mkdirSync(join(cache, name));
    utimesSync(join(cache, name), now - hoursAgo * HOUR, now - hoursAgo * HOUR);
  };

  it('keeps the two last used guests, what a run may still use, and everything of other kinds', () => {
    for (const [name, hours] of [
      ['a', 100],
      ['b', 50],
      ['c', 20],
      ['d', 5],
      ['e', 1],
    ] as const)
      make(`guest-${name}`, hours);
    make('trixie-riscv64', 1000);
    pruneCache(cache, now * 1000);
    expect(readdirSync(cache).sort()).toEqual(['guest-d', 'guest-e', 'trixie-riscv64']);
  });

  it('keeps four folders of programs: two of either architecture', () => {
    for (let hours = 10; hours < 16; hours++) make(`programs-${hours}`, hours);
    pruneCache(cache, now * 1000);
    expect(readdirSync(cache).sort()).toEqual(['programs-10', 'programs-11', 'programs-12', 'programs-13']);
  });

  it('a folder that is used again is new', () => {
    for (const name of ['guest-a', 'guest-b', 'guest-c']) make(name, 48);
    markUsed(join(cache, 'guest-b'));
    utimesSync(join(cache, 'guest-c'), now - HOUR, now - HOUR);
    pruneCache(cache, now * 1000);
    expect(readdirSync(cache)).toContain('guest-b');
    expect(readdirSync(cache)).not.toContain('guest-a');
  });
});
