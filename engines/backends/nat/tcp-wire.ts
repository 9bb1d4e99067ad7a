/** Segments to the guest: Ethernet, IPv4 and TCP headers around a piece of a stream (RFC 9293, 3.1). */
import { PROTOCOL_TCP, write16, write32 } from '../packet.js';
import type { SwitchPort } from '../switch.js';
import type { Outgoing } from '../tcp/endpoint.js';
import { FLAG, OPTION, type Segment, TCP } from '../tcp/segment.js';
import { type FrameWriter, MTU, PAYLOAD_AT } from './frame-writer.js';

/** Largest segment in a frame. */
export const WIRE_MSS = MTU - 20 - TCP.BYTES;

/** Both ends of a connection as its packets name them. */
export interface TcpEnds {
  guestMac: number;
  guestIp: number;
  guestPort: number;
  hostIp: number;
  hostPort: number;
}

/** Builds the frame of a segment in `writer`; its length. */
export function writeSegment(writer: FrameWriter, ends: TcpEnds, out: Outgoing): number {
  const optionBytes = out.mss > 0 ? 4 + (out.scale >= 0 ? 4 : 0) : 0;
  const headerBytes = TCP.BYTES + optionBytes;
  const total = headerBytes + out.dataBytes;
  const length = writer.headers(ends.guestMac, ends.hostIp, ends.guestIp, PROTOCOL_TCP, total);
  const at = writer.frame.bytes;
  write16(at, PAYLOAD_AT + TCP.FROM, ends.hostPort);
  write16(at, PAYLOAD_AT + TCP.TO, ends.guestPort);
  write32(at, PAYLOAD_AT + TCP.SEQ, out.seq);
  write32(at, PAYLOAD_AT + TCP.ACK, out.ack);
  at[PAYLOAD_AT + TCP.OFFSET] = (headerBytes / 4) << 4;
  at[PAYLOAD_AT + TCP.FLAGS] = out.flags;
  write16(at, PAYLOAD_AT + TCP.WINDOW, out.window);
  write32(at, PAYLOAD_AT + TCP.CHECKSUM, 0); // and the urgent pointer
  if (optionBytes > 0) writeOptions(at, PAYLOAD_AT + TCP.BYTES, out);
  out.data?.read(out.seq, at, PAYLOAD_AT + headerBytes, out.dataBytes);
  write16(at, PAYLOAD_AT + TCP.CHECKSUM, ~writer.frame.tcpSum(PAYLOAD_AT, total) & 0xffff);
  return length;
}

function writeOptions(at: Uint8Array, from: number, out: Outgoing): void {
  at[from] = OPTION.MSS;
  at[from + 1] = 4;
  write16(at, from + 2, out.mss);
  if (out.scale < 0) return;
  at[from + 4] = OPTION.NOP;
  at[from + 5] = OPTION.SCALE;
  at[from + 6] = 3;
  at[from + 7] = out.scale;
}

/** The reset for a segment that belongs to no connection (RFC 9293, 3.10.7.1); its frame's length. */
export function writeReset(writer: FrameWriter, ends: TcpEnds, segment: Segment): number {
  const acknowledges = (segment.flags & FLAG.ACK) !== 0;
  return writeSegment(writer, ends, {
    flags: acknowledges ? FLAG.RST : FLAG.RST | FLAG.ACK,
    seq: acknowledges ? segment.ack : 0,
    ack: acknowledges ? 0 : segment.seq + segment.length,
    window: 0,
    data: undefined,
    dataBytes: 0,
    mss: 0,
    scale: -1,
  });
}

/** Sends a segment at once; false: the card has no room for it. Not from within the card's transmit(). */
export const sendSegment = (writer: FrameWriter, port: SwitchPort, ends: TcpEnds, out: Outgoing): boolean =>
  port.transmit(writer.frame.bytes, 0, writeSegment(writer, ends, out));
