import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '#engines/full/cpu/hart.js';
import { BareMachine } from './support/bare-hart.js';
import { fenceI, hang } from './support/encode.js';
import { INTEGER_MODEL } from './support/integer-model.js';

const machine = new BareMachine();
const { hart } = machine;

/** Words where carries, signs and shifts go wrong, beside random ones. */
const word = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.constantFrom(0n, 1n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n, (1n << 31n) - 1n, 1n << 31n, (1n << 32n) - 1n),
  fc.bigInt({ min: 0n, max: 70n }),
);
const register = fc.integer({ min: 0, max: 31 });

function execute(insn: number): void {
  machine.code([fenceI, insn, hang]);
  hart.state.pc = BigInt(RAM_BASE);
  hart.run(3);
}

describe('integer instructions against a model written from the specification', () => {
  for (const { name, encode, evaluate, immediate } of INTEGER_MODEL) {
    it(name, () => {
      const imm = fc.integer({ min: immediate?.low ?? 0, max: immediate?.high ?? 0 });
      fc.assert(
        fc.property(register, register, register, word, word, imm, (rd, rs1, rs2, a, b, constant) => {
          hart.state.setX(rs1, a);
          hart.state.setX(rs2, b);
          const left = hart.state.x(rs1);
          const right = immediate ? BigInt(constant) : hart.state.x(rs2);
          execute(encode(rd, rs1, immediate ? constant : rs2));
          expect(hart.state.x(rd)).toBe(rd === 0 ? 0n : evaluate(left, right));
          expect(hart.state.pc).toBe(BigInt(RAM_BASE + 8));
        }),
        { numRuns: 150 },
      );
    });
  }
});
