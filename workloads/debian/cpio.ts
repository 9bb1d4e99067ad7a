/** Writes cpio archives in the "newc" format (Linux: Documentation/driver-api/early-userspace/buffer-format.rst). */

export type CpioEntry =
  | { kind: 'file'; path: string; mode: number; data: Uint8Array }
  | { kind: 'directory'; path: string; mode: number }
  | { kind: 'symlink'; path: string; target: string }
  | { kind: 'character'; path: string; mode: number; major: number; minor: number };

const TYPE = { file: 0o100_000, directory: 0o040_000, symlink: 0o120_000, character: 0o020_000 } as const;
const TRAILER = 'TRAILER!!!';
const ALIGNMENT = 4;

/** An archive in which everything belongs to root. Paths have no `/` in front; a folder stands before what is in it. */
export function cpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  entries.forEach((entry, index) => {
    parts.push(...member(entry, index + 1));
  });
  parts.push(...record(TRAILER, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], Buffer.alloc(0)));
  return Buffer.concat(parts);
}

function member(entry: CpioEntry, inode: number): Buffer[] {
  const data = contents(entry);
  const permissions = entry.kind === 'symlink' ? 0o777 : entry.mode;
  const [major, minor] = entry.kind === 'character' ? [entry.major, entry.minor] : [0, 0];
  const links = entry.kind === 'directory' ? 2 : 1;
  const fields = [inode, TYPE[entry.kind] | permissions, 0, 0, links, 0, data.length, 0, 0, major, minor];
  return record(entry.path, fields, data);
}

function contents(entry: CpioEntry): Uint8Array {
  if (entry.kind === 'file') return entry.data;
  return entry.kind === 'symlink' ? Buffer.from(entry.target) : Buffer.alloc(0);
}

/** fields: c_ino to c_rdevminor; the size of the name and a checksum of 0 follow. */
function record(path: string, fields: number[], data: Uint8Array): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const numbers = [...fields, name.length, 0].map((field) => field.toString(16).padStart(8, '0'));
  const head = Buffer.concat([Buffer.from(`070701${numbers.join('')}`), name]);
  return [head, padding(head.length), Buffer.from(data.buffer, data.byteOffset, data.length), padding(data.length)];
}

const padding = (bytes: number): Buffer => Buffer.alloc((ALIGNMENT - (bytes % ALIGNMENT)) % ALIGNMENT);
