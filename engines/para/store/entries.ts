/**
 * The table of a domain's part of the store: entries of fixed size in the hypervisor's memory, searched one after the other (a few
 * dozen, at most STORE_ENTRIES). Who changes it holds the part's lock. An entry, in bytes:
 *
 *     0 path's length (0: free)   1 owner   2-3 value's length   4 transaction that it belongs to (0: committed)
 *     5 1: removed in that transaction   6 what all others may   8-15 four times: domain, what it may   16 hash of the path
 *     24 path   152 value
 */
import { PARA_STORE_PERMS } from '../abi.js';
import { type HypervisorMemory, STORE_ENTRIES, STORE_ENTRY_BYTES } from '../hypervisor-memory.js';

export const OWNER_TOOLSTACK = 0;
export const OWNER_DOMAIN = 1;
/** What somebody may do with an entry. */
export const MAY_READ = 1;
export const MAY_WRITE = 2;

/** What others may do; a domain 0 in `some` ends the list. */
export interface Permissions {
  all: number;
  some: { domain: number; may: number }[];
}

/** Byte offset of an entry in the hypervisor's memory; -1: none. */
export type Entry = number;
export const NO_ENTRY: Entry = -1;

const VALUE_LENGTH = 2;
const TRANSACTION = 4;
const REMOVED = 5;
const ALL = 6;
const SOME = 8;
const HASH = 16;
const PATH = 24;
const VALUE = 152;

export class EntryTable {
  private readonly start: number;
  private readonly end: number;

  constructor(
    private readonly hv: HypervisorMemory,
    domain: number,
  ) {
    this.start = hv.storeByte(domain);
    this.end = this.start + STORE_ENTRIES * STORE_ENTRY_BYTES;
  }

  /** Every entry in use. */
  *all(): Generator<Entry> {
    for (let at = this.start; at < this.end; at += STORE_ENTRY_BYTES) if (this.hv.u8[at] !== 0) yield at;
  }

  /** The entry of this very transaction (0: the committed one). */
  find(path: string, transaction: number): Entry {
    const { u8, i32 } = this.hv;
    const hash = hashOf(path);
    for (let at = this.start; at < this.end; at += STORE_ENTRY_BYTES) {
      if (u8[at] !== path.length || i32[(at + HASH) >> 2] !== hash || u8[at + TRANSACTION] !== transaction) continue;
      if (this.path(at) === path) return at;
    }
    return NO_ENTRY;
  }

  /** A new entry without a value; NO_ENTRY when the table is full. */
  create(path: string, owner: number, transaction: number): Entry {
    const { u8 } = this.hv;
    for (let at = this.start; at < this.end; at += STORE_ENTRY_BYTES) {
      if (u8[at] !== 0) continue;
      u8.fill(0, at, at + STORE_ENTRY_BYTES);
      u8[at] = path.length;
      u8[at + 1] = owner;
      u8[at + TRANSACTION] = transaction;
      this.hv.i32[(at + HASH) >> 2] = hashOf(path);
      this.write(at + PATH, path);
      return at;
    }
    return NO_ENTRY;
  }

  free(at: Entry): void {
    this.hv.u8[at] = 0;
  }

  path(at: Entry): string {
    return this.text(at + PATH, this.hv.u8[at]);
  }

  owner(at: Entry): number {
    return this.hv.u8[at + 1];
  }

  value(at: Entry): string {
    return this.text(at + VALUE, this.hv.u8[at + VALUE_LENGTH] | (this.hv.u8[at + VALUE_LENGTH + 1] << 8));
  }

  setValue(at: Entry, value: string): void {
    this.hv.u8[at + VALUE_LENGTH] = value.length & 255;
    this.hv.u8[at + VALUE_LENGTH + 1] = value.length >> 8;
    this.write(at + VALUE, value);
  }

  transaction(at: Entry): number {
    return this.hv.u8[at + TRANSACTION];
  }

  setTransaction(at: Entry, transaction: number): void {
    this.hv.u8[at + TRANSACTION] = transaction;
  }

  removed(at: Entry): boolean {
    return this.hv.u8[at + REMOVED] !== 0;
  }

  setRemoved(at: Entry, removed: boolean): void {
    this.hv.u8[at + REMOVED] = Number(removed);
  }

  permissions(at: Entry): Permissions {
    const { u8 } = this.hv;
    const some = [];
    for (let n = at + SOME; n < at + SOME + 2 * PARA_STORE_PERMS && u8[n] !== 0; n += 2) {
      some.push({ domain: u8[n], may: u8[n + 1] });
    }
    return { all: u8[at + ALL], some };
  }

  setPermissions(at: Entry, { all, some }: Permissions): void {
    const { u8 } = this.hv;
    u8[at + ALL] = all;
    u8.fill(0, at + SOME, at + SOME + 2 * PARA_STORE_PERMS);
    some.slice(0, PARA_STORE_PERMS).forEach(({ domain, may }, n) => void u8.set([domain, may], at + SOME + 2 * n));
  }

  private text(at: number, length: number): string {
    return String.fromCharCode(...this.hv.u8.subarray(at, at + length));
  }

  private write(at: number, text: string): void {
    for (let n = 0; n < text.length; n++) this.hv.u8[at + n] = text.charCodeAt(n);
  }
}

/** FNV-1a, 32 bits. */
function hashOf(path: string): number {
  let hash = 0x811c9dc5;
  for (let n = 0; n < path.length; n++) hash = Math.imul(hash ^ path.charCodeAt(n), 0x01000193);
  return hash;
}
