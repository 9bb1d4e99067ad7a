import { describe, expect, it } from 'vitest';
import { deviceTree } from '#engines/full/boot/device-tree.js';
import { encodeFdt } from '#engines/full/boot/fdt.js';
import { cells, nodeAt, readFdt, strings } from '../fdt-reader.js';

const tree = (harts: number, append = '') =>
  readFdt(encodeFdt(deviceTree({ harts, memoryBytes: 0x1_2000_0000, append })));

describe('flattened device tree', () => {
  it('keeps strings, lists, cells, bytes, empty properties and nesting', () => {
    const root = readFdt(
      encodeFdt({
        name: '',
        properties: {
          one: 'a',
          list: ['b', 'cd'],
          cells: [1, 0xffff_fffe],
          bytes: Uint8Array.of(1, 2, 3),
          empty: true,
        },
        children: [{ name: 'x@1', properties: { one: 'again' }, children: [{ name: 'y', properties: {} }] }],
      }),
    );
    expect(strings(root, 'one')).toEqual(['a']);
    expect(strings(root, 'list')).toEqual(['b', 'cd']);
    expect(cells(root, 'cells')).toEqual([1, 0xffff_fffe]);
    expect([...(root.properties.get('bytes') ?? [])]).toEqual([1, 2, 3]);
    expect(root.properties.get('empty')?.length).toBe(0);
    expect(strings(nodeAt(root, '/x@1'), 'one')).toEqual(['again']);
    expect(nodeAt(root, '/x@1/y').properties.size).toBe(0);
  });

  it('header: sizes add up, blocks are aligned (specification 5.2, 5.6)', () => {
    const blob = Buffer.from(encodeFdt(deviceTree({ harts: 3, memoryBytes: 2 ** 28, append: '' })));
    const [, total, structure, names, reservations, , , , nameBytes, structureBytes] = Array.from(
      { length: 10 },
      (_, i) => blob.readUInt32BE(4 * i),
    );
    expect(total).toBe(blob.length);
    expect(names).toBe(structure + structureBytes);
    expect(total).toBe(names + nameBytes);
    expect([structure % 4, reservations % 8]).toEqual([0, 0]);
    expect([...blob.subarray(reservations, reservations + 16)]).toEqual(new Array(16).fill(0));
  });
});

describe('device tree of the machine', () => {
  it('names memory above 4 GiB in two cells', () => {
    expect(cells(nodeAt(tree(1), '/memory@80000000'), 'reg')).toEqual([0, 0x8000_0000, 1, 0x2000_0000]);
  });

  it('has a CPU node a hart, and each controller’s lines to each hart', () => {
    const root = tree(32);
    const controllers = Array.from({ length: 32 }, (_, hart) => {
      const cpu = nodeAt(root, `/cpus/cpu@${hart.toString(16)}`);
      expect(cells(cpu, 'reg')).toEqual([hart]);
      return cells(nodeAt(root, `/cpus/cpu@${hart.toString(16)}/interrupt-controller`), 'phandle')[0];
    });
    expect(new Set(controllers).size).toBe(32);
    const expected = (a: number, b: number) => controllers.flatMap((phandle) => [phandle, a, phandle, b]);
    expect(cells(nodeAt(root, '/soc/plic@c000000'), 'interrupts-extended')).toEqual(expected(11, 9));
    expect(cells(nodeAt(root, '/soc/clint@2000000'), 'interrupts-extended')).toEqual(expected(3, 7));
  });

  it('passes the command line, and leaves it out when there is none', () => {
    expect(strings(nodeAt(tree(1, 'virtax.run=cpu/*'), '/chosen'), 'bootargs')).toEqual(['virtax.run=cpu/*']);
    expect(nodeAt(tree(1), '/chosen').properties.has('bootargs')).toBe(false);
  });
});
