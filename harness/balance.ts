/**
 * The order in which engines take their samples within the rounds of a cell.
 *
 * Any fixed order hands the host's drift (heat, caches, a neighbour that starts) to the same engine each time. Williams'
 * designs (E. J. Williams, 1949) are Latin squares in which also every engine follows every other equally often: one
 * square for an even number of engines, a square and its mirror image for an odd one.
 */
import { type Random, shuffled } from './random.js';

/**
 * Orders for `rounds` rounds. Every block of engines.length rounds is a Latin square: each engine stands once in each
 * position. The assignment of engines to the design and the order of rows within a block come from `random`.
 */
export function balancedOrders<T>(engines: readonly T[], rounds: number, random: Random): T[][] {
  if (engines.length === 0) return Array.from({ length: rounds }, () => []);
  const names = shuffled(engines, random);
  const orders: T[][] = [];
  for (let block = 0; orders.length < rounds; block++) {
    const square = names.map((_, row) => williamsRow(names.length, row, block));
    orders.push(...shuffled(square, random).map((row) => row.map((index) => names[index])));
  }
  return orders.slice(0, rounds);
}

/** Row of the cyclic design 0, 1, n-1, 2, n-2, … shifted by `row`; every other block of an odd design is mirrored. */
function williamsRow(n: number, row: number, block: number): number[] {
  const first = Array.from({ length: n }, (_, i) => (i % 2 === 1 ? (i + 1) / 2 : (n - i / 2) % n));
  const shifted = first.map((index) => (index + row) % n);
  return n % 2 === 1 && block % 2 === 1 ? shifted.reverse() : shifted;
}
