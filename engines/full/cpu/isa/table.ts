import { ATOMICS } from './atomics.js';
import { BASE } from './base.js';
import { BITMANIP } from './bitmanip.js';
import { COMPRESSED } from './compressed.js';
import type { Definition } from './definition.js';
import { FLOAT_ARITHMETIC } from './float.js';
import { FLOAT_FUSED } from './float-fused.js';
import { FLOAT_MOVES } from './float-moves.js';
import { MULDIV } from './muldiv.js';

/** The one table of instruction definitions: decoder, interpreter and translator are made from it. */
export const DEFINITIONS: readonly Definition[] = [
  ...BASE,
  ...MULDIV,
  ...ATOMICS,
  ...BITMANIP,
  ...FLOAT_MOVES,
  ...FLOAT_ARITHMETIC,
  ...FLOAT_FUSED,
];

export { COMPRESSED };

/** Names of what softFloat may be asked for, in a fixed order: an index stands for a name in emitted code. */
export const SOFT_FLOAT_NAMES: readonly string[] = DEFINITIONS.filter(
  ({ mask, match }) => [0x43, 0x47, 0x4b, 0x4f, 0x53].includes(match & 0x7f) && mask !== 0,
).map(({ name }) => name);
