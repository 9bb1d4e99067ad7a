/**
 * Which devices a configuration asks for, beyond those that every machine has (machine.ts): one line of TABLE each, with
 * its place, the bytes of its shared state and its constructor. Layout, attachment and device tree all follow from here. Models are
 * imported as a whole: a linked program runs the modules of those alone that its machine has (process/program/link.ts).
 */
import type { NetPort } from '../../backends/net-port.js';
import type { VirtioExtra, VirtioTransport, VmConfig, VmDisk } from '../config.js';
import type { BlockPort, Device, DeviceContext, Resettable } from '../devices/device.js';
import * as e1000 from '../devices/net/e1000.js';
import * as rtl8139 from '../devices/net/rtl8139.js';
import * as rtl8169 from '../devices/net/rtl8169.js';
import type { PciDevice, PciDeviceContext } from '../devices/pci/pci-function.js';
import * as lsi53c895a from '../devices/scsi/lsi53c895a.js';
import * as virtioBalloon from '../devices/virtio/balloon.js';
import * as virtioBlk from '../devices/virtio/blk.js';
import * as virtioConsole from '../devices/virtio/console.js';
import type { VirtioContext, VirtioModel } from '../devices/virtio/core.js';
import * as virtioMmio from '../devices/virtio/mmio.js';
import { VIRTIO_MMIO_WINDOWS } from '../devices/virtio/mmio-bank.js';
import * as virtioNet from '../devices/virtio/net.js';
import * as virtioPci from '../devices/virtio/pci.js';
import * as virtioRng from '../devices/virtio/rng.js';

/** The host side of a machine's devices, as the calling thread reaches it. On the main thread it does no I/O. */
export interface HostSide {
  readonly config: VmConfig;
  /** Of the network card: locally administered, QEMU's for the first machine. */
  readonly mac: Uint8Array;
  readonly network: NetPort;
  /** The machine's console, for devices beside the UART. */
  readonly console: virtioConsole.ConsolePort;
  /** By index in config.disks. */
  disk(index: number): BlockPort;
}

/** A device as a machine has it: every thread builds an instance over the same state. */
interface Planned {
  /** Names the device's state: unique in a machine. */
  readonly name: string;
  readonly stateBytes: number;
}

export interface PlannedPci extends Planned {
  readonly bus: 'pci';
  /** 1 to 31. */
  readonly slot: number;
  build(context: PciDeviceContext, host: HostSide): PciDevice & Resettable;
}

export interface PlannedVirtioMmio extends Planned {
  readonly bus: 'virtio-mmio';
  /** Window and interrupt: memory-map.ts, VIRTIO_MMIO. 0 to 7. */
  readonly window: number;
  build(context: DeviceContext, host: HostSide): Device & Resettable;
}

export type PlannedDevice = PlannedPci | PlannedVirtioMmio;

/** PCI slots: a device has the same one in every machine, whatever else is there. Virtio disk n: firstVirtioDisk + n. */
export const SLOT = {
  nic: 1,
  scsi: 2,
  virtioRng: 3,
  virtioBalloon: 4,
  virtioConsole: 5,
  firstVirtioDisk: 8,
} as const;

const scsiCount = (config: VmConfig): number => config.disks.filter((disk) => disk.interface === 'scsi').length;
const hasScsi = (config: VmConfig): boolean => scsiCount(config) > 0;
const scsiDisks = (host: HostSide) =>
  host.config.disks.flatMap((disk, index) =>
    disk.interface === 'scsi' ? [{ port: host.disk(index), readonly: disk.readonly, media: disk.media }] : [],
  );

/** The same for the windows of virtio over MMIO, where all of a machine's virtio devices are there. */
const WINDOW = { nic: 0, rng: 1, balloon: 2, console: 3, firstVirtioDisk: 4 } as const;

/** A PCI device that is there or not. */
function pci(
  name: string,
  slot: number,
  stateBytes: (config: VmConfig) => number,
  wanted: (config: VmConfig) => boolean,
  build: PlannedPci['build'],
): (config: VmConfig) => PlannedDevice[] {
  return (config) => (wanted(config) ? [{ bus: 'pci', name, slot, stateBytes: stateBytes(config), build }] : []);
}

interface VirtioPlace extends Planned {
  slot: number;
  window: number;
  /** Absent: what the configuration says of all. */
  transport?: VirtioTransport;
}

/** A virtio device on its transport. */
function virtio(
  config: VmConfig,
  place: VirtioPlace,
  model: (context: VirtioContext, host: HostSide) => VirtioModel,
): PlannedDevice {
  const { window, slot, transport = config.virtioTransport, ...named } = place;
  if (transport !== 'mmio') {
    return { bus: 'pci', slot, ...named, build: (context, host) => new virtioPci.VirtioPci(model(context, host)) };
  }
  if (window >= VIRTIO_MMIO_WINDOWS) throw new DeviceUnavailable(`no virtio-mmio window is left for ${place.name}`);
  const build = (context: DeviceContext, host: HostSide) =>
    new virtioMmio.VirtioMmio(model(context, host), context.irq);
  return { bus: 'virtio-mmio', window, ...named, build };
}

function virtioExtras(config: VmConfig): PlannedDevice[] {
  return (config.virtioExtras ?? []).flatMap((which) => EXTRAS[which]?.(config) ?? []);
}

const EXTRAS: Record<VirtioExtra, (config: VmConfig) => PlannedDevice> = {
  rng: (config) => {
    const place = {
      name: 'virtio-rng',
      slot: SLOT.virtioRng,
      window: WINDOW.rng,
      stateBytes: virtioRng.VIRTIO_RNG_STATE_BYTES,
    };
    return virtio(config, place, (context) => new virtioRng.VirtioRng(context));
  },
  balloon: (config) => {
    const stateBytes = virtioBalloon.virtioBalloonStateBytes(config.memoryBytes);
    const place = { name: 'virtio-balloon', slot: SLOT.virtioBalloon, window: WINDOW.balloon, stateBytes };
    return virtio(config, place, (context) => new virtioBalloon.VirtioBalloon(context));
  },
  console: (config) => {
    const stateBytes = virtioConsole.VIRTIO_CONSOLE_STATE_BYTES;
    const place = { name: 'virtio-console', slot: SLOT.virtioConsole, window: WINDOW.console, stateBytes };
    return virtio(config, place, (context, host) => new virtioConsole.VirtioConsole(context, host.console));
  },
};

function virtioNics(config: VmConfig): PlannedDevice[] {
  if (config.nic?.model !== 'virtio') return [];
  const { harts } = config;
  const place = {
    name: 'virtio-net',
    slot: SLOT.nic,
    window: WINDOW.nic,
    stateBytes: virtioNet.virtioNetStateBytes(harts),
  };
  return [virtio(config, place, (context, host) => new virtioNet.VirtioNet(context, host.network, host.mac, harts))];
}

const isVirtio = (disk: VmDisk): boolean => disk.interface === 'virtio' || disk.interface === 'virtio-mmio';

/**
 * Disks of if=virtio-mmio take the first windows, in their order, for guests that look for their disk in the first one
 * (QEMU's bus=virtio-mmio-bus.0); where other devices have windows too, they come behind those.
 */
function virtioDisks(config: VmConfig): PlannedDevice[] {
  const firstWindow = config.virtioTransport === 'mmio' ? WINDOW.firstVirtioDisk : 0;
  const over = { pci: 0, mmio: 0 };
  const disks = config.disks.flatMap((disk, index) => (isVirtio(disk) ? [{ disk, index }] : []));
  return disks.map(({ disk, index }, n) => {
    const transport = disk.interface === 'virtio-mmio' ? 'mmio' : (config.virtioTransport ?? 'pci');
    const nth = over[transport]++;
    const place = {
      name: `virtio-blk${n}`,
      slot: SLOT.firstVirtioDisk + nth,
      window: firstWindow + nth,
      transport,
      stateBytes: virtioBlk.virtioBlkStateBytes(config.harts),
    };
    const options = { queues: config.harts, readonly: disk.readonly, serial: `virtax-disk${n}` };
    return virtio(
      config,
      place,
      (context, host) => new virtioBlk.VirtioBlk(context, host.disk(index), options, place.name),
    );
  });
}

const TABLE: readonly ((config: VmConfig) => PlannedDevice[])[] = [
  pci(
    'rtl8139',
    SLOT.nic,
    () => rtl8139.RTL8139_STATE_BYTES,
    (config) => config.nic?.model === 'rtl8139',
    (context, host) => new rtl8139.Rtl8139(context, host.network, host.mac),
  ),
  pci(
    'rtl8169',
    SLOT.nic,
    () => rtl8169.RTL8169_STATE_BYTES,
    (config) => config.nic?.model === 'rtl8169',
    (context, host) => new rtl8169.Rtl8169(context, host.network, host.mac),
  ),
  pci(
    'e1000',
    SLOT.nic,
    () => e1000.E1000_STATE_BYTES,
    (config) => config.nic?.model === 'e1000',
    (context, host) => new e1000.E1000(context, host.network, host.mac),
  ),
  pci(
    'lsi53c895a',
    SLOT.scsi,
    (config) => lsi53c895a.lsiStateBytes(scsiCount(config)),
    hasScsi,
    (context, host) => new lsi53c895a.Lsi53c895a(context, scsiDisks(host)),
  ),
  virtioNics,
  virtioExtras,
  virtioDisks,
];

/** The configuration asks for what this machine does not have: a sentence for the user. */
export class DeviceUnavailable extends Error {
  override readonly name = 'DeviceUnavailable';
}

/** The devices of a machine, in the order of the table. Throws DeviceUnavailable for one that no line of it makes. */
export function plannedDevices(config: VmConfig): PlannedDevice[] {
  const devices = TABLE.flatMap((plan) => plan(config));
  const names = new Set(devices.map((device) => device.name));
  for (const name of wantedNames(config)) {
    if (!names.has(name)) throw new DeviceUnavailable(`this machine has no ${name}`);
  }
  return devices;
}

/** What the configuration names must be there: a line missing in the table is not passed over in silence. */
function wantedNames(config: VmConfig): string[] {
  const { nic, disks, virtioExtras = [] } = config;
  return [
    ...(nic === undefined ? [] : [nic.model === 'virtio' ? 'virtio-net' : nic.model]),
    ...(hasScsi(config) ? ['lsi53c895a'] : []),
    ...disks.filter(isVirtio).map((_, n) => `virtio-blk${n}`),
    ...virtioExtras.map((name) => `virtio-${name}`),
  ];
}
