/**
 * ELF images for RV64 (System V gABI chapters 4 and 5; RISC-V psABI for e_machine): the segments to load, and the
 * address of the symbol `tohost`. Everything is checked; an image that does not fit throws an ImageError that says why.
 *
 * A position-independent image (ET_DYN, as firmware and kernels that relocate themselves are) is put where its program
 * headers say, and no relocation is done, as QEMU's loader does it; a dynamic linker that it names (compilers do so unless
 * told) is nobody's business here.
 */

/** The image cannot be loaded: what is wrong with it, in words for the user. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
}

export interface Segment {
  /** Guest-physical address. */
  address: number;
  /** Bytes from the file; those behind them up to memoryBytes are zero. */
  data: Uint8Array;
  memoryBytes: number;
}

export interface ElfImage {
  segments: Segment[];
  entry: number;
  /** Address of the symbol `tohost`, through which test programs end (HTIF). */
  tohost?: number;
}

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const SECTION_HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const TYPE_EXECUTABLE = 2;
const TYPE_DYNAMIC = 3;
const MACHINE_RISCV = 243;
const PT_LOAD = 1;
const SHT_SYMTAB = 2;

export const isElf = (file: Uint8Array): boolean =>
  file.length >= 4 && file[0] === 0x7f && file[1] === 0x45 && file[2] === 0x4c && file[3] === 0x46;

/** Parses an image; the segments' data are views on `file`. */
export function parseElf(file: Uint8Array): ElfImage {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  checkHeader(file, view);
  const segments = programSegments(file, view);
  if (segments.length === 0) throw new ImageError('the ELF image has no segment to load');
  const tohost = findSymbol(file, view, 'tohost');
  return { segments, entry: word64(view, 24, 'entry'), ...(tohost === undefined ? {} : { tohost }) };
}

/** Those that people mix up with ours (gABI's registry of e_machine). */
const machineName = (machine: number): string =>
  ({ 3: 'x86', 40: 'ARM', 62: 'x86-64', 183: 'AArch64', 258: 'LoongArch' })[machine] ?? `machine ${machine}`;

function checkHeader(file: Uint8Array, view: DataView): void {
  if (!isElf(file)) throw new ImageError('not an ELF image');
  if (file.length < HEADER_BYTES) throw new ImageError(`the ELF image ends inside its header (${file.length} bytes)`);
  if (file[4] !== CLASS_64 || file[5] !== LITTLE_ENDIAN) {
    throw new ImageError('the ELF image is not 64-bit little-endian: this machine is RV64');
  }
  const machine = view.getUint16(18, true);
  if (machine !== MACHINE_RISCV) throw new ImageError(`the ELF image is for ${machineName(machine)}, not for RISC-V`);
  const type = view.getUint16(16, true);
  if (type !== TYPE_EXECUTABLE && type !== TYPE_DYNAMIC) {
    throw new ImageError(
      `the ELF image is of type ${type}, neither an executable (2) nor a position-independent one (3)`,
    );
  }
}

function programSegments(file: Uint8Array, view: DataView): Segment[] {
  const at = word64(view, 32, 'program header offset');
  const size = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  if (count > 0 && size !== PROGRAM_HEADER_BYTES) throw new ImageError(`ELF program headers of ${size} bytes`);
  need(file, at, size * count, 'program headers');
  const segments: Segment[] = [];
  for (let i = 0; i < count; i++) {
    const segment = programSegment(file, view, at + i * size);
    if (segment !== undefined) segments.push(segment);
  }
  return segments;
}

function programSegment(file: Uint8Array, view: DataView, at: number): Segment | undefined {
  const type = view.getUint32(at, true);
  if (type !== PT_LOAD) return undefined;
  const offset = word64(view, at + 8, 'segment offset');
  const address = word64(view, at + 24, 'physical address');
  const fileBytes = word64(view, at + 32, 'segment size');
  const memoryBytes = word64(view, at + 40, 'segment size');
  if (memoryBytes === 0) return undefined;
  if (fileBytes > memoryBytes)
    throw new ImageError(`an ELF segment has ${fileBytes} bytes for ${memoryBytes} of memory`);
  need(file, offset, fileBytes, 'a segment');
  return { address, data: file.subarray(offset, offset + fileBytes), memoryBytes };
}

/** A stripped or damaged symbol table is no error: the machine can do without. */
function findSymbol(file: Uint8Array, view: DataView, name: string): number | undefined {
  const at = Number(view.getBigUint64(40, true));
  const size = view.getUint16(58, true);
  const count = view.getUint16(60, true);
  if (size !== SECTION_HEADER_BYTES || at + size * count > file.length) return undefined;
  for (let i = 0; i < count; i++) {
    const section = at + i * size;
    if (view.getUint32(section + 4, true) !== SHT_SYMTAB) continue;
    const link = view.getUint32(section + 40, true);
    if (link >= count) return undefined;
    return findInTable(file, view, section, at + link * size, name);
  }
  return undefined;
}

function findInTable(
  file: Uint8Array,
  view: DataView,
  table: number,
  strings: number,
  name: string,
): number | undefined {
  const [at, bytes] = sectionRange(view, table);
  const [namesAt, namesBytes] = sectionRange(view, strings);
  if (at + bytes > file.length || namesAt + namesBytes > file.length) return undefined;
  const wanted = Buffer.from(`${name}\0`, 'latin1');
  for (let symbol = at; symbol + SYMBOL_BYTES <= at + bytes; symbol += SYMBOL_BYTES) {
    const text = namesAt + view.getUint32(symbol, true);
    if (text + wanted.length > namesAt + namesBytes) continue;
    if (wanted.equals(file.subarray(text, text + wanted.length))) return Number(view.getBigUint64(symbol + 8, true));
  }
  return undefined;
}

const sectionRange = (view: DataView, header: number): [number, number] => [
  Number(view.getBigUint64(header + 24, true)),
  Number(view.getBigUint64(header + 32, true)),
];

function word64(view: DataView, at: number, what: string): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw new ImageError(`the ELF image's ${what} is 0x${value.toString(16)}`);
  return Number(value);
}

function need(file: Uint8Array, at: number, bytes: number, what: string): void {
  if (at + bytes > file.length) {
    throw new ImageError(`the ELF image is cut off: ${what} at ${at} of ${bytes} bytes, the file has ${file.length}`);
  }
}
