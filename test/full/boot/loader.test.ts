import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ImageError, parseElf } from '#engines/full/boot/elf.js';
import { load, placeFdt } from '#engines/full/boot/loader.js';
import { elf, type Segment } from '../elf-builder.js';
import { cells, nodeAt, readFdt } from '../fdt-reader.js';

const RAM = 0x8000_0000;
const MIB = 2 ** 20;
const OPTIONS = { harts: 1, memoryBytes: 16 * MIB, append: '' };

const loadInto = (image: Buffer) => {
  const ram = new Uint8Array(OPTIONS.memoryBytes);
  return { ram, ...load(ram, { kernel: image }, OPTIONS) };
};

describe('image loader', () => {
  it('places segments, keeps the rest zero, and puts a readable device tree where it says', () => {
    const { ram, fdtAddress } = loadInto(
      elf([
        { address: RAM, data: [1, 2, 3], memory: 100 },
        { address: RAM + MIB, data: [9] },
      ]),
    );
    expect([...ram.subarray(0, 5)]).toEqual([1, 2, 3, 0, 0]);
    expect(ram[MIB]).toBe(9);
    expect(readFdt(ram.subarray(fdtAddress - RAM)).children.has('soc')).toBe(true);
  });

  it('takes a raw image as it is', () => {
    expect([...loadInto(Buffer.from([0x13, 0, 0, 0])).ram.subarray(0, 4)]).toEqual([0x13, 0, 0, 0]);
  });

  it('puts a position-independent image (ET_DYN) where its program headers say, as it is', () => {
    const segments = [
      { address: RAM, data: [1, 2, 3] },
      { address: RAM, data: [], type: 2 }, // PT_DYNAMIC: relocating itself is the image's affair
      { address: RAM + MIB, data: [9] },
    ];
    const { ram } = loadInto(elf(segments, {}, 3));
    expect([ram[0], ram[1], ram[2], ram[MIB]]).toEqual([1, 2, 3, 9]);
    expect(() => loadInto(elf([{ address: 0, data: [1] }], {}, 3))).toThrow(/0x0 to 0x1.*0x80000000.*link it/);
    expect(() => loadInto(elf(segments, {}, 1))).toThrow(/type 1/);
  });

  it('finds tohost', () => {
    const image = elf([{ address: RAM, data: [1] }], { start: RAM, tohost: RAM + 0x1000 });
    expect(loadInto(image).tohost).toBe(RAM + 0x1000);
    expect(loadInto(elf([{ address: RAM, data: [1] }])).tohost).toBeUndefined();
  });

  it('refuses a tohost outside of RAM', () => {
    expect(() => loadInto(elf([{ address: RAM, data: [1] }], { tohost: 0x1000 }))).toThrow(/tohost.*0x1000/);
  });

  it.each([
    ['below RAM', [{ address: 0x1000, data: [1] }], /0x1000.*0x80000000/],
    ['above RAM', [{ address: RAM + 16 * MIB - 1, data: [1, 2] }], /0x81000000/],
    ['larger in memory than RAM', [{ address: RAM, data: [1], memory: 17 * MIB }], /0x81100000/],
    ['where the device tree goes', [{ address: RAM, data: [1], memory: 15 * MIB }], /more memory/],
    ['not at the entry', [{ address: RAM + 4096, data: [1] }], /0x80000000/],
    ['nothing to load', [{ address: RAM, data: [1], type: 4 }], /no segment/],
  ])('refuses an image %s', (_name, segments, message) => {
    expect(() => loadInto(elf(segments as Segment[]))).toThrow(message);
    expect(() => loadInto(elf(segments as Segment[]))).toThrow(ImageError);
  });

  it('leaves out what lies below memory, as ld -Ttext=0x80000000 puts the headers, and asks for no dynamic linker', () => {
    const data = [...Array<number>(16).fill(7), 1, 2];
    const ram = new Uint8Array(OPTIONS.memoryBytes).fill(9);
    const kernel = elf([
      { address: 0, data: [47], type: 3 },
      { address: 0, data: [47] },
      { address: RAM - 16, data, memory: 20 },
    ]);
    expect(load(ram, { kernel }, OPTIONS).kernelEntry).toBe(RAM);
    expect([...ram.subarray(0, 5)]).toEqual([1, 2, 0, 0, 9]);
  });

  it('firmware first, the kernel on the next 2 MiB, the RAM disk half of RAM behind it, as QEMU does', () => {
    const options = { ...OPTIONS, memoryBytes: 64 * MIB };
    const ram = new Uint8Array(options.memoryBytes);
    const images = { bios: Buffer.alloc(300_000, 1), kernel: Buffer.alloc(5 * MIB, 2), initrd: Buffer.from([3, 4]) };
    const { kernelEntry, fdtAddress } = load(ram, images, options);
    expect(kernelEntry).toBe(RAM + 2 * MIB);
    expect([ram[0], ram[299_999], ram[300_000], ram[2 * MIB - 1], ram[2 * MIB]]).toEqual([1, 1, 0, 0, 2]);
    expect([...ram.subarray(34 * MIB, 34 * MIB + 3)]).toEqual([3, 4, 0]);
    const chosen = nodeAt(readFdt(ram.subarray(fdtAddress - RAM)), '/chosen');
    expect(cells(chosen, 'linux,initrd-start')).toEqual([RAM + 34 * MIB]);
    expect(cells(chosen, 'linux,initrd-end')).toEqual([RAM + 34 * MIB + 2]);
  });

  it('the RAM disk lies at most 128 MiB behind the kernel', () => {
    const options = { ...OPTIONS, memoryBytes: 512 * MIB };
    const ram = new Uint8Array(options.memoryBytes);
    load(ram, { kernel: Buffer.from([1]), initrd: Buffer.from([9]) }, options);
    expect(ram[128 * MIB]).toBe(9);
  });

  it.each([
    ['nothing at all', {}, /neither firmware nor a kernel/],
    ['a RAM disk without a kernel', { bios: Buffer.from([1]), initrd: Buffer.from([1]) }, /for a kernel/],
    [
      'a RAM disk upon the tree',
      { kernel: Buffer.from([1]), initrd: Buffer.alloc(7 * MIB) },
      /upon the initial RAM disk.*more memory/,
    ],
    [
      'a kernel upon the RAM disk',
      { kernel: Buffer.alloc(9 * MIB), initrd: Buffer.from([1]) },
      /upon the kernel.*more memory/,
    ],
    [
      'a kernel behind the end',
      { bios: Buffer.alloc(15 * MIB), kernel: Buffer.from([1]) },
      /the kernel wants memory from 0x81000000.*more memory/,
    ],
  ])('refuses %s', (_name, images, message) => {
    expect(() => load(new Uint8Array(OPTIONS.memoryBytes), images, OPTIONS)).toThrow(message);
  });

  it('refuses other machines and classes, and says which', () => {
    const image = elf([{ address: RAM, data: [1] }]);
    const x86 = Buffer.from(image);
    x86.writeUInt16LE(62, 18);
    expect(() => parseElf(x86)).toThrow(/x86-64, not for RISC-V/);
    const small = Buffer.from(image);
    small[4] = 1;
    expect(() => parseElf(small)).toThrow(/64-bit/);
  });

  it('a damaged file is an ImageError or an image, never another exception', () => {
    const good = elf([{ address: RAM, data: [1, 2, 3, 4] }], { tohost: RAM });
    const damage = fc.record({
      at: fc.nat(good.length - 1),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
      cut: fc.nat(good.length),
    });
    fc.assert(
      fc.property(damage, ({ at, bytes, cut }) => {
        const file = Buffer.from(good);
        file.set(bytes.subarray(0, good.length - at), at);
        try {
          loadInto(file.subarray(0, Math.max(4, cut)));
        } catch (error) {
          if (!(error instanceof ImageError)) throw error;
        }
      }),
      { numRuns: 300 },
    );
  });

  it('places the device tree as QEMU 7.2 does: 2 MiB aligned at the end of RAM, below 3 GiB', () => {
    expect(placeFdt(512 * MIB, 5000)).toBe(0x9fe0_0000);
    expect(placeFdt(2048 * MIB, 5000)).toBe(0xbfe0_0000);
    expect(() => placeFdt(1 * MIB, 2 * MIB)).toThrow(ImageError);
  });
});
