import { describe, expect, it } from 'vitest';
import { parseSmaps, ramOf } from '#harness/density/memory.js';

/** As Linux 6.1 writes it, shortened. */
const SMAPS = `00400000-00500000 r-xp 00000000 fe:01 1234 /usr/bin/node
Size:               1024 kB
Rss:                 900 kB
Pss:                 225 kB
VmFlags: rd ex mr mw me
7f0000000000-7f0000100000 rw-p 00000000 00:00 0
Rss:                 300 kB
Pss:                 300 kB
Pss_Dirty:           299 kB
7f0000100000-7f0000500000 rw-p 00000000 00:00 0
Rss:                2048 kB
Pss:                2048 kB
VmFlags: rd wr mr mw me ac hg
7f0000500000-7f0000600000 ---p 00000000 00:00 0
Pss:                   0 kB
7f0000600000-7f0000601000 rw-p 00000000 00:00 0
Pss:                   4 kB
`;

describe('memory of a process', () => {
  const mappings = parseSmaps(SMAPS);

  it('counts every mapping once', () => {
    expect(mappings.map(({ pssBytes }) => pssBytes / 1024)).toEqual([225, 300, 2048, 0, 4]);
  });

  it('finds guest RAM by the size of the whole memory and by where RAM begins', () => {
    const ram = ramOf(mappings, 0x50_0000, 0x10_0000);
    expect(ram.map(({ pssBytes }) => pssBytes / 1024)).toEqual([2048]);
  });

  it('says so where there is no such memory', () => {
    expect(() => ramOf(mappings, 0x60_0000, 0x10_0000)).toThrow(/guest RAM is not to be found/);
    expect(() => ramOf(mappings, 0x50_0000, 0x20_0000)).toThrow(/guest RAM is not to be found/);
  });
});
