/**
 * Where a card gathers the packet of a row of descriptors: private memory, so that checks and corrections are made on bytes that the
 * guest can no longer change. One a thread and card; empty between packets.
 */
import type { GuestAddress, GuestRam } from '../device.js';

/** An IP datagram of 64 KiB with the longest headers around it. */
export const PACKET_MAX = 65_535 + 128;
const TAG_BYTES = 4;
const ADDRESSES_BYTES = 12;

export class PacketBuffer {
  /** The packet, without a VLAN tag of the card's; `length` bytes of it. */
  readonly bytes: Uint8Array;
  length = 0;
  /** Why the packet cannot be sent, if so. */
  fault: 'bus error' | 'too long' | undefined;
  /** The same memory with room for a tag before it. */
  readonly #space: Uint8Array;
  /** Guest memory that the packet is sent from as it is. */
  #borrowed: Uint8Array | undefined;

  constructor(bytes = PACKET_MAX) {
    this.#space = new Uint8Array(TAG_BYTES + bytes);
    this.bytes = this.#space.subarray(TAG_BYTES);
  }

  clear(): void {
    this.#borrowed = undefined;
    this.length = 0;
    this.fault = undefined;
  }

  /**
   * The whole packet, one fragment that no work is to be done on: it stays where it is, since the port takes its bytes once and
   * checks them itself, and copying out of shared memory is a third of what a packet costs.
   */
  borrow(ram: GuestRam, address: GuestAddress, bytes: number): void {
    this.#borrowed = ram.view(address, bytes);
    if (this.#borrowed === undefined) this.fault = 'bus error';
    else this.length = bytes;
  }

  /** The packet's first bytes, for counting: of a borrowed one the guest may have changed them. */
  get start(): Uint8Array {
    return this.#borrowed ?? this.bytes;
  }

  /** Another fragment, of `bytes` bytes. After a fault nothing more is read. */
  append(ram: GuestRam, address: GuestAddress, bytes: number): void {
    if (this.fault) return;
    if (this.length + bytes > this.bytes.length) this.fault = 'too long';
    else if (!ram.read(address, this.bytes.subarray(this.length, this.length + bytes))) this.fault = 'bus error';
    else this.length += bytes;
  }

  /**
   * Hands the frame on: buffer, offset and length. tag: 32 bits, type and content of an IEEE 802.1Q tag behind the addresses, or -1
   * (as for a borrowed packet).
   * The tag overwrites the end of the addresses' first copy, so a packet is sent once.
   */
  send(tag: number, to: (buffer: Uint8Array, offset: number, bytes: number) => void): void {
    if (this.#borrowed !== undefined) {
      to(this.#borrowed, 0, this.length);
      return;
    }
    if (tag === -1 || this.length < ADDRESSES_BYTES) {
      to(this.#space, TAG_BYTES, this.length);
      return;
    }
    this.#space.copyWithin(0, TAG_BYTES, TAG_BYTES + ADDRESSES_BYTES);
    for (let i = 0; i < TAG_BYTES; i++) this.#space[ADDRESSES_BYTES + i] = tag >>> (24 - 8 * i);
    to(this.#space, 0, this.length + TAG_BYTES);
  }
}
