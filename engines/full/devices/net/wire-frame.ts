/** A received frame as it lies on the wire, where a card takes it from: padded to the least length, with its FCS behind it. */
import { crc32 } from 'node:zlib';
import { FRAME_MAX } from '../../../backends/net-port.js';

/** IEEE 802.3, 3.2.8: 64 bytes with the FCS. */
export const WIRE_MIN = 60;
export const FCS_BYTES = 4;
const ADDRESSES_BYTES = 12;
const TAG_BYTES = 4;

/** Scratch space for one frame; the view that image() gives is good until the next call. */
export class WireFrame {
  readonly #bytes = new Uint8Array(FRAME_MAX + FCS_BYTES);

  /** frame: 14 to FRAME_MAX bytes. withoutTag: its VLAN tag is cut out, once the FCS has been taken. */
  image(frame: Uint8Array, withoutTag: boolean, withFcs = true): Uint8Array {
    const bytes = this.#bytes;
    const length = Math.max(WIRE_MIN, frame.length);
    bytes.set(frame);
    bytes.fill(0, frame.length, length);
    const fcs = withFcs ? crc32(bytes.subarray(0, length)) : 0;
    const end = withoutTag ? length - TAG_BYTES : length;
    if (withoutTag) bytes.copyWithin(ADDRESSES_BYTES, ADDRESSES_BYTES + TAG_BYTES, length);
    if (!withFcs) return bytes.subarray(0, end);
    for (let i = 0; i < FCS_BYTES; i++) bytes[end + i] = fcs >>> (8 * i);
    return bytes.subarray(0, end + FCS_BYTES);
  }
}
