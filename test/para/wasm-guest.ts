/**
 * Tiny guests, assembled here byte by byte (WebAssembly Core Specification 2.0, chapter 5): a module that imports the hypercall
 * and its memory, and does one hostile thing. No compiler is needed.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Unsigned LEB128 (5.2.2); also right for small positive signed numbers below 64. */
function leb(value: number): number[] {
  const out: number[] = [];
  do {
    const low = value & 127;
    value >>>= 7;
    out.push(value ? low | 128 : low);
  } while (value);
  return out;
}

/** Signed LEB128 of an i32. */
function sleb(value: number): number[] {
  const out: number[] = [];
  for (;;) {
    const low = value & 127;
    value >>= 7;
    if ((value === 0 && !(low & 64)) || (value === -1 && low & 64)) return [...out, low];
    out.push(low | 128);
  }
}

const name = (text: string): number[] => [...leb(text.length), ...Buffer.from(text)];
const vector = (items: number[][]): number[] => [...leb(items.length), ...items.flat()];
const section = (id: number, bytes: number[]): number[] => [id, ...leb(bytes.length), ...bytes];

/** Instructions (5.4). */
export const op = {
  unreachable: [0x00],
  end: [0x0b],
  drop: [0x1a],
  /** loop br 0 end: for ever, without a hypercall. */
  forever: [0x03, 0x40, 0x0c, 0x00, 0x0b],
  call: (index: number) => [0x10, ...leb(index)],
  i32: (value: number) => [0x41, ...sleb(value)],
  /** *(address) = value */
  store: (address: number, value: number) => [0x41, ...sleb(address), 0x41, ...sleb(value), 0x36, 2, 0],
  /** The result of a hypercall is dropped. */
  hypercall: (number: number, cmd: number, arg1 = 0, arg2 = 0) => [
    ...[number, cmd, arg1, arg2].flatMap((value) => [0x41, ...sleb(value)]),
    0x10,
    0,
    0x1a,
  ],
};

/** Index of para_start itself, for calls: import 0 is the hypercall. */
export const SELF = 1;

export interface GuestBody {
  /** Instructions of para_start. */
  start: number[];
  vcpuStart?: number[];
  /** Bytes at an address. */
  data?: { address: number; bytes: Uint8Array };
  /** A further import, of type () -> (). */
  extraImport?: [string, string];
  /** para_start is also the module's start function, which runs when it is instantiated. */
  startSection?: boolean;
  /** Exports nothing of that name. */
  without?: string;
}

export function assemble(body: GuestBody): Uint8Array<ArrayBuffer> {
  const types = [
    [0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f], // hypercall
    [0x60, 0, 0], // para_start
    [0x60, 1, 0x7f, 0], // para_vcpu_start
  ];
  const imports = [
    [...name('virtax'), ...name('hypercall'), 0x00, 0],
    [...name('env'), ...name('memory'), 0x02, 0x03, ...leb(1), ...leb(16384)], // shared, with a maximum
  ];
  if (body.extraImport) imports.push([...name(body.extraImport[0]), ...name(body.extraImport[1]), 0x00, 1]);
  const first = body.extraImport ? 2 : 1;
  const exports = [
    ['para_start', [0x00, ...leb(first)]],
    ['para_vcpu_start', [0x00, ...leb(first + 1)]],
    ['__stack_pointer', [0x03, 0]],
  ] as const;
  const code = [body.start, body.vcpuStart ?? []].map((instructions) => {
    const bytes = [0, ...instructions, 0x0b];
    return [...leb(bytes.length), ...bytes];
  });
  const data =
    body.data === undefined
      ? []
      : [[0, ...op.i32(body.data.address), 0x0b, ...leb(body.data.bytes.length), ...body.data.bytes]];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(types)),
    ...section(2, vector(imports)),
    ...section(3, vector([[1], [2]])),
    ...section(6, vector([[0x7f, 0x01, ...op.i32(4096), 0x0b]])),
    ...section(7, vector(exports.filter(([of]) => of !== body.without).map(([of, what]) => [...name(of), ...what]))),
    ...(body.startSection ? section(8, leb(first)) : []),
    ...section(10, vector(code)),
    ...section(11, vector(data)),
  ]);
}

/** Writes the module to a file of a new folder and returns its path. */
export function guestFile(body: GuestBody): string {
  const path = join(mkdtempSync(join(tmpdir(), 'virtax-guest-')), 'guest.wasm');
  writeFileSync(path, assemble(body));
  return path;
}

/** A write of `text` to the console; put it into `data` at the same address. */
export const say = (text: string, address = 8192): Pick<GuestBody, 'data'> & { write: number[] } => ({
  data: { address, bytes: Buffer.from(text) },
  write: op.hypercall(18, 0, text.length, address),
});
