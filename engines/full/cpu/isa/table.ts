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
