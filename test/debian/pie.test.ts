/** A position-independent image that does not relocate itself: what it finds at its start must be the same on `full` and on QEMU. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const VIRTAX = fileURLToPath(new URL('../../virtax.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'virtax-pie-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Says whether the word `pointer` was relocated (r) or not (u), by the UART, and ends the machine by the test finisher. */
const SOURCE = `
  .globl _start
_start:
  lla s0, pointer
  ld s1, 0(s0)
  lla s2, text
  li t1, 'r'
  beq s1, s2, 1f
  li t1, 'u'
1: li t2, 0x10000000
  sb t1, 0(t2)
  li t2, 0x100000
  li t1, 0x5555
  sw t1, 0(t2)
2: j 2b
  .data
  .balign 8
pointer: .dword text
text: .byte 0
`;
/** The code comes first, since the machine starts there. */
const LAYOUT = `
ENTRY(_start)
SECTIONS {
  . = 0x80000000;
  .text : { *(.text*) }
  .dynsym : { *(.dynsym) }
  .gnu.hash : { *(.gnu.hash) }
  .hash : { *(.hash) }
  .dynstr : { *(.dynstr) }
  .rela.dyn : { *(.rela*) }
  .dynamic : { *(.dynamic) }
  .data : { *(.data) }
}`;

function link(name: string, ...flags: string[]): string {
  const [source, layout, image] = ['pie.S', 'pie.ld', name].map((file) => join(folder, file));
  writeFileSync(source, SOURCE);
  writeFileSync(layout, LAYOUT);
  const target = ['--target=riscv64', '-march=rv64gc', '-mabi=lp64', '-nostdlib', '-fuse-ld=lld'];
  execFileSync('clang-19', [...target, `-Wl,-pie,--no-dynamic-linker,-T,${layout}`, ...flags, source, '-o', image]);
  return image;
}

const run = (command: string, args: string[]): string =>
  execFileSync(command, args, { encoding: 'latin1', timeout: 60_000, stdio: ['ignore', 'pipe', 'inherit'] });

it.each([
  ['addends in the relocations only', [], 'u'],
  ['addends in place', ['-Wl,--apply-dynamic-relocs'], 'r'],
])('a PIE kernel is loaded as QEMU loads it: %s', (name, flags, found) => {
  const image = link(name.replaceAll(' ', '-'), ...flags);
  const qemu = run('qemu-system-riscv64', ['-M', 'virt', '-nographic', '-bios', 'none', '-kernel', image]);
  expect(qemu).toBe(found);
  expect(run(process.execPath, [VIRTAX, 'run', '--kernel', image])).toBe(qemu);
});
