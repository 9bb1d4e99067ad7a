import { Block, type Edge, redirect } from './region.js';

/** Blocks from which each other can be reached, and those of them that are entered from elsewhere. */
interface Tangle {
  readonly blocks: ReadonlySet<Block>;
  readonly entrances: readonly Block[];
}

/**
 * Gives each loop of a graph one entrance: of those that a loop has (compilers merge the ends of branches, and regions begin
 * anywhere) one becomes its head, and what is executed from the others until the head is reached is copied, so that it lies
 * before the loop. Outer loops come first, then what is within them, without their heads; copies likewise. False when more
 * than `most` instructions would be copied.
 *
 * To copy single blocks until none is entered from the side does not end where loops are nested: it unrolls them.
 */
export function makeReducible(entry: Block, most: number): boolean {
  for (let left = most; ; ) {
    const blocks = reachable(entry);
    const sources = sourcesOf(blocks);
    const tangle = findTangle(entry, blocks, sources);
    if (tangle === undefined) return true;
    const copied = cheapest(tangle);
    left -= lengthOf(copied);
    if (left < 0) return false;
    peel(tangle, copied);
  }
}

type Sources = ReadonlyMap<Block, readonly Block[]>;

const lengthOf = (blocks: ReadonlySet<Block>): number =>
  [...blocks].reduce((sum, { instructions }) => sum + instructions.length + 1, 0);

const successors = (block: Block): Block[] =>
  block
    .edges()
    .map(({ to }) => to)
    .filter((to) => to !== undefined);

/** What can be reached from blocks within some, themselves among it; not beyond `barrier`. */
function reachableFrom(starts: readonly Block[], within: ReadonlySet<Block> | undefined, barrier?: Block): Set<Block> {
  const seen = new Set<Block>(starts);
  for (const block of seen) {
    for (const to of successors(block)) if (to !== barrier && (within === undefined || within.has(to))) seen.add(to);
  }
  return seen;
}

const reachable = (entry: Block): Set<Block> => reachableFrom([entry], undefined);

function sourcesOf(blocks: ReadonlySet<Block>): Sources {
  const sources = new Map<Block, Block[]>([...blocks].map((block) => [block, []]));
  for (const block of blocks) for (const to of successors(block)) sources.get(to)?.push(block);
  return sources;
}

/** A loop with several entrances, the outermost one first. */
function findTangle(entry: Block, within: ReadonlySet<Block>, sources: Sources): Tangle | undefined {
  for (const blocks of components(within)) {
    const entrances = [...blocks].filter(
      (block) => block === entry || (sources.get(block) ?? []).some((from) => !blocks.has(from)),
    );
    if (entrances.length > 1) return { blocks, entrances };
    const inner = findTangle(entry, new Set([...blocks].filter((block) => block !== entrances[0])), sources);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

/** What must be copied for the head that costs least: all that the other entrances lead to before the head. */
function cheapest({ blocks, entrances }: Tangle): Set<Block> {
  const choices = entrances.map((head) =>
    reachableFrom(
      entrances.filter((each) => each !== head),
      blocks,
      head,
    ),
  );
  return choices.reduce((best, each) => (lengthOf(each) < lengthOf(best) ? each : best));
}

/** What is copied lies before the loop, as it is; its copies take its place in the loop. */
function peel({ blocks }: Tangle, copied: ReadonlySet<Block>): void {
  const copies = new Map([...copied].map((block) => [block, new Block(block.at, block.instructions, block.end)]));
  const moved = (edge: Edge): Edge => ({ to: (edge.to && copies.get(edge.to)) ?? edge.to, at: edge.at });
  const inside = [...blocks].filter((block) => !copied.has(block));
  for (const block of [...copies.values(), ...inside]) block.end = redirect(block.end, moved);
}

/** Strongly connected components with an edge inside (Tarjan, "Depth-First Search and Linear Graph Algorithms", 1972). */
function components(within: ReadonlySet<Block>): Set<Block>[] {
  const found: Set<Block>[] = [];
  const numbers = new Map<Block, number>();
  const open: Block[] = [];
  const isOpen = new Set<Block>();
  const visit = (block: Block): number => {
    const number = numbers.size;
    numbers.set(block, number);
    open.push(block);
    isOpen.add(block);
    let low = number;
    for (const to of successors(block)) {
      if (!within.has(to)) continue;
      if (!numbers.has(to)) low = Math.min(low, visit(to));
      else if (isOpen.has(to)) low = Math.min(low, numbers.get(to) as number);
    }
    if (low === number) {
      const members = new Set(open.splice(open.indexOf(block)));
      for (const each of members) isOpen.delete(each);
      if (members.size > 1 || successors(block).includes(block)) found.push(members);
    }
    return low;
  };
  for (const block of within) if (!numbers.has(block)) visit(block);
  return found;
}
