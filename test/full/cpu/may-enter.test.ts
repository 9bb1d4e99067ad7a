import { describe, expect, it } from 'vitest';
import { buildCpuModule, RAM_BASE } from '#engines/full/cpu/hart.js';
import { OFFSET, REGION, TLB } from '#engines/full/cpu/layout.js';
import { STATE_BASE } from './support/bare-hart.js';
import { AT, Bench, PTE } from './support/boot.js';
import { addi, jal } from './support/encode.js';

// What regions ask before they run, alone: a machine gets into these states only by chance, while another thread compiles.

const { V, R, X, A } = PTE;
const CODE = 0x10_0000n;
/** Its page has the same place in the TLB of fetches as CODE's. */
const RIVAL = CODE + BigInt(TLB.executeEntries) * 4096n;
const FUNCTION = RAM_BASE + 0x20_0000;

/** The interpreter's module once more, over the bench's memory. */
function mayEnter(bench: Bench): (base: number, pc: bigint, record: number) => number {
  const { memory } = bench.machine;
  const module = buildCpuModule({ maximumPages: memory.buffer.byteLength / 65_536 });
  const imports: WebAssembly.Imports = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    imports[from] = { ...imports[from], [name]: kind === 'memory' ? memory : () => 0 };
  }
  return new WebAssembly.Instance(module, imports).exports.mayEnter as ReturnType<typeof mayEnter>;
}

describe('mayEnter', () => {
  it('leaves the page that is executed in the TLB: a region that declines must be passed by the interpreter', () => {
    const bench = new Bench('off');
    bench.map(CODE, AT.code, V | R | X | A);
    bench.map(RIVAL, FUNCTION, V | R | X | A);
    bench.machine.code([addi(11, 11, 1), jal(0, Number(CODE - RIVAL))], FUNCTION);
    bench.page();
    bench.enter(1, [addi(12, 12, 1), jal(0, Number(RIVAL - CODE) - 4)], 0n, CODE);
    const view = new DataView(bench.machine.memory.buffer);
    const index = Number(CODE >> 12n) & (TLB.executeEntries - 1);
    const place = view.getInt32(STATE_BASE + OFFSET.tlbExecute, true) + index * TLB.entryBytes;
    // Both have been executed, and are in the decode cache; CODE is being executed now.
    view.setBigInt64(place, CODE, true);
    view.setInt32(place + 8, 1234, true);
    const record = STATE_BASE + REGION.records;
    view.setInt32(record + REGION.privilege, 1, true);
    view.setInt32(record + REGION.pageCount, 1, true);
    view.setBigInt64(record + REGION.pages, RIVAL - CODE, true);
    view.setInt32(record + REGION.pages + 8, STATE_BASE + OFFSET.decode, true); // another slot than it is in
    expect(mayEnter(bench)(STATE_BASE, CODE, record)).toBe(0);
    expect([view.getBigInt64(place, true), view.getInt32(place + 8, true)]).toEqual([CODE, 1234]);
  });
});
