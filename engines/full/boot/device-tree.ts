/**
 * The device tree of the machine: node for node what QEMU 7.2's `virt` shows, without what this machine does not have
 * (flash, fw_cfg, platform bus, performance counters, the 64-bit PCI window).
 * test/debian compares the two.
 */
import { randomBytes } from '../../backends/random.js';
import { VIRTIO_MMIO_BYTES, VIRTIO_MMIO_WINDOWS } from '../devices/virtio/mmio-bank.js';
import { PLIC_SOURCES, RAM_BASE, REGION, type Region, SOURCE, TIMEBASE_HZ } from '../memory-map.js';
import { cells64, type TreeNode } from './fdt.js';

export interface TreeOptions {
  harts: number;
  memoryBytes: number;
  /** Kernel command line. */
  append: string;
  /** First byte of the initial RAM disk, and the one behind its last. */
  initrd?: { start: number; end: number };
}

/** Entropy for a kernel that has no other yet; as much as QEMU gives. */
const SEED_BYTES = 32;
const PLIC_PHANDLE = 0x101;
const FINISHER_PHANDLE = 0x102;
const cpuPhandle = (hart: number): number => 1 + 2 * hart;
const interruptsPhandle = (hart: number): number => 2 + 2 * hart;

/* Interrupt numbers of a hart (privileged specification, mcause). */
const HART_IRQ = { software: 3, timer: 7, supervisorExternal: 9, machineExternal: 11 };

/* PCI addresses (IEEE 1275 PCI bus binding 2.2.1.1): space codes of the first cell. */
const PCI_IO = 0x0100_0000;
const PCI_MEMORY32 = 0x0200_0000;
/** Device numbers 0 to 3 (bits 12:11 of the first cell), and the pin. */
const INTERRUPT_MAP_MASK = [0x1800, 0, 0, 7];

/** The tree for a machine of 1 to 32 harts. */
export function deviceTree(options: TreeOptions): TreeNode {
  return {
    name: '',
    properties: { '#address-cells': [2], '#size-cells': [2], compatible: 'riscv-virtio', model: 'riscv-virtio,qemu' },
    children: [
      chosen(options),
      syscon('poweroff', 0x5555),
      syscon('reboot', 0x7777),
      { name: `memory@${hex(RAM_BASE)}`, properties: { device_type: 'memory', reg: reg(ram(options)) } },
      cpus(options.harts),
      soc(options.harts),
    ],
  };
}

const hex = (value: number): string => value.toString(16);
const reg = (region: Region): number[] => [...cells64(region.base), ...cells64(region.bytes)];
const ram = (options: TreeOptions): Region => ({ base: RAM_BASE, bytes: options.memoryBytes });
const eachHart = <T>(harts: number, make: (hart: number) => T): T[] =>
  Array.from({ length: harts }, (_, hart) => make(hart));

function chosen(options: TreeOptions): TreeNode {
  const { append, initrd } = options;
  return {
    name: 'chosen',
    properties: {
      ...(append === '' ? {} : { bootargs: append }),
      ...(initrd === undefined ? {} : { 'linux,initrd-start': [initrd.start], 'linux,initrd-end': [initrd.end] }),
      'stdout-path': `/soc/serial@${hex(REGION.uart.base)}`,
      'rng-seed': randomBytes(SEED_BYTES),
    },
  };
}

function syscon(name: string, value: number): TreeNode {
  const properties = { value: [value], offset: [0], regmap: [FINISHER_PHANDLE], compatible: `syscon-${name}` };
  return { name, properties };
}

function cpus(harts: number): TreeNode {
  const map: TreeNode = {
    name: 'cluster0',
    properties: {},
    children: eachHart(harts, (hart) => ({ name: `core${hart}`, properties: { cpu: [cpuPhandle(hart)] } })),
  };
  return {
    name: 'cpus',
    properties: { '#address-cells': [1], '#size-cells': [0], 'timebase-frequency': [TIMEBASE_HZ] },
    children: [...eachHart(harts, cpu), { name: 'cpu-map', properties: {}, children: [map] }],
  };
}

/** The extensions of a hart: single letters, and the others in the canonical order (unprivileged specification, 27.11). */
const LETTERS = 'imafdc';
const MORE = ['zicntr', 'zicsr', 'zifencei', 'zihintpause', 'zba', 'zbb', 'zbs', 'sstc'];

function cpu(hart: number): TreeNode {
  return {
    name: `cpu@${hex(hart)}`,
    properties: {
      phandle: [cpuPhandle(hart)],
      device_type: 'cpu',
      reg: [hart],
      status: 'okay',
      compatible: 'riscv',
      'riscv,isa': `rv64${LETTERS}_${MORE.join('_')}`,
      'riscv,isa-base': 'rv64i',
      'riscv,isa-extensions': [...LETTERS, ...MORE],
      'mmu-type': 'riscv,sv57',
    },
    children: [
      {
        name: 'interrupt-controller',
        properties: {
          '#interrupt-cells': [1],
          'interrupt-controller': true,
          compatible: 'riscv,cpu-intc',
          phandle: [interruptsPhandle(hart)],
        },
      },
    ],
  };
}

function soc(harts: number): TreeNode {
  return {
    name: 'soc',
    properties: { '#address-cells': [2], '#size-cells': [2], compatible: 'simple-bus', ranges: true },
    children: [rtc(), serial(), ...virtioMmio(), finisher(), pci(), plic(harts), clint(harts)],
  };
}

function rtc(): TreeNode {
  return {
    name: `rtc@${hex(REGION.rtc.base)}`,
    properties: {
      interrupts: [SOURCE.rtc],
      'interrupt-parent': [PLIC_PHANDLE],
      reg: reg(REGION.rtc),
      compatible: 'google,goldfish-rtc',
    },
  };
}

function serial(): TreeNode {
  return {
    name: `serial@${hex(REGION.uart.base)}`,
    properties: {
      interrupts: [SOURCE.uart],
      'interrupt-parent': [PLIC_PHANDLE],
      reg: reg(REGION.uart),
      'clock-frequency': [3_686_400],
      compatible: 'ns16550a',
    },
  };
}

function virtioMmio(): TreeNode[] {
  return Array.from({ length: VIRTIO_MMIO_WINDOWS }, (_, n) => {
    const base = REGION.virtioMmio.base + n * VIRTIO_MMIO_BYTES;
    return {
      name: `virtio_mmio@${hex(base)}`,
      properties: {
        interrupts: [SOURCE.virtioMmio + n],
        'interrupt-parent': [PLIC_PHANDLE],
        reg: reg({ base, bytes: VIRTIO_MMIO_BYTES }),
        compatible: 'virtio,mmio',
      },
    };
  });
}

function finisher(): TreeNode {
  return {
    name: `test@${hex(REGION.finisher.base)}`,
    properties: {
      phandle: [FINISHER_PHANDLE],
      reg: reg(REGION.finisher),
      compatible: ['sifive,test1', 'sifive,test0', 'syscon'],
    },
  };
}

function pci(): TreeNode {
  return {
    name: `pci@${hex(REGION.pciEcam.base)}`,
    properties: {
      'interrupt-map-mask': INTERRUPT_MAP_MASK,
      'interrupt-map': interruptMap(),
      ranges: pciRanges(),
      reg: reg(REGION.pciEcam),
      'dma-coherent': true,
      'bus-range': [0, 0xff],
      'linux,pci-domain': [0],
      device_type: 'pci',
      compatible: 'pci-host-ecam-generic',
      '#size-cells': [2],
      '#interrupt-cells': [1],
      '#address-cells': [3],
    },
  };
}

/** Ports start at 0 on the PCI side; memory lies at the same addresses on both. */
function pciRanges(): number[] {
  const { pciPio, pciMmio } = REGION;
  const ports = [PCI_IO, ...cells64(0), ...cells64(pciPio.base), ...cells64(pciPio.bytes)];
  const memory = [PCI_MEMORY32, ...cells64(pciMmio.base), ...cells64(pciMmio.base), ...cells64(pciMmio.bytes)];
  return [...ports, ...memory];
}

/** Pin p (1 to 4) of device d goes to source INTA + (p - 1 + d) mod 4: the swizzle of PCI-to-PCI bridges. */
function interruptMap(): number[] {
  const map: number[] = [];
  for (let device = 0; device < 4; device++) {
    for (let pin = 1; pin <= 4; pin++) {
      map.push(device << 11, 0, 0, pin, PLIC_PHANDLE, SOURCE.pciIntA + ((pin - 1 + device) % 4));
    }
  }
  return map;
}

function plic(harts: number): TreeNode {
  const { machineExternal, supervisorExternal } = HART_IRQ;
  const contexts = (hart: number) => [
    ...[interruptsPhandle(hart), machineExternal],
    ...[interruptsPhandle(hart), supervisorExternal],
  ];
  return {
    name: `plic@${hex(REGION.plic.base)}`,
    properties: {
      phandle: [PLIC_PHANDLE],
      'riscv,ndev': [PLIC_SOURCES],
      reg: reg(REGION.plic),
      'interrupts-extended': eachHart(harts, contexts).flat(),
      'interrupt-controller': true,
      compatible: ['sifive,plic-1.0.0', 'riscv,plic0'],
      '#address-cells': [0],
      '#interrupt-cells': [1],
    },
  };
}

function clint(harts: number): TreeNode {
  const lines = (hart: number) => [interruptsPhandle(hart), HART_IRQ.software, interruptsPhandle(hart), HART_IRQ.timer];
  return {
    name: `clint@${hex(REGION.clint.base)}`,
    properties: {
      'interrupts-extended': eachHart(harts, lines).flat(),
      reg: reg(REGION.clint),
      compatible: ['sifive,clint0', 'riscv,clint0'],
    },
  };
}
