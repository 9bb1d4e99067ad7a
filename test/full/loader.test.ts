import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ImageError, parseElf } from '#engines/full/elf.js';
import { load, placeFdt } from '#engines/full/loader.js';
import { readFdt } from './fdt-reader.js';

const RAM = 0x8000_0000;
const MIB = 2 ** 20;
const OPTIONS = { harts: 1, memoryBytes: 16 * MIB, bootargs: '' };

interface Seg {
  address: number;
  data: number[];
  memory?: number;
  type?: number;
}

/** An ELF file by the gABI, field by field. */
function elf(segments: Seg[], symbols: Record<string, number> = {}): Buffer {
  const names = Buffer.from(`\0${Object.keys(symbols).join('\0')}\0`);
  const symtab = Buffer.alloc(24 * (1 + Object.keys(symbols).length));
  Object.entries(symbols).forEach(([name, value], i) => {
    symtab.writeUInt32LE(names.indexOf(name), 24 * (i + 1));
    symtab.writeBigUInt64LE(BigInt(value), 24 * (i + 1) + 8);
  });
  const header = Buffer.alloc(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(243, 18);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(segments.length, 56);
  header.writeUInt16LE(64, 58);
  header.writeUInt16LE(3, 60);
  header.writeBigUInt64LE(64n, 32);
  const programs = Buffer.alloc(56 * segments.length);
  const bodies: Buffer[] = [];
  let at = 64 + programs.length;
  segments.forEach((segment, i) => {
    const p = 56 * i;
    programs.writeUInt32LE(segment.type ?? 1, p);
    programs.writeBigUInt64LE(BigInt(at), p + 8);
    programs.writeBigUInt64LE(BigInt(segment.address), p + 24);
    programs.writeBigUInt64LE(BigInt(segment.data.length), p + 32);
    programs.writeBigUInt64LE(BigInt(segment.memory ?? segment.data.length), p + 40);
    bodies.push(Buffer.from(segment.data));
    at += segment.data.length;
  });
  const sections = Buffer.alloc(64 * 3);
  sections.writeUInt32LE(2, 64 + 4);
  sections.writeBigUInt64LE(BigInt(at), 64 + 24);
  sections.writeBigUInt64LE(BigInt(symtab.length), 64 + 32);
  sections.writeUInt32LE(2, 64 + 40);
  sections.writeBigUInt64LE(BigInt(at + symtab.length), 128 + 24);
  sections.writeBigUInt64LE(BigInt(names.length), 128 + 32);
  header.writeBigUInt64LE(BigInt(at + symtab.length + names.length), 40);
  return Buffer.concat([header, programs, ...bodies, symtab, names, sections]);
}

const loadInto = (image: Buffer) => {
  const ram = new Uint8Array(OPTIONS.memoryBytes);
  return { ram, ...load(ram, image, OPTIONS) };
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
    ['a dynamic executable', [{ address: RAM, data: [1], type: 3 }], /dynamic linker/],
  ])('refuses an image %s', (_name, segments, message) => {
    expect(() => loadInto(elf(segments as Seg[]))).toThrow(message);
    expect(() => loadInto(elf(segments as Seg[]))).toThrow(ImageError);
  });

  it('refuses other machines and classes, and says which', () => {
    const image = elf([{ address: RAM, data: [1] }]);
    const x86 = Buffer.from(image);
    x86.writeUInt16LE(62, 18);
    expect(() => parseElf(x86)).toThrow(/machine 62/);
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
