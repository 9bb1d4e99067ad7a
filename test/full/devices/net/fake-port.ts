/** A network port that keeps what is sent, for tests of cards. */
import type { FrameHandler, NetPort } from '#engines/backends/net-port.js';

export class FakePort implements NetPort {
  readonly name = 'fake';
  readonly sent: number[][] = [];
  flushes = 0;
  handler: FrameHandler = () => false;
  /** A switch that answers from within transmit(). */
  answer: Uint8Array | undefined;
  /** Another hart, that does something while a frame is on its way. */
  meanwhile: () => void = () => {};
  readonly counters = { txFrames: 0, txBytes: 0, txDropped: 0, rxFrames: 0, rxBytes: 0, rxDropped: 0 };
  transmit(buffer: Uint8Array, offset = 0, bytes = buffer.length): boolean {
    this.sent.push(Array.from(buffer.subarray(offset, offset + bytes)));
    this.meanwhile();
    if (this.answer) this.handler(this.answer);
    return true;
  }
  flush(): void {
    this.flushes++;
  }
  onReceive(handler: FrameHandler): void {
    this.handler = handler;
  }
}
