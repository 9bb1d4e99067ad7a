import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { nativeImage } from '#workloads/images.js';
import { elfNeeds } from '#workloads/linux/elf-needs.js';

describe('elfNeeds', () => {
  it('names loader and libraries of a dynamic program', () => {
    const needs = elfNeeds(readFileSync(process.execPath));
    expect(needs?.libraries.some((name) => /^libc\b/.test(name))).toBe(true);
    expect(existsSync(needs?.interpreter ?? '')).toBe(true);
  });

  it('finds none in a static program, and no ELF in a script', () => {
    expect(elfNeeds(readFileSync(nativeImage().path))).toEqual({ interpreter: undefined, libraries: [] });
    expect(elfNeeds(Buffer.from('#!/bin/sh\n'.repeat(20)))).toBeUndefined();
  });
});
