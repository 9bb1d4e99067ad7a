/** What a dynamically linked ELF file of 64 bits needs (System V ABI, "Dynamic Section"). */

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;
const PROGRAM_HEADER_BYTES = 56;
const DYNAMIC_BYTES = 16;

export interface ElfNeeds {
  /** Path of the dynamic loader; undefined for a library or a static program. */
  interpreter: string | undefined;
  /** Sonames. */
  libraries: string[];
}

interface Segment {
  type: number;
  offset: number;
  address: bigint;
  bytes: number;
}

/** Undefined when the file is no ELF of this kind. @throws RangeError when it is damaged */
export function elfNeeds(file: Buffer): ElfNeeds | undefined {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) return undefined;
  const segments = segmentsOf(file);
  const interpreter = segments.find(({ type }) => type === PT_INTERP);
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  return {
    interpreter: interpreter && text(file, interpreter.offset),
    libraries: dynamic === undefined ? [] : librariesOf(file, dynamic, segments),
  };
}

function segmentsOf(file: Buffer): Segment[] {
  const table = Number(file.readBigUInt64LE(32));
  return Array.from({ length: file.readUInt16LE(56) }, (_, i) => {
    const at = table + i * PROGRAM_HEADER_BYTES;
    return {
      type: file.readUInt32LE(at),
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: file.readBigUInt64LE(at + 16),
      bytes: Number(file.readBigUInt64LE(at + 32)),
    };
  });
}

function librariesOf(file: Buffer, dynamic: Segment, segments: Segment[]): string[] {
  const entries = Array.from({ length: Math.floor(dynamic.bytes / DYNAMIC_BYTES) }, (_, i) => {
    const at = dynamic.offset + i * DYNAMIC_BYTES;
    return { tag: file.readBigInt64LE(at), value: file.readBigUInt64LE(at + 8) };
  });
  const strings = entries.find(({ tag }) => tag === DT_STRTAB)?.value;
  const segment = segments.find(
    ({ type, address, bytes }) =>
      type === PT_LOAD && strings !== undefined && strings >= address && strings < address + BigInt(bytes),
  );
  if (strings === undefined || segment === undefined) return [];
  const table = segment.offset + Number(strings - segment.address);
  return entries.filter(({ tag }) => tag === DT_NEEDED).map(({ value }) => text(file, table + Number(value)));
}

function text(file: Buffer, at: number): string {
  return file.toString('latin1', at, file.indexOf(0, at));
}
