import { asItIs, type Knowledge, type Linear, termsKey } from './affine.js';
import { goesBack } from './graph.js';
import type { Block } from './region.js';

/** Names below are the registers' as they were when the region was entered. */
const FIRST_NAME = 32;

/**
 * Value numbering over a region's graph: what each register holds at a block's start in terms of named values, each of
 * which has one definition. A register that is written in a loop, or differs where paths meet, gets a new name there.
 */
export class ValueNames {
  private readonly ends = new Map<Block, Knowledge>();
  private readonly sources = new Map<Block, Block[]>();
  private name = FIRST_NAME;

  /** `blocks` in reverse postorder. */
  constructor(blocks: readonly Block[]) {
    for (const block of blocks) {
      for (const { to } of block.edges()) {
        if (to !== undefined) this.sources.set(to, [...(this.sources.get(to) ?? []), block]);
      }
    }
  }

  /** A name that nothing has. */
  next(): number {
    return this.name++;
  }

  setEnd(block: Block, known: Knowledge): void {
    this.ends.set(block, known);
  }

  /** The ends of all earlier blocks must have been set. */
  atStart(block: Block): Knowledge {
    const sources = this.sources.get(block) ?? [];
    const before = sources.filter((from) => !goesBack(from, block)).map((from) => this.ends.get(from) as Knowledge);
    if (block.order === 0) before.push(asItIs());
    const written = block.loopHead ? this.writtenInLoop(block) : undefined;
    return before[0].map((value, register) => {
      const same = before.every((each) => sameValue(each[register], value));
      return same && value !== undefined && !written?.has(register) ? value : this.named();
    });
  }

  private named(): Linear {
    return { terms: new Map([[this.next(), 1]]), low: 0, high: 0 };
  }

  private writtenInLoop(head: Block): ReadonlySet<number> {
    const inside = new Set<Block>([head]);
    const queue = (this.sources.get(head) ?? []).filter((from) => goesBack(from, head));
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      if (inside.has(next)) continue;
      inside.add(next);
      queue.push(...(this.sources.get(next) ?? []));
    }
    const written = new Set<number>();
    for (const { instructions } of inside) {
      for (const { definition, operands } of instructions) if (definition.writesX) written.add(operands.rd);
    }
    written.delete(0);
    return written;
  }
}

/** Only exact values are told apart from others: those without a spread. */
function sameValue(a: Linear | undefined, b: Linear | undefined): boolean {
  if (a === b) return true;
  return a !== undefined && b !== undefined && a.low === b.low && a.high === b.high && termsKey(a) === termsKey(b);
}
