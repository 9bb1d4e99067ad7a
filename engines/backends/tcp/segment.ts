/** TCP segments in frames (RFC 9293, 3.1; window scale: RFC 7323, 2). */
import { read16, read32 } from '../packet.js';

export const TCP = {
  FROM: 0,
  TO: 2,
  SEQ: 4,
  ACK: 8,
  OFFSET: 12,
  FLAGS: 13,
  WINDOW: 14,
  CHECKSUM: 16,
  URGENT: 18,
  BYTES: 20,
} as const;

export const FLAG = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16 } as const;
export const OPTION = { END: 0, NOP: 1, MSS: 2, SCALE: 3 } as const;
/** RFC 9293, 3.7.1: where the peer says nothing. */
export const DEFAULT_MSS = 536;
/** RFC 7323, 2.3: larger ones count as this. */
const SCALE_MAX = 14;

/** One received segment, in a buffer that is another's. Used again for each segment. */
export class Segment {
  flags = 0;
  seq = 0;
  ack = 0;
  /** As it stands in the header. */
  window = 0;
  /** The peer's options; only a SYN's count. scale: -1 where there is none. */
  mss = DEFAULT_MSS;
  scale = -1;
  bytes: Uint8Array = new Uint8Array(0);
  dataAt = 0;
  dataBytes = 0;

  /** Sequence numbers that it takes. */
  get length(): number {
    return this.dataBytes + (this.flags & FLAG.SYN ? 1 : 0) + (this.flags & FLAG.FIN ? 1 : 0);
  }

  /** Reads a segment of `total` bytes at `tcpAt`, whose checksum is right; false when its lengths contradict each other. */
  parse(bytes: Uint8Array, tcpAt: number, total: number): boolean {
    if (total < TCP.BYTES) return false;
    const headerBytes = (bytes[tcpAt + TCP.OFFSET] >>> 4) * 4;
    if (headerBytes < TCP.BYTES || headerBytes > total) return false;
    this.flags = bytes[tcpAt + TCP.FLAGS];
    this.seq = read32(bytes, tcpAt + TCP.SEQ);
    this.ack = read32(bytes, tcpAt + TCP.ACK);
    this.window = read16(bytes, tcpAt + TCP.WINDOW);
    this.bytes = bytes;
    this.dataAt = tcpAt + headerBytes;
    this.dataBytes = total - headerBytes;
    this.mss = DEFAULT_MSS;
    this.scale = -1;
    return (this.flags & FLAG.SYN) === 0 || this.#options(tcpAt + TCP.BYTES, this.dataAt);
  }

  #options(from: number, end: number): boolean {
    const { bytes } = this;
    let at = from;
    while (at < end && bytes[at] !== OPTION.END) {
      if (bytes[at] === OPTION.NOP) {
        at++;
        continue;
      }
      const length = at + 1 < end ? bytes[at + 1] : 0;
      if (length < 2 || at + length > end) return false;
      if (bytes[at] === OPTION.MSS && length === 4) this.mss = read16(bytes, at + 2);
      if (bytes[at] === OPTION.SCALE && length === 3) this.scale = Math.min(bytes[at + 2], SCALE_MAX);
      at += length;
    }
    return true;
  }
}
