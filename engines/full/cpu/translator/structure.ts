import type { Body, Label } from '../wasm/body.js';
import { goesBack } from './graph.js';
import type { Block, Edge } from './region.js';

/**
 * Structured code out of a reducible graph by its dominator tree (Ramsey, "Beyond Relooper", ICFP 2022): a block where
 * paths meet is placed behind a wasm block that its dominator opens, a loop's head opens a wasm loop, all else is nested
 * where it is branched to. V8 makes much better code of it than of a dispatching loop.
 */
export class Structure {
  private readonly labels = new Map<Block, Label>();

  constructor(
    private readonly body: Body,
    /** Emits a block's code; must end by go() or by leaving on every path. */
    private readonly emitBlock: (block: Block) => void,
    /** Emits what comes before `again`, which goes on with a loop's head from its end. */
    private readonly emitBack: (head: Block, again: () => void) => void,
    private readonly leave: (at: number) => void,
  ) {}

  emit(block: Block): void {
    if (!block.loopHead) {
      this.emitWithin(block);
      return;
    }
    this.body.loop((label) => {
      this.labels.set(block, label);
      this.emitWithin(block);
    });
  }

  /** On from a block. */
  go(from: Block, edge: Edge): void {
    const { to } = edge;
    if (to === undefined) this.leave(edge.at);
    else if (goesBack(from, to)) this.emitBack(to, () => this.branch(to));
    else if (isMeeting(to)) this.branch(to);
    else this.emit(to);
  }

  private branch(to: Block): void {
    this.body.br(this.labels.get(to) as Label);
  }

  /** The block, with those that it dominates and where paths meet behind it, the last one outermost. */
  private emitWithin(block: Block): void {
    const meetings = block.dominated.filter(isMeeting).sort((a, b) => b.order - a.order);
    this.nest(block, meetings);
  }

  private nest(block: Block, [last, ...others]: readonly Block[]): void {
    if (last === undefined) {
      this.emitBlock(block);
      return;
    }
    this.body.block((label) => {
      this.labels.set(last, label);
      this.nest(block, others);
    });
    this.emit(last);
  }
}

const isMeeting = (block: Block): boolean => block.forwardEdges > 1;
