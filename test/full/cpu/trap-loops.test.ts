import { describe, expect, it } from 'vitest';
import { HartExit } from '#engines/full/cpu/hart.js';
import { AT, Bench } from './support/boot.js';
import { addi, CSR, csrrw, ebreak, ecall, hang, li } from './support/encode.js';

// A trap handler that traps itself goes on for ever on hardware as well (privileged specification 20211203, 3.1.7), but
// a machine must be able to stop such a hart, and to interrupt it: no instruction is retired there, and slices end.

const MACHINE = 3;

/** In M-mode with the handler at mtvec. */
function trapping(handler: readonly number[], vector = AT.machineTrap): Bench {
  const bench = new Bench();
  if (handler.length > 0) bench.machine.code(handler, AT.machineTrap);
  bench.setCsr(CSR.mtvec, BigInt(vector));
  return bench;
}

describe('a handler that traps itself ends its slices', () => {
  it.each([
    ['ecall', [ecall], AT.machineTrap],
    ['ebreak', [ebreak], AT.machineTrap],
    ['an illegal instruction', [0], AT.machineTrap],
    ['a load from nowhere', [0x0000_3003], AT.machineTrap],
    ['nothing that could be fetched', [], 0x1000],
  ] as const)('%s', (_, handler, vector) => {
    const bench = trapping(handler, vector);
    const before = bench.hart.state.instret;
    bench.machine.code([addi(6, 0, 1), ecall, hang], AT.code);
    bench.hart.state.pc = BigInt(AT.code);
    expect(bench.hart.run(5000)).toBe(HartExit.Budget);
    expect(bench.hart.state.instret - before).toBe(1);
    expect(bench.hart.state.pc).toBe(BigInt(vector));
    expect(bench.hart.state.privilege).toBe(MACHINE);
  });
});

describe('an exception is not retired', () => {
  it('costs the budget one, and minstret nothing', () => {
    const bench = new Bench();
    bench.machine.code([hang], AT.machineTrap);
    const before = bench.hart.state.instret;
    bench.machine.code([...li(7, 0n), csrrw(0, CSR.mscratch, 7), ecall], AT.code);
    bench.hart.state.pc = BigInt(AT.code);
    bench.hart.run(li(7, 0n).length + 1 + 1 + 10);
    expect(bench.hart.state.instret - before).toBe(li(7, 0n).length + 1 + 10);
  });
});
