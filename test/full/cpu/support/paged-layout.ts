import { RAM_BASE } from '#engines/full/cpu/hart.js';
import { FLOW } from './random-flow.js';

/** Where random-paged.ts puts what, and what its registers are for. */

export const PAGE = 4096;
export const HANDLER = RAM_BASE + 0x800;
export const SEEDS = RAM_BASE + 0x1_0000;
export const DUMP = RAM_BASE + 0x1_1000;
export const TRAPS = DUMP + 0x400;
export const DATA_PAGES = 8;
export const DATA = DUMP + PAGE;
export const PAGED_DUMP_BYTES = (1 + DATA_PAGES) * PAGE;
export const CONSTANTS = DATA + DATA_PAGES * PAGE;
export const CODE_PAGES = 32;
export const CODE = RAM_BASE + 0x2_0000;
export const TABLES = RAM_BASE + 0x6_0000;
export const IMAGE_BYTES = 0x8_0000;

/** Virtual addresses, all of them within one table of the lowest level. */
export const AT = {
  data: 0x4_0000,
  dataPages: 16,
  table: 0x8_0000,
  constants: 0x8_1000,
  code: 0x10_0000,
  /** The same code for U-mode, and to be written to. */
  user: 0x14_0000,
  patch: 0x18_0000,
} as const;
export const TO_OTHER_MODE = AT.code ^ AT.user;

export const BIT = { V: 1, R: 2, W: 4, X: 8, U: 16, A: 64, D: 128 } as const;
export const ENTRIES = 16;
export const ROOTS = 2;
export const PATCHES = 16;
export const FUNCTIONS = 4;
export const FUNCTION_BYTES = 64;

/** Registers that random instructions do not write. */
export const REGISTER = {
  link: 3,
  rounds: 4,
  items: 23,
  functions: 24,
  entry: 25,
  constants: 26,
  base: 27,
  mask: 28,
  traps: 31,
};
export const POINTERS = [2, 8, 9, 30];
export const RESERVED: readonly number[] = [...Object.values(REGISTER), ...Object.values(FLOW), ...POINTERS];
export const TEMPORARY = 5;
export const OTHER = 6;

/** The code begins with functions and lines that are patched; these cross from its first page into its second. */
export const FUNCTIONS_AT = PAGE - FUNCTIONS * FUNCTION_BYTES - 6;
export const PATCH_AT = FUNCTIONS_AT + FUNCTIONS * FUNCTION_BYTES;
export const MAIN_AT = PATCH_AT + (PATCHES + 1) * 4;
