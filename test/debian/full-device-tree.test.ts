import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { deviceTree } from '#engines/full/boot/device-tree.js';
import { encodeFdt } from '#engines/full/boot/fdt.js';
import { placeFdt } from '#engines/full/boot/loader.js';
import { cells, nodeAt, type ReadNode, readFdt, strings } from '../full/fdt-reader.js';

const QEMU = 'qemu-system-riscv64';
const folder = mkdtempSync(join(tmpdir(), 'virtax-fdt-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function qemuTree(harts: number, mib: number): ReadNode {
  const file = join(folder, `${harts}-${mib}.dtb`);
  const machine = `virt,dumpdtb=${file}`;
  execFileSync(QEMU, ['-M', machine, '-smp', `${harts}`, '-m', `${mib}`, '-bios', 'none', '-nographic'], {
    stdio: 'ignore',
  });
  return readFdt(readFileSync(file));
}

const ourTree = (harts: number, mib: number) =>
  readFdt(encodeFdt(deviceTree({ harts, memoryBytes: mib * 2 ** 20, append: '' })));

/** Handles are arbitrary numbers: each is replaced by the path of the node that it names. */
function phandles(root: ReadNode): Map<number, string> {
  const map = new Map<number, string>();
  const walk = (node: ReadNode, path: string) => {
    if (node.properties.has('phandle')) map.set(cells(node, 'phandle')[0], path);
    for (const [name, child] of node.children) walk(child, `${path}/${name}`);
  };
  walk(root, '');
  return map;
}

const HANDLES: Record<string, (index: number) => boolean> = {
  'interrupt-parent': () => true,
  regmap: () => true,
  cpu: () => true,
  'interrupts-extended': (index) => index % 2 === 0,
  'interrupt-map': (index) => index % 6 === 4,
};
/** What differs on purpose: QEMU's CPU has more extensions, and a second, 64-bit PCI window. */
const DIFFERENT = ['phandle', 'mmu-type', 'riscv,isa', 'riscv,isa-base', 'riscv,isa-extensions', 'ranges'];

function comparable(root: ReadNode, path: string): Record<string, unknown> {
  const node = nodeAt(root, path);
  const names = phandles(root);
  const entries = [...node.properties.keys()]
    .filter((name) => !DIFFERENT.includes(name))
    .map((name) => {
      const isHandle = HANDLES[name];
      if (isHandle === undefined) return [name, node.properties.get(name)?.toString('hex')];
      return [name, cells(node, name).map((cell, i) => (isHandle(i) ? names.get(cell) : cell))];
    });
  return Object.fromEntries(entries);
}

describe('device tree against QEMU’s virt', () => {
  const harts = 3;
  const ours = ourTree(harts, 384);
  const qemus = qemuTree(harts, 384);
  const paths = [
    '/',
    '/poweroff',
    '/reboot',
    '/memory@80000000',
    '/cpus',
    '/cpus/cpu@0',
    '/cpus/cpu@2',
    '/cpus/cpu@1/interrupt-controller',
    '/cpus/cpu-map/cluster0/core2',
    '/soc',
    '/soc/rtc@101000',
    '/soc/serial@10000000',
    '/soc/virtio_mmio@10001000',
    '/soc/virtio_mmio@10008000',
    '/soc/test@100000',
    '/soc/pci@30000000',
    '/soc/plic@c000000',
    '/soc/clint@2000000',
  ];
  it.each(paths)('%s', (path) => {
    expect(comparable(ours, path)).toEqual(comparable(qemus, path));
  });

  it('PCI windows are QEMU’s first two', () => {
    const windows = cells(nodeAt(ours, '/soc/pci@30000000'), 'ranges');
    expect(windows).toEqual(cells(nodeAt(qemus, '/soc/pci@30000000'), 'ranges').slice(0, windows.length));
  });

  it('the console is the same', () => {
    expect(strings(nodeAt(ours, '/chosen'), 'stdout-path')).toEqual(strings(nodeAt(qemus, '/chosen'), 'stdout-path'));
  });
});

/** Registers of all harts after reset, by QEMU's monitor; the image is one jump to itself. */
async function registersUnderQemu(mib: number, harts: number): Promise<Record<string, bigint>[]> {
  const image = join(folder, 'spin.bin');
  writeFileSync(image, Uint8Array.of(0x6f, 0, 0, 0)); // j .
  const args = ['-M', 'virt', '-smp', `${harts}`, '-m', `${mib}`, '-bios', 'none', '-kernel', image];
  const qemu = spawn(QEMU, [...args, '-display', 'none', '-serial', 'none', '-monitor', 'stdio']);
  let text = '';
  let asked = false;
  qemu.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (asked) return; // what it says while it quits
    // Asked again until every hart has left the boot ROM.
    const pcs = [...text.matchAll(/ pc\s+([0-9a-f]+)/g)].slice(-harts);
    asked = pcs.length === harts && pcs.every(([, pc]) => BigInt(`0x${pc}`) === 0x8000_0000n);
    if (asked) qemu.stdin.write('quit\n');
    else if (text.endsWith('(qemu) ')) qemu.stdin.write('info registers -a\n');
  });
  await new Promise((resolve) => qemu.on('close', resolve));
  const dumps = text.split(/CPU#\d+/).slice(-harts);
  return dumps.map((dump) =>
    Object.fromEntries(
      [...dump.matchAll(/(x\d+\/\w+|mhartid)\s+([0-9a-f]+)/g)].map(([, name, value]) => [name, BigInt(`0x${value}`)]),
    ),
  );
}

describe('entry as under QEMU’s -bios none', () => {
  it.each([64, 1100])('with %i MiB: a0 = hart, a1 = device tree where we put it', async (mib) => {
    const registers = await registersUnderQemu(mib, 2);
    const expected = BigInt(placeFdt(mib * 2 ** 20, 8192));
    expect(registers.map((r) => r['x10/a0'])).toEqual([0n, 1n]);
    expect(registers.map((r) => r['x11/a1'])).toEqual([expected, expected]);
  });
});
