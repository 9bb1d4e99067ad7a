/** ELF files for tests, written from the specification and not from the reader. */

/** What a program header describes; `type` is PT_LOAD unless given. */
export interface Segment {
  address: number;
  data: number[];
  memory?: number;
  type?: number;
}

/** An ELF file of an RV64 executable by the gABI, field by field. type: ET_EXEC unless given. */
export function elf(segments: Segment[], symbols: Record<string, number> = {}, type = 2): Buffer {
  const names = Buffer.from(`\0${Object.keys(symbols).join('\0')}\0`);
  const symtab = Buffer.alloc(24 * (1 + Object.keys(symbols).length));
  Object.entries(symbols).forEach(([name, value], i) => {
    symtab.writeUInt32LE(names.indexOf(name), 24 * (i + 1));
    symtab.writeBigUInt64LE(BigInt(value), 24 * (i + 1) + 8);
  });
  const header = Buffer.alloc(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(type, 16);
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
