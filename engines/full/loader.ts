/** Puts an image and the device tree into RAM, where QEMU's `virt -bios none -kernel` puts them. */
import { deviceTree, type TreeOptions } from './device-tree.js';
import { ImageError, isElf, parseElf, type Segment } from './elf.js';
import { encodeFdt } from './fdt.js';
import { RAM_BASE } from './memory-map.js';

/** Every hart starts here, whatever an ELF file's entry says. */
export const ENTRY = RAM_BASE;

const MIB = 2 ** 20;
/** QEMU keeps the tree below 3 GiB, so that 32-bit code can reach it, and on a border of 2 MiB. */
const FDT_LIMIT = 3072 * MIB;
const FDT_ALIGNMENT = 2 * MIB;

export interface Loaded {
  fdtAddress: number;
  tohost?: number;
}

/** Fills RAM (zero before). Throws an ImageError when the image does not fit. */
export function load(ram: Uint8Array, image: Uint8Array, tree: TreeOptions): Loaded {
  const elf = isElf(image) ? parseElf(image) : undefined;
  const segments = elf?.segments ?? [{ address: RAM_BASE, data: image, memoryBytes: image.length }];
  const fdt = encodeFdt(deviceTree(tree));
  const fdtAddress = placeFdt(ram.length, fdt.length);
  for (const segment of segments) place(ram, segment, fdtAddress, fdt.length);
  if (!segments.some((s) => s.address <= ENTRY && ENTRY < s.address + s.data.length)) {
    throw new ImageError(`nothing of the image lies at ${hex(ENTRY)}, where the machine starts`);
  }
  ram.set(fdt, fdtAddress - RAM_BASE);
  checkTohost(ram, elf?.tohost);
  return elf?.tohost === undefined ? { fdtAddress } : { fdtAddress, tohost: elf.tohost };
}

function checkTohost(ram: Uint8Array, address: number | undefined): void {
  if (address === undefined) return;
  if (address < RAM_BASE || address + 8 > RAM_BASE + ram.length || address % 8 !== 0) {
    throw new ImageError(`the image's symbol tohost is at ${hex(address)}: not an aligned address in memory`);
  }
}

/** Where the device tree goes: as high as it can. */
export function placeFdt(ramBytes: number, fdtBytes: number): number {
  const top = Math.min(RAM_BASE + ramBytes, FDT_LIMIT);
  const address = Math.floor((top - fdtBytes) / FDT_ALIGNMENT) * FDT_ALIGNMENT;
  if (address < RAM_BASE) throw new ImageError(`${ramBytes} bytes of memory have no room for a device tree`);
  return address;
}

function place(ram: Uint8Array, segment: Segment, fdtAddress: number, fdtBytes: number): void {
  const { address, data, memoryBytes } = segment;
  const end = address + memoryBytes;
  if (address < RAM_BASE || end > RAM_BASE + ram.length) {
    const range = `${hex(RAM_BASE)} to ${hex(RAM_BASE + ram.length)}`;
    throw new ImageError(
      `the image wants memory from ${hex(address)} to ${hex(end)}; the machine has it from ${range}`,
    );
  }
  if (address < fdtAddress + fdtBytes && fdtAddress < end) {
    throw new ImageError(
      `the image covers ${hex(fdtAddress)}, where the device tree goes: give the machine more memory`,
    );
  }
  ram.set(data, address - RAM_BASE);
}

const hex = (value: number): string => `0x${value.toString(16)}`;
