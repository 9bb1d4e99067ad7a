import { addi, bType, jal, jalr } from './encode.js';

/** Registers that only the control flow writes. */
export const FLOW = { link: 1, counter: 29 } as const;

const FUNCT3 = [0, 1, 4, 5, 6, 7];
const halves = (insn: number): number[] => [insn & 0xffff, (insn >>> 16) & 0xffff];
const bytes = (code: readonly number[]): number => code.length * 2;

/**
 * Random instructions in random control flow: branches over several of them, counted loops, calls that return. Gives
 * half-words; `plain` makes one instruction, `computing` one that writes a register and can do nothing else.
 */
export function randomFlow(
  random: (below: number) => number,
  instructions: number,
  plain: () => number[],
  computing: () => number[],
): number[] {
  const line = (most: number): number[] => Array.from({ length: 1 + random(most) }, plain).flat();

  const skip = (): number[] => {
    const over = line(6);
    return [...halves(bType(FUNCT3[random(6)])(random(32), random(32), 4 + bytes(over))), ...over];
  };

  /** One of two short lines, which may be computed both; often in registers that both write. */
  const choice = (): number[] => {
    const ways = [0, 1].map(() => Array.from({ length: random(4) }, computing).flat());
    const [next, taken] = ways;
    const condition = bType(FUNCT3[random(6)]);
    const over = random(2) === 0 ? next : [...next, ...halves(jal(0, 4 + bytes(taken)))];
    const [a, b] = [10 + random(6), random(2) * (10 + random(6))];
    return [...halves(condition(a, b, 4 + bytes(over))), ...over, ...(over === next ? [] : taken)];
  };

  const call = (): number[] => {
    const body = line(8);
    const leave = 4 + bytes(body) + 4;
    return [...halves(jal(FLOW.link, 8)), ...halves(jal(0, leave)), ...body, ...halves(jalr(0, FLOW.link, 0))];
  };

  const loop = (): number[] => {
    const parts = Array.from({ length: 1 + random(3) }, () => [line, skip, call, choice][random(4)](4));
    const body = parts.flat();
    const again = bType(1)(FLOW.counter, 0, -(bytes(body) + 4));
    const start = addi(FLOW.counter, 0, 1 + random(12));
    return [...halves(start), ...body, ...halves(addi(FLOW.counter, FLOW.counter, -1)), ...halves(again)];
  };

  const code: number[] = [];
  while (code.length < instructions * 2) {
    const what = random(16);
    code.push(...(what === 0 ? loop() : what === 1 ? call() : what === 2 ? skip() : what === 3 ? choice() : plain()));
  }
  return code;
}
