import { mostOf } from './choices.js';
import { goesBack } from './graph.js';
import type { Block, Edge } from './region.js';

/**
 * When executed instructions are subtracted from what the slice has left. Only loops' ends and the region's ways out look at
 * it, so a block passes on what it owes to the next one; where paths of different lengths meet, those that owe something else
 * than most of them do pay the difference on the way there.
 */
export class Counting {
  /** What is owed at each block's start. */
  private readonly owed = new Map<Block, number>();

  /** `blocks` in reverse postorder. */
  constructor(blocks: readonly Block[]) {
    const arriving = new Map<Block, number[]>();
    for (const block of blocks) {
      const here = mayOwe(block) ? mostCommon(arriving.get(block) ?? [0]) : 0;
      this.owed.set(block, here);
      for (const { to } of block.edges()) {
        if (to === undefined || goesBack(block, to)) continue;
        arriving.set(to, [...(arriving.get(to) ?? []), this.atEnd(block)]);
      }
    }
  }

  /** What is owed at the block's end. */
  atEnd(block: Block): number {
    return (this.owed.get(block) as number) + mostOf(block.instructions);
  }

  /** What must be subtracted on the way along an edge. */
  onEdge(from: Block, { to }: Edge): number {
    return this.atEnd(from) - (to === undefined ? 0 : (this.owed.get(to) as number));
  }
}

/** Where a loop begins its count is looked at; the same where strips are chosen. */
const mayOwe = ({ loopHead, end }: Block): boolean => !loopHead && end.kind !== 'strip' && end.kind !== 'gate';

function mostCommon(values: readonly number[]): number {
  const times = (value: number): number => values.filter((each) => each === value).length;
  return values.reduce((best, each) => (times(each) > times(best) ? each : best));
}
