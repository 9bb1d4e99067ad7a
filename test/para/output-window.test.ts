/** A guest writes no further ahead than its console's reader takes: it would fill the host's memory. */
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Hypervisor } from '#engines/para/hypervisor.js';
import { type GuestBody, guestFile, say } from './wasm-guest.js';

const WINDOW = 1000;
const LINE = `${'x'.repeat(59)}\n`;
const { data, write } = say(LINE);
// loop write br 0 end
const image = guestFile({ data, start: [0x03, 0x40, ...write, 0x0c, 0x00, 0x0b] } as GuestBody);

let hypervisor: Hypervisor;
beforeAll(() => {
  hypervisor = new Hypervisor();
});
afterAll(() => {
  hypervisor.close();
  rmSync(dirname(image), { recursive: true });
});

it('output stops at the window, and goes on when it was taken', async () => {
  let bytes = 0;
  const config = {
    name: 'chatty',
    vcpus: 1,
    memoryBytes: 1 << 20,
    image,
    bootargs: '',
    pollUs: 0,
    outputWindow: WINDOW,
  };
  let over: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    over = resolve;
  });
  const output = (piece: Uint8Array) => {
    bytes += piece.length;
  };
  const domain = await hypervisor.create(config, { output, doorbell() {}, facts() {}, ended: () => over() });
  const calls = () => domain.counters().hypercall_console_io;
  const until = async (done: () => boolean) => {
    while (!done()) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  await until(() => bytes >= WINDOW);
  const before = calls();
  await until(() => calls() > before + 5000); // its ring is full long since: it is refused
  expect(bytes).toBeLessThan(WINDOW + LINE.length);
  domain.outputTaken(bytes);
  await until(() => bytes >= 2 * WINDOW);
  expect(bytes).toBeLessThan(2 * WINDOW + 2 * LINE.length);
  domain.destroy();
  await ended;
});
