/**
 * The command line of a machine under QEMU: `virt` with the devices that `full` has, started as `full` starts its guest
 * (`-bios none`: in M-mode at 0x8000_0000). Nothing that QEMU would add by default, and no option that makes it slower or
 * faster than a user gets it: the translator with a thread a vCPU, O_DIRECT and asynchronous I/O where the host has them.
 */
import { guestAppend, type MachineConfig } from '../engine.js';

/** Which device models the disk and the network card are. */
export type DeviceSet = 'emulated' | 'virtio';

/** QEMU's ways to do file I/O, best first: io_uring is what the other engines use. `threads` is a pool of its own. */
export const AIO_METHODS = ['io_uring', 'native', 'threads'] as const;
export type Aio = (typeof AIO_METHODS)[number];

export interface CommandLine {
  /** The project's own guest, where the machine's configuration names no other. */
  image: string;
  /** UDP port on 127.0.0.1 that the guest's serial port sends to. */
  consolePort: number;
  devices: DeviceSet;
  aio: Aio;
}

const DISK: Record<DeviceSet, string[]> = {
  emulated: ['-device', 'lsi53c895a,id=scsi0', '-device', 'scsi-hd,bus=scsi0.0,drive=disk0'],
  virtio: ['-device', 'virtio-blk-pci,disable-legacy=on,drive=disk0'],
};
/** Without option ROMs: nobody boots from the network here, and the files come in packages of their own. */
const CARD: Record<DeviceSet, string> = {
  emulated: 'rtl8139,romfile=',
  virtio: 'virtio-net-pci,disable-legacy=on,romfile=',
};

/** Names of the device models, for the results. */
export function deviceModels(devices: DeviceSet): string {
  return devices === 'virtio' ? 'virtio-blk-pci, virtio-net-pci (no legacy)' : 'lsi53c895a with scsi-hd, rtl8139';
}

/** Arguments for a machine. */
export function qemuArguments(config: MachineConfig, { image, consolePort, devices, aio }: CommandLine): string[] {
  const { vcpus, memoryBytes, disk, peer } = config;
  return [
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-monitor', 'none'],
    ...['-M', 'virt', '-accel', 'tcg,thread=multi', '-smp', String(vcpus), '-m', `${memoryBytes}B`],
    ...firmware(config, image),
    ...['-chardev', `udp,id=console,host=127.0.0.1,port=${consolePort},localaddr=127.0.0.1,localport=0,ipv4=on`],
    ...['-serial', 'chardev:console'],
    ...(disk === undefined ? [] : ['-drive', driveOption(disk, aio), ...DISK[devices]]),
    ...(peer === undefined ? [] : ['-netdev', 'user,id=net0', '-device', `${CARD[devices]},netdev=net0`]),
  ];
}

function firmware({ guest, disk }: MachineConfig, image: string): string[] {
  if (guest === undefined) return ['-bios', 'none', '-kernel', image];
  const { bios, kernel, initrd } = guest;
  return ['-bios', bios, '-kernel', kernel, '-initrd', initrd, '-append', guestAppend(guest, disk !== undefined)];
}

/** cache=none is O_DIRECT with a write cache that the guest flushes; cache=writeback the same through the page cache. */
function driveOption({ path, direct }: { path: string; direct: boolean }, aio: Aio): string {
  // All engines of a run have the same file; their samples never overlap, which QEMU's lock cannot know.
  // A comma in a file name is written twice (qemu(1), "-drive").
  return `if=none,id=disk0,format=raw,file=${path.replaceAll(',', ',,')},file.locking=off,cache=${direct ? 'none' : 'writeback'},aio=${aio}`;
}

/** How the disk is read and written, as the other engines say it. */
export function blockFact(aio: Aio, direct: boolean): string {
  const how = { io_uring: 'io_uring', native: 'Linux AIO', threads: 'worker threads' }[aio];
  return `${how}, ${direct ? 'O_DIRECT' : 'buffered'}`;
}
