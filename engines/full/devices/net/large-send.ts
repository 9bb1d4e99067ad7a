/**
 * Segmentation of one large TCP (or UDP) packet into frames, which drivers leave to the card ("TSO", "large send"): the headers
 * are repeated and corrected, the payload is cut. RFC 9293 for TCP's fields; the rules for the flags are those of Intel's 8254x
 * manual, 3.5.8: FIN and PSH go with the last segment only; CWR (RFC 3168, 6.1.2) with the first.
 */
import { addUp, putChecksum } from './internet-checksum.js';

/** Packets of 64 KiB in segments of 48 bytes, Linux's least: a hostile MSS must not make one doorbell endless. */
const SEGMENTS_MAX = 1366;
const FIN_PSH = 0x09;
const CWR = 0x80;

export interface LargeSend {
  /** Offsets of the IP header and of the transport header. */
  l3: number;
  l4: number;
  /** All headers together, bytes. */
  header: number;
  /** Payload of each segment but the last, bytes. */
  mss: number;
  udp: boolean;
  /** Sum of the pseudo header without its length. */
  pseudo: number;
}

/**
 * Calls emit(bytes) for each segment, which then lies in out. frame: the large packet, `bytes` long. Answers the number of
 * segments; 0: the packet makes no sense (headers that do not fit, too many segments) and nothing was emitted.
 */
export function sendLarge(
  frame: Uint8Array,
  bytes: number,
  send: LargeSend,
  out: Uint8Array,
  emit: (bytes: number) => void,
): number {
  const payload = bytes - send.header;
  const least = send.l4 + (send.udp ? 8 : 20);
  if (payload < 0 || send.header < least || send.l4 < send.l3 + 20 || send.header + send.mss > out.length) return 0;
  if (!(send.mss > 0) || payload > send.mss * SEGMENTS_MAX) return 0;
  const version = frame[send.l3] >> 4;
  if ((version !== 4 && version !== 6) || (version === 6 && send.l4 < send.l3 + 40)) return 0;
  const count = Math.max(1, Math.ceil(payload / send.mss));
  for (let n = 0; n < count; n++) {
    const from = send.header + n * send.mss;
    const to = Math.min(bytes, from + send.mss);
    out.set(frame.subarray(0, send.header));
    out.set(frame.subarray(from, to), send.header);
    const length = send.header + to - from;
    if (send.udp) putWord(out, send.l4 + 4, length - send.l4);
    else correctTcp(frame, out, send, n, n === count - 1);
    correctIp(frame, out, send, n, length, version);
    correctTransportChecksum(out, send, length);
    emit(length);
  }
  return count;
}

function correctTcp(frame: Uint8Array, out: Uint8Array, send: LargeSend, n: number, last: boolean): void {
  const at = send.l4 + 4;
  const first = ((frame[at] << 24) | (frame[at + 1] << 16) | (frame[at + 2] << 8) | frame[at + 3]) >>> 0;
  const sequence = (first + n * send.mss) >>> 0;
  putWord(out, at, sequence >>> 16);
  putWord(out, at + 2, sequence);
  let flags = frame[send.l4 + 13];
  if (!last) flags &= ~FIN_PSH;
  if (n > 0) flags &= ~CWR;
  out[send.l4 + 13] = flags;
}

function correctIp(
  frame: Uint8Array,
  out: Uint8Array,
  send: LargeSend,
  n: number,
  length: number,
  version: number,
): void {
  const { l3, l4 } = send;
  if (version === 6) {
    putWord(out, l3 + 4, length - l3 - 40);
    return;
  }
  putWord(out, l3 + 2, length - l3);
  putWord(out, l3 + 4, ((frame[l3 + 4] << 8) | frame[l3 + 5]) + n);
  putWord(out, l3 + 10, 0);
  putChecksum(out, l3 + 10, addUp(out, l3, l4));
}

function correctTransportChecksum(out: Uint8Array, send: LargeSend, length: number): void {
  const at = send.l4 + (send.udp ? 6 : 16);
  putWord(out, at, 0);
  putChecksum(out, at, addUp(out, send.l4, length, send.pseudo + (length - send.l4)), send.udp);
}

/** The low 16 bits, big-endian. */
function putWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
}
