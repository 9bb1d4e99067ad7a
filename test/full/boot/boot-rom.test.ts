import { describe, expect, it } from 'vitest';
import { BootRom, DYNAMIC_INFO_ADDRESS } from '#engines/full/boot/boot-rom.js';

describe('boot ROM', () => {
  const rom = new BootRom({ fdtAddress: 0x9fe0_0000, kernelEntry: 0x8020_0000 });

  // The same words as `xp /20xw 0x1000` shows in the monitor of QEMU 7.2 with -bios fw_dynamic.bin -kernel, but for addresses.
  it('holds QEMU’s reset code and fw_dynamic_info', () => {
    const words = Array.from({ length: 22 }, (_, i) => rom.read(i * 4, 4));
    expect(words).toEqual([
      ...[0x0000_0297, 0x0282_8613, 0xf140_2573, 0x0202_b583, 0x0182_b283, 0x0002_8067],
      ...[0x8000_0000, 0, 0x9fe0_0000, 0],
      ...[0x4942_534f, 0, 2, 0, 0x8020_0000, 0, 1, 0, 0, 0, 0, 0],
    ]);
    expect(DYNAMIC_INFO_ADDRESS).toBe(0x1028);
  });

  it('is not written to', () => {
    rom.write(0, 4, 0);
    expect([rom.read(0, 2), rom.read(1, 1)]).toEqual([0x0297, 0x02]);
  });
});
