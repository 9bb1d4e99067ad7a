import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '#engines/full/cpu/hart.js';
import { EVENT } from '#engines/full/cpu/layout.js';
import { BareMachine } from './support/bare-hart.js';
import { addi, bne, jal, nop } from './support/encode.js';

// A hot loop that begins to leave for code which was never executed when its region was made. Slices do not end in that code,
// since the loop takes nearly all of them: it is to become a region nevertheless, or each turn ends in the interpreter for ever.

const [LEFT, SWITCH, TURNS] = [12, 20, 21];
const AWAY = 64;
/** 1000 rounds of a loop, then back at once, or by way of AWAY when SWITCH is not 0. */
const hotLoop = [addi(LEFT, 0, 1000), addi(LEFT, LEFT, -1), bne(LEFT, 0, -4), bne(SWITCH, 0, AWAY - 12), jal(0, -16)];
const away = [...new Array<number>(8).fill(addi(TURNS, TURNS, 1)), nop, jal(0, -AWAY - 36)];

describe('places that only regions lead to', () => {
  it('are translated when regions lead there often', () => {
    const machine = new BareMachine(1, 'on');
    const { hart } = machine;
    machine.code(hotLoop);
    machine.code(away, RAM_BASE + AWAY);
    const run = (instructions: number): void => {
      for (let done = 0; done < instructions; done += 10_000) hart.run(10_000);
    };
    run(4_000_000);
    expect(hart.state.count(EVENT.translations)).toBeGreaterThan(0);
    hart.state.setX(SWITCH, 1n);
    run(16_000_000);
    const [entriesBefore, turnsBefore] = [hart.state.count(EVENT.regionEntries), hart.state.x(TURNS)];
    run(1_000_000);
    const turns = Number(hart.state.x(TURNS) - turnsBefore) / 8;
    expect(turns).toBeGreaterThan(450);
    expect(hart.state.count(EVENT.regionEntries) - entriesBefore).toBeLessThan(turns / 2);
  });
});
