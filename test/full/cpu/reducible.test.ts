import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { analyze } from '#engines/full/cpu/translator/graph.js';
import { makeReducible } from '#engines/full/cpu/translator/reducible.js';
import { Block, type Edge } from '#engines/full/cpu/translator/region.js';

// Loops with several entrances, by copying: whatever the graph, the ways through it stay the same, and none is cut off as long
// as there is room for copies.

/** Blocks without instructions; each leads to two others, by number, the first of which is the entry. */
function graphOf(targets: readonly (readonly [number, number])[]): Block {
  const blocks = targets.map((_, at) => new Block(at, [], { kind: 'next', next: { to: undefined, at } }));
  const edge = (at: number): Edge => ({ to: blocks[at % blocks.length], at: at % blocks.length });
  targets.forEach(([taken, next], at) => {
    blocks[at].end = { kind: 'branch', taken: edge(taken), next: edge(next) };
  });
  return blocks[0];
}

/** Where the graph is after each of some turns. */
function walk(entry: Block, turns: readonly boolean[]): (number | undefined)[] {
  let block: Block | undefined = entry;
  return turns.map((turn) => {
    const edges: Edge[] = block?.edges() ?? [];
    block = edges[turn ? 0 : 1]?.to;
    return block?.at;
  });
}

const graph = fc.array(fc.tuple(fc.nat(20), fc.nat(20)), { minLength: 2, maxLength: 14 });

describe('graphs with loops of several entrances', () => {
  it('keep all ways through them', () => {
    const property = fc.property(graph, fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }), (targets, turns) => {
      const before = walk(graphOf(targets), turns);
      const entry = graphOf(targets);
      expect(makeReducible(entry, 100_000)).toBe(true);
      analyze(entry);
      expect(walk(entry, turns)).toEqual(before);
    });
    fc.assert(property, { numRuns: 500 });
  });

  it('need few copies where such loops are nested', () => {
    // Three loops within each other, each of them entered at its head and in its middle.
    const nest = [
      [1, 2],
      [2, 3],
      [3, 6],
      [4, 5],
      [5, 6],
      [3, 7],
      [7, 1],
      [8, 4],
      [1, 5],
    ] as const;
    const entry = graphOf(nest);
    expect(makeReducible(entry, 30)).toBe(true);
  });
});
