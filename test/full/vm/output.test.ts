import { expect, it } from 'vitest';
import { Vm } from '#engines/full/vm/vm.js';
import { finish, guest, print } from '../guests.js';
import { vmConfig } from '../run-guest.js';

const LINE = `${'all work and no play '.repeat(10)}\n`;
const LINES = 2000;
const HELD_AT = 10_000;
/** The guest has looked at its busy serial port so often: it has sent all that it can. */
const LOOKS = 200_000;

const talkative = guest(
  (a) => {
    a.li('s1', LINES).label('again');
    print(a, 'line').addi('s1', 's1', -1).bne('s1', 'zero', 'again');
    finish(a, 0x5555);
  },
  { line: LINE },
);

it('a guest whose output nobody takes waits for its serial port, and loses nothing', async () => {
  let [bytes, held] = [0, false];
  let vm: Vm | undefined;
  const ended = new Promise<void>((resolve) => {
    vm = new Vm(vmConfig(talkative), {
      ...{ running: () => {}, doorbell: () => {}, ended: () => resolve(), outputHeld: () => held },
      output(piece) {
        expect(held).toBe(false);
        bytes += piece.length;
        held = bytes > HELD_AT && !released;
      },
    });
  });
  let released = false;
  const looks = (): number => vm?.counters()['mmio.uart.reads'] ?? 0;
  while (!held || looks() < LOOKS) await new Promise((resolve) => setTimeout(resolve, 1));
  [released, held] = [true, false];
  vm?.outputTaken();
  await ended;
  expect(bytes).toBe(LINE.length * LINES);
});
