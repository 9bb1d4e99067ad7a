/** Builds IPv4 frames for the guest in one buffer that is used again and again. */
import { ETHERNET, FrameBuffer, IP, TYPE_IPV4, write16, write32 } from '../packet.js';
import { writeMac } from '../switch.js';
import { macOf } from './addresses.js';

const FRAME_BYTES = 2048;
/** Where the IP packet's payload starts. */
export const PAYLOAD_AT = ETHERNET.BYTES + IP.BYTES;
export const MTU = 1500;

export class FrameWriter {
  readonly frame = new FrameBuffer(new ArrayBuffer(FRAME_BYTES), 0, FRAME_BYTES);
  #id = 0;

  /** Ethernet and IPv4 header for `payloadBytes` (at most 1480) at PAYLOAD_AT. Answers the frame's length. */
  headers(toMac: number, fromIp: number, toIp: number, protocol: number, payloadBytes: number): number {
    const at = this.frame.bytes;
    writeMac(at, ETHERNET.TO, toMac);
    writeMac(at, ETHERNET.FROM, macOf(fromIp));
    write16(at, ETHERNET.TYPE, TYPE_IPV4);
    write16(at, IP.VERSION, 0x4500);
    write16(at, IP.LENGTH, IP.BYTES + payloadBytes);
    this.#id = (this.#id + 1) & 0xffff;
    write16(at, IP.ID, this.#id);
    write16(at, IP.FRAGMENT, 0);
    at[IP.TTL] = 64;
    at[IP.PROTOCOL] = protocol;
    write32(at, IP.FROM, fromIp);
    write32(at, IP.TO, toIp);
    this.frame.sealIp();
    return PAYLOAD_AT + payloadBytes;
  }

  /** The whole frame's bytes, copied: for later. */
  copy(bytes: number): Uint8Array {
    return this.frame.bytes.slice(0, bytes);
  }
}
