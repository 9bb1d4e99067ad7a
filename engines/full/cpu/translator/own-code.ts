import type { CodeSource } from './code-source.js';

/** Bytes from a function's entry in which its own code is looked for, and calls (jal, jalr) write their return address to ra. */
const LIMITS = { function: 4096, ra: 1 } as const;

/**
 * Whether what is executed from `entry` on, without what is called there, leads to `place`: both are in the same function then.
 * Only instructions between entry and LIMITS.function behind it count, each is looked at once.
 */
export function leadsTo(source: CodeSource, entry: number, place: number): boolean {
  const end = entry + LIMITS.function;
  if (place < entry || place >= end) return false;
  const seen = new Set<number>([entry]);
  const add = (at: number): void => {
    if (at >= entry && at < end) seen.add(at);
  };
  for (const at of seen) {
    if (at === place) return true;
    const instruction = source.instruction(at);
    if (instruction === undefined) continue;
    const { definition, operands, length } = instruction;
    const { flow } = definition;
    const call = flow !== 'branch' && operands.rd === LIMITS.ra;
    if (flow === 'branch' || (flow === 'jump' && !call)) add(at + operands.imm);
    if (flow === 'next' || flow === 'branch' || call) add(at + length);
  }
  return false;
}
