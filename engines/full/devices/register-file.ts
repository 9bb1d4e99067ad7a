/**
 * Registers of one, two and four bytes side by side in a card's window, as Realtek's cards have them: a driver may write any part
 * of one, or several at once.
 */
import type { AccessSize } from './device.js';

export interface Register {
  readonly base: number;
  readonly bytes: number;
  /** Bits that a plain write keeps; registers with effects of their own look again. */
  readonly writable: number;
  /** The write is ignored while the configuration is locked. */
  readonly locked?: boolean;
}

/** By the offset of each byte of the window; undefined where the datasheet reserves. */
export const byOffset = (table: readonly Register[], bytes: number): readonly (Register | undefined)[] =>
  Array.from({ length: bytes }, (_, offset) => table.find((r) => offset >= r.base && offset < r.base + r.bytes));

export interface RegisterWrite {
  register: Register;
  /** The register with the writable bits replaced. */
  merged: number;
  /** Only the writable bits that were written. */
  written: number;
  /** As the guest wrote them, zero in the bytes that it did not write. */
  raw: number;
}

export class RegisterFile {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;

  /** at: first byte in the buffer, a multiple of 4. bytes: of the window, a multiple of 4. */
  constructor(
    private readonly table: readonly (Register | undefined)[],
    buffer: SharedArrayBuffer,
    at: number,
    bytes: number,
  ) {
    this.u8 = new Uint8Array(buffer, at, bytes);
    this.u16 = new Uint16Array(buffer, at, bytes / 2);
    this.u32 = new Uint32Array(buffer, at, bytes / 4);
  }

  load(register: Register): number {
    if (register.bytes === 4) return this.u32[register.base >> 2];
    return register.bytes === 2 ? this.u16[register.base >> 1] : this.u8[register.base];
  }

  store(register: Register, value: number): void {
    if (register.bytes === 4) this.u32[register.base >> 2] = value;
    else if (register.bytes === 2) this.u16[register.base >> 1] = value;
    else this.u8[register.base] = value;
  }

  /** Cuts an access into registers. effect: called for each; locked: whether locked registers ignore it just now. */
  write(
    offset: number,
    size: AccessSize,
    value: number,
    locked: () => boolean,
    effect: (write: RegisterWrite) => void,
  ): void {
    let at = offset;
    while (at < offset + size) {
      const register = this.table[at];
      const next = register ? Math.min(register.base + register.bytes, offset + size) : at + 1;
      if (register && !(register.locked && locked())) {
        effect(this.#part(register, at - register.base, next - at, value >>> ((at - offset) * 8)));
      }
      at = next;
    }
  }

  /** `bytes` bytes of value, written from the byte `from` of the register on; the others stay (or are 0 for write-1-to-clear). */
  #part(register: Register, from: number, bytes: number, value: number): RegisterWrite {
    const mask = (bytes === 4 ? -1 : (1 << (bytes * 8)) - 1) << (from * 8);
    const raw = (value << (from * 8)) & mask;
    const written = raw & register.writable;
    const merged = (this.load(register) & ~(mask & register.writable)) | written;
    return { register, merged: merged >>> 0, written: written >>> 0, raw };
  }
}
