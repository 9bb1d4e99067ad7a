import type { Instruction } from './code-source.js';

/** A load or store as its address check sees it. */
export interface AccessKind {
  readonly bytes: number;
  readonly writing: boolean;
}

const kinds = (bytes: number, loads: readonly string[], stores: readonly string[]): [string, AccessKind][] => [
  ...loads.map((name): [string, AccessKind] => [name, { bytes, writing: false }]),
  ...stores.map((name): [string, AccessKind] => [name, { bytes, writing: true }]),
];

const KINDS: ReadonlyMap<string, AccessKind> = new Map([
  ...kinds(1, ['lb', 'lbu'], ['sb']),
  ...kinds(2, ['lh', 'lhu'], ['sh']),
  ...kinds(4, ['lw', 'lwu', 'flw'], ['sw', 'fsw']),
  ...kinds(8, ['ld', 'fld'], ['sd', 'fsd']),
]);

/** What a load or store does; undefined for all other instructions, atomic ones too. */
export const accessKind = ({ definition }: Instruction): AccessKind | undefined => KINDS.get(definition.name);
