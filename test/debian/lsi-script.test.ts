import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { EMPTY_SLOT, MISMATCH, PROGRAM, RAM_AT, SHARED_AT, START, WRAP } from '../full/devices/scsi/lsi-script.js';

/** Stands in for the kernel: the chip's RAM is an array that is printed. */
const HARNESS = `
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#define VIRTAX_KERNEL_H
static uint32_t ram[2048], words;
static void mmio_write32(volatile void *base, size_t at, uint32_t v) { (void)base; ram[at / 4] = v; if (at / 4 >= words) words = at / 4 + 1; }
#include "lsi53c895a_script.c"
static struct lsi_shared shared;
int main(void) {
  struct lsi_entry e = lsi_load_script(0, ${RAM_AT}u, &shared, ${SHARED_AT}u);
  const uint32_t *slot = (const uint32_t *)&shared.start[0];
  printf("%u %u", e.start, e.mismatch);
  for (int i = 0; i < 6; i++) printf(" %u", slot[i]);
  for (int i = 0; i < 2; i++) printf(" %u", shared.start_wrap[i]);
  for (uint32_t i = 0; i < words; i++) printf(" %u", ram[i]);
}`;

it('the SCRIPTS program that the model is tested with is the one in the guest driver', () => {
  const drivers = new URL('../../workloads/guest/drivers', import.meta.url).pathname;
  const folder = mkdtempSync(join(tmpdir(), 'virtax-lsi-'));
  try {
    writeFileSync(join(folder, 'dump.c'), HARNESS);
    const program = join(folder, 'dump');
    execFileSync('clang-19', ['-o', program, '-I', drivers, join(folder, 'dump.c')]);
    const words = execFileSync(program, { encoding: 'utf8' }).split(' ').map(Number);
    expect(words).toEqual([START, MISMATCH, ...EMPTY_SLOT, ...WRAP, ...PROGRAM]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
