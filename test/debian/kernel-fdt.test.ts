import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { KernelBuild, type KernelPart } from './support/kernel-wasm.js';

const build = new KernelBuild(['drivers/fdt.c', 'lib/mem.c', 'lib/str.c', 'test/fdt_harness.c']);
const NONE = -1;

/** The tree that QEMU gives its guests. */
const tree = (() => {
  const folder = mkdtempSync(join(tmpdir(), 'virtax-dtb-'));
  const file = join(folder, 'tree');
  const options = ['-M', `virt,dumpdtb=${file}`, '-smp', '3', '-m', '96M', '-bios', 'none', '-nographic'];
  execFileSync('qemu-system-riscv64', options, { stdio: 'ignore' });
  const bytes = new Uint8Array(readFileSync(file));
  rmSync(folder, { recursive: true });
  // QEMU reserves 1 MiB; the blocks are at its start.
  const header = new DataView(bytes.buffer, bytes.byteOffset);
  const used = Math.max(header.getUint32(8) + header.getUint32(36), header.getUint32(12) + header.getUint32(32));
  header.setUint32(4, used);
  return bytes.slice(0, used);
})();

let part: KernelPart;
let numbers: () => bigint[];
beforeEach(() => {
  part = build.instantiate({});
  part.memory.set(tree, part.call('harness_blob'));
  numbers = () => [...new BigUint64Array(part.memory.buffer, part.call('harness_numbers'), 2)];
});

function withText(name: string, call: (text: number) => number): number {
  const text = part.call('harness_text');
  part.memory.set(Buffer.from(`${name}\0`), text);
  return call(text);
}
const open = () => part.call('fdt_open', part.call('harness_blob'));
const path = (name: string) => withText(name, (text) => part.call('fdt_path', text));
const u32 = (node: number, name: string) => withText(name, (text) => part.call('fdt_u32', node, text, 0xdead)) >>> 0;
const compatible = (after: number, name: string) => withText(name, (text) => part.call('fdt_compatible', after, text));

function reg(node: number, index = 0): bigint[] | number {
  const at = part.call('harness_numbers');
  return part.call('fdt_reg', node, index, at, at + 8) === 0 ? numbers() : NONE;
}

describe("the kernel's reader of device trees, on QEMU's tree", () => {
  beforeEach(() => expect(open()).toBe(0));

  it('finds nodes by path, with and without unit address', () => {
    expect(reg(path('/memory@80000000'))).toEqual([0x80000000n, 96n << 20n]);
    expect(path('/memory')).toBe(path('/memory@80000000'));
    expect(path('/soc/nothing')).toBe(NONE);
    expect(u32(path('/cpus'), 'timebase-frequency')).toBe(10_000_000);
    expect(u32(path('/cpus'), 'nothing')).toBe(0xdead);
  });

  it('finds nodes by what they are compatible with, any string of the list', () => {
    const uart = compatible(NONE, 'ns16550a');
    expect(reg(uart)).toEqual([0x10000000n, 0x100n]);
    expect(reg(uart, 1)).toBe(NONE);
    expect(u32(uart, 'interrupts')).toBe(10);
    expect(compatible(uart, 'ns16550a')).toBe(NONE);
    expect(compatible(NONE, 'sifive,test0')).toBe(compatible(NONE, 'sifive,test1'));
    const first = compatible(NONE, 'virtio,mmio');
    expect(compatible(first, 'virtio,mmio')).toBeGreaterThan(first);
  });

  it('goes to parents, children and handles', () => {
    const cpus = path('/cpus');
    const cpu = path('/cpus/cpu@1');
    expect(part.call('fdt_parent', cpu)).toBe(cpus);
    expect(
      part.call('fdt_parent', part.call('fdt_phandle', u32(path('/cpus/cpu@2/interrupt-controller'), 'phandle'))),
    ).toBe(path('/cpus/cpu@2'));
    expect(reg(cpu)).toEqual([1n, 0n]);
    const children: number[] = [];
    for (let node = NONE; children.length < 9; children.push(node)) {
      node = part.call('fdt_child', cpus, node);
      if (node === NONE) break;
    }
    expect(children).toEqual([path('/cpus/cpu@0'), cpu, path('/cpus/cpu@2'), path('/cpus/cpu-map')]);
  });
});

describe("the kernel's reader of device trees, on what is none", () => {
  it.each([
    ['magic', 0, 0xd00dfeee],
    ['structure block', 8, 0x7fffff00],
    ['strings block', 12, 0x7fffff00],
    ['version', 24, 18],
  ])('refuses a wrong %s', (_name, offset, value) => {
    new DataView(part.memory.buffer, part.call('harness_blob')).setUint32(offset, value);
    expect(open()).toBe(NONE);
  });

  it('comes to an end on any damage', () => {
    const change = fc.tuple(fc.nat(tree.length - 41), fc.constantFrom(0, 1, 2, 3, 4, 9, 0x7f, 0xff));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 30 }), (changes) => {
        const bad = tree.slice();
        for (const [at, value] of changes) bad[40 + at] = value;
        part.memory.set(bad, part.call('harness_blob'));
        open();
        for (const name of ['ns16550a', 'sifive,clint0']) reg(compatible(NONE, name));
        path('/cpus/cpu@2/interrupt-controller');
        part.call('fdt_phandle', 77);
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});
