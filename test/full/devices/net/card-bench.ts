/** A PciBench with a network card in it, on a wire that keeps what is sent. */
import type { NetPort } from '#engines/backends/net-port.js';
import type { AccessSize } from '#engines/full/devices/device.js';
import type { PciDevice, PciDeviceContext } from '#engines/full/devices/pci/pci-function.js';
import { PciBench } from '../pci/pci-bench.js';
import { FakePort } from './fake-port.js';
import { MAC } from './packets.js';

const REGS = 0x4000_0000;

type Card = PciDevice & { reset(): void };

export class CardBench<C extends Card> extends PciBench {
  readonly port = new FakePort();
  readonly card: C;

  /** bar: the one of its registers. */
  constructor(Model: new (context: PciDeviceContext, port: NetPort, mac: Uint8Array) => C, bar: number) {
    super();
    this.card = new Model(this.context(), this.port, Uint8Array.from(MAC));
    this.plug(this.card, { [bar]: REGS });
  }
  set(register: number, value: number, size: AccessSize = 4): void {
    this.write(REGS + register, value, size);
  }
  get(register: number, size: AccessSize = 4): number {
    return this.read(REGS + register, size);
  }
  word(address: number): number {
    const [a, b, c, d] = this.peek(address, 4);
    return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
  }
  /** A frame on the wire: whether the card took it. */
  arrive(frame: number[]): boolean {
    return this.port.handler(Uint8Array.from(frame));
  }
}
