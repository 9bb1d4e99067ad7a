/**
 * Puts firmware, kernel, initial RAM disk and device tree into RAM, where QEMU 7.2's `virt` puts them:
 * firmware (or, with none, the kernel) at the start of RAM, a kernel behind firmware on the next border of 2 MiB,
 * the RAM disk half of RAM or 128 MiB behind the kernel, the device tree as high as it can.
 */

import { ENTRY, RAM_BASE } from '../memory-map.js';
import { deviceTree, type TreeOptions } from './device-tree.js';
import { type ElfImage, ImageError, isElf, parseElf, type Segment } from './elf.js';
import { encodeFdt } from './fdt.js';

const MIB = 2 ** 20;
const KERNEL_ALIGNMENT = 2 * MIB;
const INITRD_DISTANCE = 128 * MIB;
/** QEMU keeps the tree below 3 GiB, so that 32-bit code can reach it, and on a border of 2 MiB. */
const FDT_LIMIT = 3072 * MIB;
const FDT_ALIGNMENT = 2 * MIB;

/** Contents of the files that a configuration names. */
export interface Images {
  bios?: Uint8Array;
  kernel?: Uint8Array;
  initrd?: Uint8Array;
}

export interface Loaded {
  fdtAddress: number;
  /** Where firmware goes on; 0 without a kernel. */
  kernelEntry: number;
  tohost?: number;
}

/** Fills RAM (what no image covers stays as it is). Throws an ImageError when something does not fit. */
export function load(ram: Uint8Array, images: Images, tree: Omit<TreeOptions, 'initrd'>): Loaded {
  const used = new UsedMemory(ram);
  const first = images.bios ?? images.kernel;
  if (first === undefined) throw new ImageError('nothing to start: neither firmware nor a kernel is given');
  const bios = images.bios && used.image('the firmware', images.bios, RAM_BASE);
  const kernelAt = roundUp(bios?.end ?? RAM_BASE, KERNEL_ALIGNMENT);
  const kernel = images.kernel && used.image('the kernel', images.kernel, kernelAt);
  if (!used.covers(ENTRY)) {
    const [what, mend] = bios === undefined ? ['kernel', ', or start it by firmware (--bios)'] : ['firmware', ''];
    throw new ImageError(
      `nothing of the ${what} lies at ${hex(ENTRY)}, where the machine starts: link it there${mend}`,
    );
  }
  const kernelEntry = kernel?.start ?? 0;
  const initrd = images.initrd && used.initrd(images.initrd, kernel?.start, ram.length);
  const fdt = encodeFdt(deviceTree(initrd === undefined ? tree : { ...tree, initrd }));
  const fdtAddress = placeFdt(ram.length, fdt.length);
  used.put('the device tree', { address: fdtAddress, data: fdt, memoryBytes: fdt.length });
  const tohost = (kernel ?? bios)?.tohost;
  checkTohost(ram, tohost);
  return tohost === undefined ? { fdtAddress, kernelEntry } : { fdtAddress, kernelEntry, tohost };
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

interface Range {
  start: number;
  end: number;
}

/** RAM, and what of it is taken by what. */
class UsedMemory {
  readonly #taken: (Range & { what: string })[] = [];

  constructor(private readonly ram: Uint8Array) {}

  /** An ELF image where its segments say, a raw one at `rawAddress`. */
  image(what: string, file: Uint8Array, rawAddress: number): Range & { tohost?: number } {
    const elf = isElf(file) ? elfOf(what, file) : undefined;
    const segments = (elf && notBelowRam(elf.segments)) ?? [
      { address: rawAddress, data: file, memoryBytes: file.length },
    ];
    for (const segment of segments) this.put(what, segment);
    const start = Math.min(...segments.map((s) => s.address));
    const end = Math.max(...segments.map((s) => s.address + s.memoryBytes));
    return elf?.tohost === undefined ? { start, end } : { start, end, tohost: elf.tohost };
  }

  initrd(file: Uint8Array, kernel: number | undefined, ramBytes: number): Range {
    if (kernel === undefined) throw new ImageError('an initial RAM disk is for a kernel, and none is given');
    const start = kernel + Math.min(Math.floor(ramBytes / 2), INITRD_DISTANCE);
    this.put('the initial RAM disk', { address: start, data: file, memoryBytes: file.length });
    return { start, end: start + file.length };
  }

  /** Whether bytes of a file, and not only zeroes, lie at an address. */
  covers(address: number): boolean {
    return this.#taken.some(({ start, end }) => start <= address && address < end);
  }

  put(what: string, segment: Segment): void {
    const { address: start, data, memoryBytes } = segment;
    const end = start + memoryBytes;
    if (start < RAM_BASE || end > RAM_BASE + this.ram.length) {
      const range = `${hex(RAM_BASE)} to ${hex(RAM_BASE + this.ram.length)}`;
      const mend = start < RAM_BASE ? 'link it to lie there' : 'give it more memory';
      throw new ImageError(
        `${what} wants memory from ${hex(start)} to ${hex(end)}; the machine has it from ${range}: ${mend}`,
      );
    }
    const other = this.#taken.find((t) => t.what !== what && start < t.end && t.start < end);
    if (other !== undefined) {
      throw new ImageError(
        `${what} (${hex(start)} to ${hex(end)}) lies upon ${other.what}: give the machine more memory`,
      );
    }
    const at = start - RAM_BASE;
    this.ram.set(data, at);
    this.ram.fill(0, at + data.length, at + memoryBytes);
    this.#taken.push({ what, start, end });
  }
}

/**
 * Without what lies below RAM, unless all does: linkers put the file's headers there when code is to lie at RAM's start
 * (`ld -Ttext=0x80000000`), and on QEMU they go nowhere.
 */
function notBelowRam(segments: readonly Segment[]): readonly Segment[] {
  const within = segments.filter(({ address, memoryBytes }) => address + memoryBytes > RAM_BASE);
  return within.length === 0 ? segments : within.map(cutAtRam);
}

function cutAtRam(segment: Segment): Segment {
  const { address, data, memoryBytes } = segment;
  const below = RAM_BASE - address;
  if (below <= 0) return segment;
  return { address: RAM_BASE, data: data.subarray(Math.min(below, data.length)), memoryBytes: memoryBytes - below };
}

function elfOf(what: string, file: Uint8Array): ElfImage {
  try {
    return parseElf(file);
  } catch (error) {
    if (error instanceof ImageError) throw new ImageError(`${what}: ${error.message}`);
    throw error;
  }
}

const roundUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit;
const hex = (value: number): string => `0x${value.toString(16)}`;
