/**
 * What lies where: the memory map and interrupt numbers of QEMU 7.2's `virt` machine, as its device tree shows them
 * (`qemu-system-riscv64 -M virt,dumpdtb=FILE`), so that one image runs on both.
 */

export interface Region {
  readonly base: number;
  readonly bytes: number;
}

export const REGION = {
  bootRom: { base: 0x1000, bytes: 0xf000 },
  finisher: { base: 0x0010_0000, bytes: 0x1000 },
  rtc: { base: 0x0010_1000, bytes: 0x1000 },
  clint: { base: 0x0200_0000, bytes: 0x1_0000 },
  pciPio: { base: 0x0300_0000, bytes: 0x1_0000 },
  plic: { base: 0x0c00_0000, bytes: 0x60_0000 },
  uart: { base: 0x1000_0000, bytes: 0x100 },
  /** Eight windows of 4 KiB. */
  virtioMmio: { base: 0x1000_1000, bytes: 0x8000 },
  pciEcam: { base: 0x3000_0000, bytes: 0x1000_0000 },
  pciMmio: { base: 0x4000_0000, bytes: 0x4000_0000 },
} as const satisfies Record<string, Region>;

export const RAM_BASE = 0x8000_0000;

/** Every hart starts here, whatever an ELF file's entry says. */
export const ENTRY = RAM_BASE;

/** Interrupt sources of the PLIC. */
export const SOURCE = {
  /** Of the first window; the other seven follow. */
  virtioMmio: 1,
  uart: 10,
  rtc: 11,
  /** INTA; INTB to INTD follow. */
  pciIntA: 32,
} as const;

/** Of the sources that have a wire. */
export const SOURCE_NAMES: Readonly<Record<number, string>> = {
  ...Object.fromEntries(Array.from({ length: 8 }, (_, window) => [SOURCE.virtioMmio + window, `virtio_mmio${window}`])),
  [SOURCE.uart]: 'uart',
  [SOURCE.rtc]: 'rtc',
  ...Object.fromEntries(['a', 'b', 'c', 'd'].map((wire, index) => [SOURCE.pciIntA + index, `pci_int${wire}`])),
};

/** Sources are numbered 1 to 96. */
export const PLIC_SOURCES = 96;

/** Ticks of mtime a second. */
export const TIMEBASE_HZ = 10_000_000;

export const MAX_HARTS = 32;
