/**
 * A domain's console: two rings in the hypervisor's memory. Output is a stream of records, so that a doorbell keeps its place
 * among the bytes and cannot be forged by writing some; input is plain bytes.
 *
 *     record  word: kind << 24 | payload bytes, then the payload, padded to 8 bytes (the word has 4 bytes of padding)
 *
 * Writers are vCPU threads, under the console's lock; the reader is the main thread. Counters run freely over 32 bits.
 */
import { Lock } from '../backends/lock.js';
import { CONSOLE, CONSOLE_IN_BYTES, CONSOLE_OUT_BYTES, DOM, type HypervisorMemory } from './hypervisor-memory.js';

export const RECORD_TEXT = 1;
/** Payload: Float64: which, nanoseconds, CPU seconds, counters… */
export const RECORD_DOORBELL = 2;
const RECORD_HEADER = 8;
const ALIGN = 8;

export interface ConsoleRecord {
  kind: number;
  payload: Uint8Array;
}

const padded = (bytes: number): number => RECORD_HEADER + Math.ceil(bytes / ALIGN) * ALIGN;

/** Appends a record: all of it, or nothing and false when there is no room. */
export function consoleAppend(hv: HypervisorMemory, domain: number, kind: number, payload: Uint8Array): boolean {
  const { i32 } = hv;
  const lock = new Lock(hv.i32, hv.domainWord(domain) + DOM.consoleLock);
  const ring = hv.consoleOutWord(domain);
  lock.acquire();
  const produced = i32[ring + CONSOLE.produced];
  const used = (produced - Atomics.load(i32, ring + CONSOLE.consumed)) >>> 0;
  const fits = used + padded(payload.length) <= CONSOLE_OUT_BYTES;
  if (fits) {
    const start = (ring + CONSOLE.data) * 4;
    i32[(start + ((produced >>> 0) % CONSOLE_OUT_BYTES)) / 4] = (kind << 24) | payload.length;
    copyIn(hv.u8, start, CONSOLE_OUT_BYTES, produced + RECORD_HEADER, payload);
    Atomics.store(i32, ring + CONSOLE.produced, (produced + padded(payload.length)) | 0);
  }
  lock.release();
  return fits;
}

/** Whether the main thread must be told of new output: it has not been since it last looked. */
export function consoleNeedsNotice(hv: HypervisorMemory, domain: number): boolean {
  return Atomics.exchange(hv.i32, hv.domainWord(domain) + DOM.consoleFlag, 1) === 0;
}

/** By the main thread: takes records until there are none, or `bytes` of them or more. */
export function consoleDrain(hv: HypervisorMemory, domain: number, bytes = Number.POSITIVE_INFINITY): ConsoleRecord[] {
  const { i32 } = hv;
  Atomics.store(i32, hv.domainWord(domain) + DOM.consoleFlag, 0);
  const ring = hv.consoleOutWord(domain);
  const start = (ring + CONSOLE.data) * 4;
  const records: ConsoleRecord[] = [];
  let consumed = i32[ring + CONSOLE.consumed];
  let left = bytes;
  while (left > 0 && Atomics.load(i32, ring + CONSOLE.produced) !== consumed) {
    const header = i32[(start + ((consumed >>> 0) % CONSOLE_OUT_BYTES)) / 4];
    const size = header & 0xffffff;
    const payload = copyOut(hv.u8, start, CONSOLE_OUT_BYTES, consumed + RECORD_HEADER, size);
    records.push({ kind: header >>> 24, payload });
    left -= size;
    consumed = (consumed + padded(size)) | 0;
    Atomics.store(i32, ring + CONSOLE.consumed, consumed);
  }
  return records;
}

/** By the main thread: bytes for the guest. Returns how many were taken. */
export function consoleFeed(hv: HypervisorMemory, domain: number, bytes: Uint8Array): number {
  const { i32 } = hv;
  const ring = hv.consoleInWord(domain);
  const produced = i32[ring + CONSOLE.produced];
  const room = CONSOLE_IN_BYTES - ((produced - Atomics.load(i32, ring + CONSOLE.consumed)) >>> 0);
  const taken = bytes.subarray(0, room);
  copyIn(hv.u8, (ring + CONSOLE.data) * 4, CONSOLE_IN_BYTES, produced, taken);
  Atomics.store(i32, ring + CONSOLE.produced, (produced + taken.length) | 0);
  return taken.length;
}

/** By a vCPU: at most `most` bytes of input. */
export function consoleTake(hv: HypervisorMemory, domain: number, most: number): Uint8Array {
  const { i32 } = hv;
  const lock = new Lock(hv.i32, hv.domainWord(domain) + DOM.consoleLock);
  const ring = hv.consoleInWord(domain);
  lock.acquire();
  const consumed = i32[ring + CONSOLE.consumed];
  const there = (Atomics.load(i32, ring + CONSOLE.produced) - consumed) >>> 0;
  const bytes = copyOut(hv.u8, (ring + CONSOLE.data) * 4, CONSOLE_IN_BYTES, consumed, Math.min(there, most));
  Atomics.store(i32, ring + CONSOLE.consumed, (consumed + bytes.length) | 0);
  lock.release();
  return bytes;
}

function copyIn(u8: Uint8Array, start: number, size: number, counter: number, bytes: Uint8Array): void {
  const at = (counter >>> 0) % size;
  const first = Math.min(bytes.length, size - at);
  u8.set(bytes.subarray(0, first), start + at);
  u8.set(bytes.subarray(first), start);
}

function copyOut(u8: Uint8Array, start: number, size: number, counter: number, bytes: number): Uint8Array {
  const at = (counter >>> 0) % size;
  const first = Math.min(bytes, size - at);
  const out = new Uint8Array(bytes);
  out.set(u8.subarray(start + at, start + at + first));
  out.set(u8.subarray(start, start + bytes - first), first);
  return out;
}
