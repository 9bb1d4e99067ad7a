import { type AccessKind, accessKind } from './accesses.js';
import { addressOf, afterNamed, termsKey } from './affine.js';
import type { Instruction } from './code-source.js';
import { dominates } from './graph.js';
import type { Block } from './region.js';
import { ValueNames } from './value-names.js';

/**
 * Loads and stores whose addresses differ by constants, as when a function saves registers or follows a structure's
 * pointer: the first one, which dominates all others, checks for all of them. Where the check fails each looks for itself.
 */
export interface Merge {
  readonly block: Block;
  readonly first: Instruction;
  /** Bytes from the first one's address to the lowest one (not positive), and to the end of the highest. */
  low: number;
  high: number;
  /** One of them is a store; the first is. */
  writing: boolean;
  readonly writes: boolean;
  /** The least immediate offset. */
  leastOffset: number;
}

/** The merges of a region, by block and member. */
export type Merges = ReadonlyMap<Block, ReadonlyMap<Instruction, Merge>>;

const LARGEST_EXTENT = 512;

interface Access {
  readonly block: Block;
  readonly instruction: Instruction;
  readonly kind: AccessKind;
  /** Less what all of the same terms have in common. */
  readonly address: number;
}

interface Open {
  readonly merge: Merge;
  readonly from: number;
  readonly members: Access[];
}

/** Finds the merges of an analyzed region. Accesses that strips have checked are left alone. */
export function mergeAccesses(blocks: readonly Block[]): Merges {
  const names = new ValueNames(blocks);
  const open = new Map<string, Open[]>();
  for (const block of blocks) {
    let known = names.atStart(block);
    for (const instruction of block.instructions) {
      const kind = block.trusted?.has(instruction) ? undefined : accessKind(instruction);
      const address = kind && addressOf(instruction, known);
      if (kind !== undefined && address !== undefined) {
        add({ block, instruction, kind, address: address.low }, termsKey(address), open);
      }
      known = afterNamed(instruction, known, names.next());
    }
    names.setEnd(block, known);
  }
  return byMember([...open.values()].flat());
}

function add(access: Access, key: string, open: Map<string, Open[]>): void {
  const groups = open.get(key) ?? [];
  open.set(key, groups);
  const group = groups.findLast((each) => fits(each, access) && widen(each, access));
  if (group !== undefined) {
    group.members.push(access);
    group.merge.writing ||= access.kind.writing;
    group.merge.leastOffset = Math.min(group.merge.leastOffset, access.instruction.operands.imm);
    return;
  }
  const { block, instruction, kind } = access;
  const merge = {
    block,
    first: instruction,
    low: 0,
    high: kind.bytes,
    writing: kind.writing,
    writes: kind.writing,
    leastOffset: instruction.operands.imm,
  };
  groups.push({ merge, from: access.address, members: [access] });
}

/** Stores that may never come do not make a check fail where only reading is possible. */
const fits = ({ merge }: Open, { block, kind }: Access): boolean =>
  block === merge.block || ((merge.writing || !kind.writing) && dominates(merge.block, block));

function widen({ merge, from }: Open, { address, kind }: Access): boolean {
  const low = Math.min(merge.low, address - from);
  const high = Math.max(merge.high, address - from + kind.bytes);
  if (high - low > LARGEST_EXTENT) return false;
  merge.low = low;
  merge.high = high;
  return true;
}

function byMember(groups: readonly Open[]): Merges {
  const merges = new Map<Block, Map<Instruction, Merge>>();
  for (const { merge, members } of groups) {
    if (members.length === 1) continue;
    for (const { block, instruction } of members) {
      const ofBlock = merges.get(block) ?? new Map<Instruction, Merge>();
      merges.set(block, ofBlock.set(instruction, merge));
    }
  }
  return merges;
}
