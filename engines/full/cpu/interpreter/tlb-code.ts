import { TLB } from '../layout.js';
import { type I32, type I64, i32, i64 } from '../wasm/value.js';

/** Bytes from a TLB's start to the entry where the page of an address may be. */
const indexIn =
  (entries: number) =>
  (address: I64): I32 =>
    i32.and(i32.shrU(i32.wrap(address), i32.const(8)), i32.const((entries - 1) * TLB.entryBytes));

/** In the TLBs for loads and stores. */
export const dataIndex = indexIn(TLB.entries);
/** In that for fetches. */
export const executeIndex = indexIn(TLB.executeEntries);

/**
 * The page of an access's last byte. The entry it is compared with is that of the first one's page, and neighbours have
 * different ones: so accesses within a page hit, aligned or not, and those that reach into the next one never do.
 */
export const pageOfLast = (first: I64, bytes: number): I64 =>
  i64.and(bytes === 1 ? first : i64.add(first, i64.const(bytes - 1)), i64.const(-4096));
