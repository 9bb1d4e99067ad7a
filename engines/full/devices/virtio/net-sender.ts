/** Frames that leave by the network device, with what the driver left to it: checksums and segmentation (virtio 1.2, 5.1.6.2). */
import { FRAME_MAX, type NetPort } from '../../../backends/net-port.js';
import { findIp, insertChecksum, PROTOCOL, pseudoHeader } from '../net/internet-checksum.js';
import { sendLarge } from '../net/large-send.js';
import { PACKET_MAX } from '../net/packet-buffer.js';
import type { Chain } from './chain.js';
import { GSO, HDR, HDR_F } from './net-spec.js';

const TCP_HEADER_MIN = 20;

/** Of one thread. */
export class PacketSender {
  /** Private, so that what was checked stays so. */
  readonly #packet = new Uint8Array(HDR.BYTES + PACKET_MAX);
  readonly #header = new DataView(this.#packet.buffer, 0, HDR.BYTES);
  readonly #frame = this.#packet.subarray(HDR.BYTES);
  readonly #segment = new Uint8Array(FRAME_MAX);

  constructor(private readonly port: NetPort) {}

  /** The bytes are taken. Frames that the network does not take are dropped. False: the chain holds no header. */
  send(chain: Chain): boolean {
    if (chain.readableBytes < HDR.BYTES) return false;
    const at = chain.offset[0];
    const { all } = chain;
    // The usual case, at once from guest memory: in one piece, and nothing to do. Both bytes are read once.
    const plain = chain.readable === 1 && all[at + HDR.FLAGS] === 0 && all[at + HDR.GSO_TYPE] === GSO.NONE;
    if (plain) this.port.transmit(all, at + HDR.BYTES, chain.readableBytes - HDR.BYTES);
    else this.#sendGathered(chain);
    return true;
  }

  #sendGathered(chain: Chain): void {
    if (chain.readableBytes > this.#packet.length) return;
    const bytes = chain.copyOut(0, this.#packet) - HDR.BYTES;
    const type = this.#header.getUint8(HDR.GSO_TYPE) & ~GSO.ECN;
    if (type === GSO.TCPV4 || type === GSO.TCPV6) {
      this.#sendSegments(bytes);
    } else if (type === GSO.NONE) {
      if (this.#header.getUint8(HDR.FLAGS) & HDR_F.NEEDS_CSUM) this.#insertChecksum(bytes);
      this.port.transmit(this.#frame, 0, bytes);
    }
  }

  /** The driver has put the pseudo header's sum where the checksum goes. */
  #insertChecksum(bytes: number): void {
    const start = this.#header.getUint16(HDR.CSUM_START, true);
    insertChecksum(this.#frame, bytes, start, start + this.#header.getUint16(HDR.CSUM_OFFSET, true), bytes);
  }

  /** The headers are found by looking, since hdr_len is a hint and cannot be trusted. */
  #sendSegments(bytes: number): void {
    const frame = this.#frame;
    const ip = findIp(frame, bytes, true);
    if (ip === undefined || ip.protocol !== PROTOCOL.TCP || ip.l4 + TCP_HEADER_MIN > bytes) return;
    const header = ip.l4 + (frame[ip.l4 + 12] >> 4) * 4;
    const mss = this.#header.getUint16(HDR.GSO_SIZE, true);
    const send = { l3: ip.l3, l4: ip.l4, header, mss, udp: false, pseudo: pseudoHeader(frame, ip) };
    sendLarge(frame, bytes, send, this.#segment, (length) => this.port.transmit(this.#segment, 0, length));
  }
}
