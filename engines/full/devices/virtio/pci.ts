/**
 * A virtio device on the PCI bus (virtio 1.2, 4.1), not transitional. One memory BAR holds the four structures, where QEMU's
 * modern devices have them; capabilities say so. INTx only: `virt` without AIA has no message-signalled interrupts.
 */
import type { AccessSize, Device } from '../device.js';
import type { PciBar, PciCapability, PciDevice, PciIdentity, PciPort } from '../pci/pci-function.js';
import { CommonConfig } from './common-config.js';
import type { VirtioModel } from './core.js';
import { TYPE } from './spec.js';
import { VirtioTransport } from './transport.js';

const BAR = 4;
const PART_BYTES = 0x1000;
const BAR_BYTES = 4 * PART_BYTES;
/** Which page of the BAR, and what it is called in a capability (4.1.4, cfg_type). */
const PART = { COMMON: 0, ISR: 1, DEVICE: 2, NOTIFY: 3 } as const;
const CFG_TYPE = { COMMON: 1, NOTIFY: 2, ISR: 3, DEVICE: 4, PCI: 5 } as const;
/** A queue's doorbell is at its number times this. */
const NOTIFY_MULTIPLIER = 4;

const VENDOR = 0x1af4;
/** Not transitional: 0x1040 plus the device type (4.1.2.1). */
const FIRST_DEVICE = 0x1040;
const VENDOR_SPECIFIC = 0x09;
/** Classes of the PCI code and ID assignment specification, as QEMU's devices have them. */
const CLASS: Record<number, number> = { [TYPE.NET]: 0x020000, [TYPE.BLOCK]: 0x010000, [TYPE.CONSOLE]: 0x078000 };
const OTHER_CLASS = 0x00ff00;

const le32 = (value: number): number[] => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
/** struct virtio_pci_cap without its first two bytes: its length, type, BAR, id, padding, place in the BAR. */
const location = (type: number, part: number, bytes: number, extra: number[] = []): number[] => [
  ...[16 + extra.length, type, type === CFG_TYPE.PCI ? 0 : BAR, 0, 0, 0],
  ...le32(part * PART_BYTES),
  ...le32(bytes),
  ...extra,
];
/* In the body of a capability. */
const BODY = { BAR: 2, OFFSET: 6, LENGTH: 10, DATA: 14 } as const;

export class VirtioPci extends VirtioTransport implements PciDevice {
  readonly identity: PciIdentity;
  readonly bars: readonly (PciBar | undefined)[];
  readonly capabilities: readonly PciCapability[];
  readonly #common: CommonConfig;
  readonly #window: Device;

  constructor(model: VirtioModel) {
    super(model, 'pci');
    this.#common = new CommonConfig(model.core);
    const { type } = model.core.traits;
    this.identity = {
      vendor: VENDOR,
      device: FIRST_DEVICE + type,
      revision: 1,
      classCode: CLASS[type] ?? OTHER_CLASS,
      subsystemVendor: VENDOR,
      subsystem: 0x1100,
      interruptPin: 1,
    };
    this.#window = {
      name: this.name,
      read: (offset, size) => this.#read(offset, size),
      write: (offset, size, value) => this.#write(offset, size, value),
    };
    this.bars = [
      undefined,
      undefined,
      undefined,
      undefined,
      { kind: 'memory', bytes: BAR_BYTES, window: this.#window },
    ];
    this.capabilities = this.#capabilities();
  }

  connect(port: PciPort): void {
    this.core.connect(
      (level) => port.irq(level),
      () => port.busMaster(),
    );
  }

  #read(offset: number, size: AccessSize): number {
    const at = offset % PART_BYTES;
    switch (Math.floor(offset / PART_BYTES)) {
      case PART.COMMON:
        return this.#common.read(at, size);
      case PART.ISR:
        return at === 0 ? this.core.takeInterrupts() : 0;
      case PART.DEVICE:
        return this.core.readConfig(at, size);
      default:
        return 0;
    }
  }

  #write(offset: number, size: AccessSize, value: number): void {
    const at = offset % PART_BYTES;
    switch (Math.floor(offset / PART_BYTES)) {
      case PART.NOTIFY:
        if (at % NOTIFY_MULTIPLIER === 0) this.core.notify(at / NOTIFY_MULTIPLIER);
        return;
      case PART.COMMON:
        this.#common.write(at, size, value);
        return;
      case PART.DEVICE:
        this.core.writeConfig(at, size, value);
        return;
    }
  }

  #capabilities(): PciCapability[] {
    const { traits, queues } = this.core;
    const notifyBytes = queues.length * NOTIFY_MULTIPLIER;
    const bodies = [
      location(CFG_TYPE.COMMON, PART.COMMON, CommonConfig.BYTES),
      location(CFG_TYPE.ISR, PART.ISR, 1),
      ...(traits.configBytes > 0 ? [location(CFG_TYPE.DEVICE, PART.DEVICE, traits.configBytes)] : []),
      location(CFG_TYPE.NOTIFY, PART.NOTIFY, notifyBytes, le32(NOTIFY_MULTIPLIER)),
    ];
    const access: PciCapability = {
      id: VENDOR_SPECIFIC,
      body: location(CFG_TYPE.PCI, 0, 0, le32(0)),
      writable: [BODY.BAR, BODY.DATA],
      port: {
        at: BODY.DATA,
        read: (body) => this.#accessThroughConfig(body, undefined),
        write: (body, value) => {
          this.#accessThroughConfig(body, value);
        },
      },
    };
    return [...bodies.map((body): PciCapability => ({ id: VENDOR_SPECIFIC, body })), access];
  }

  /** 4.1.4.9: the BAR, reached through configuration space. What does not name 1, 2 or 4 aligned bytes of it does nothing. */
  #accessThroughConfig(body: Uint8Array, value: number | undefined): number {
    const word = (at: number) => (body[at] | (body[at + 1] << 8) | (body[at + 2] << 16) | (body[at + 3] << 24)) >>> 0;
    const offset = word(BODY.OFFSET);
    const size = word(BODY.LENGTH);
    const legal = size === 1 || size === 2 || size === 4;
    if (!legal || body[BODY.BAR] !== BAR || offset % size !== 0 || offset + size > BAR_BYTES) return 0;
    if (value === undefined) return this.#window.read(offset, size);
    this.#window.write(offset, size, size === 4 ? value : value % 2 ** (8 * size));
    return 0;
  }
}
