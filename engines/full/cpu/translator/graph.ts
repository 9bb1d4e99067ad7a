import { makeReducible } from './reducible.js';
import type { Block, Edge } from './region.js';

/** Instructions that may be copied to make a region's loops reducible. */
const MOST_COPIED = 300;

/**
 * Prepares a region's graph for structured code: blocks in reverse postorder, each with its dominator. Where loops with several
 * entrances would take too much copying, edges into them are made ways out of the region: what lies there becomes a region of
 * its own when it is hot.
 */
export function analyze(entry: Block): Block[] {
  makeReducible(entry, MOST_COPIED);
  for (;;) {
    const blocks = reversePostorder(entry);
    findDominators(blocks);
    const irreducible = blocks.flatMap((block) => block.edges().filter((edge) => isIrreducible(block, edge)));
    if (irreducible.length === 0) {
      classify(blocks);
      return blocks;
    }
    for (const each of irreducible) each.to = undefined;
  }
}

/** Whether an edge goes back (or stays). */
export const goesBack = (from: Block, to: Block): boolean => to.order <= from.order;

function reversePostorder(entry: Block): Block[] {
  const seen = new Set<Block>([entry]);
  const postorder: Block[] = [];
  const stack = [{ block: entry, edges: entry.edges().slice() }];
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    const next = top.edges.pop()?.to;
    if (next !== undefined && !seen.has(next)) {
      seen.add(next);
      stack.push({ block: next, edges: next.edges().slice() });
    } else if (next === undefined && top.edges.length === 0) {
      postorder.push(top.block);
      stack.pop();
    }
  }
  const blocks = postorder.reverse();
  blocks.forEach((block, order) => {
    block.order = order;
    block.dominator = undefined;
    block.dominated.length = 0;
  });
  return blocks;
}

/** Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001). The entry dominates itself here. */
function findDominators(blocks: readonly Block[]): void {
  const predecessors: Block[][] = blocks.map(() => []);
  for (const block of blocks) {
    for (const { to } of block.edges()) if (to !== undefined) predecessors[to.order].push(block);
  }
  blocks[0].dominator = blocks[0];
  for (let changed = true; changed; ) {
    changed = false;
    for (let order = 1; order < blocks.length; order++) {
      const dominator = commonOf(predecessors[order]);
      if (blocks[order].dominator !== dominator) changed = true;
      blocks[order].dominator = dominator;
    }
  }
}

/** The nearest block that dominates all of those whose dominators are known: in reverse postorder there is one. */
function commonOf(blocks: readonly Block[]): Block | undefined {
  let found: Block | undefined;
  for (const block of blocks) {
    if (block.dominator !== undefined) found = found === undefined ? block : common(found, block);
  }
  return found;
}

function common(a: Block, b: Block): Block {
  let x = a;
  let y = b;
  while (x !== y) {
    if (x.order > y.order) x = x.dominator as Block;
    else y = y.dominator as Block;
  }
  return x;
}

/** Whether all ways to `b` lead through `a`. */
export function dominates(a: Block, b: Block): boolean {
  let block = b;
  while (block.order > a.order) block = block.dominator as Block;
  return block === a;
}

const isIrreducible = (from: Block, { to }: Edge): boolean =>
  to !== undefined && goesBack(from, to) && !dominates(to, from);

/** Loop heads, places where paths meet, and the dominator tree's children. */
function classify(blocks: readonly Block[]): void {
  for (const block of blocks) {
    block.forwardEdges = 0;
    block.loopHead = false;
  }
  for (const block of blocks) {
    if (block !== blocks[0]) (block.dominator as Block).dominated.push(block);
    for (const { to } of block.edges()) {
      if (to === undefined) continue;
      if (goesBack(block, to)) to.loopHead = true;
      else to.forwardEdges++;
    }
  }
}
