/** Which samples of two engines belong together. */
import type { Cell, Round } from './results.js';

/** Figures of the rounds that both have, in the order of the first's. */
export function pairedRounds(rounds: readonly Round[], others: readonly Round[]): [number, number][] {
  return rounds.flatMap((round): [number, number][] => {
    const other = others.find((candidate) => candidate.round === round.round);
    return other === undefined ? [] : [[round.value, other.value]];
  });
}

/** How many times as good `cell` was as `reference`, for each pair of their samples; empty when one has no figure. */
export function pairedRatios(cell: Cell, reference: Cell): number[] {
  if (cell.status !== 'ok' || reference.status !== 'ok') return [];
  return pairedRounds(cell.rounds, reference.rounds).map(([value, base]) =>
    cell.higherIsBetter ? value / base : base / value,
  );
}
