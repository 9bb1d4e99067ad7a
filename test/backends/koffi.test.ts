import { afterEach, describe, expect, it } from 'vitest';
import { loadKoffi } from '#engines/backends/koffi.js';

const before = process.env.VIRTAX_KOFFI;
afterEach(() => {
  delete process.env.VIRTAX_KOFFI;
  if (before !== undefined) process.env.VIRTAX_KOFFI = before;
});

/** getpid(2), as the kernel and Node must both say. */
const pid = () => loadKoffi().load(null).func('getpid', 'int', [])();

describe('koffi', () => {
  it('is searched for once; what it has found is left for threads and child processes', () => {
    delete process.env.VIRTAX_KOFFI;
    expect(pid()).toBe(process.pid);
    expect(process.env.VIRTAX_KOFFI).toMatch(/koffi\.node$/);
    expect(pid()).toBe(process.pid);
  });

  it('is searched for again where the addon has gone', () => {
    process.env.VIRTAX_KOFFI = '/nonexistent/koffi.node';
    expect(pid()).toBe(process.pid);
    expect(process.env.VIRTAX_KOFFI).toMatch(/node_modules.*koffi\.node$/);
  });
});
