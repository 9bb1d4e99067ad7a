/** A NetPort that keeps what is sent and delivers what the test gives it. */
import type { FrameHandler, NetPort } from '#engines/backends/net-port.js';

export class FakePort implements NetPort {
  readonly name = 'fake';
  readonly counters = { txFrames: 0, txBytes: 0, txDropped: 0, rxFrames: 0, rxBytes: 0, rxDropped: 0 };
  readonly sent: Uint8Array[] = [];
  deliver: FrameHandler = () => false;

  transmit(buffer: Uint8Array, offset = 0, bytes = buffer.length): boolean {
    this.sent.push(buffer.slice(offset, offset + bytes));
    return true;
  }
  flush(): void {}
  onReceive(handler: FrameHandler): void {
    this.deliver = handler;
  }
}
