import { accessKind } from './accesses.js';
import { addressOf, afterNamed, asItIs, type Knowledge, termsKey } from './affine.js';
import type { Instruction } from './code-source.js';

/**
 * Loads and stores of a straight line whose addresses differ by constants, as when a function saves registers: the first
 * one checks for all of them. Where the check fails each looks for itself.
 */
export interface Merge {
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

const LARGEST_EXTENT = 512;
/** Names of values that are not linear in registers. */
const FIRST_NAME = 32;

interface Open {
  readonly merge: Merge;
  readonly from: number;
  readonly members: Instruction[];
}

/** The merges of a straight line by their members; `apart` are checked otherwise. */
export function mergeAccesses(
  instructions: readonly Instruction[],
  apart: ReadonlyMap<Instruction, unknown> | undefined,
): ReadonlyMap<Instruction, Merge> {
  const open = new Map<string, Open>();
  const merges = new Map<Instruction, Merge>();
  let known: Knowledge = asItIs();
  instructions.forEach((instruction, index) => {
    if (!apart?.has(instruction)) add(instruction, known, open, merges);
    known = afterNamed(instruction, known, FIRST_NAME + index);
  });
  return merges;
}

function add(
  instruction: Instruction,
  known: Knowledge,
  open: Map<string, Open>,
  merges: Map<Instruction, Merge>,
): void {
  const kind = accessKind(instruction);
  const address = kind && addressOf(instruction, known);
  if (kind === undefined || address === undefined) return;
  const key = termsKey(address);
  const group = open.get(key);
  const { imm } = instruction.operands;
  if (group === undefined || !widen(group, address.low, kind.bytes)) {
    const merge = {
      first: instruction,
      low: 0,
      high: kind.bytes,
      writing: kind.writing,
      writes: kind.writing,
      leastOffset: imm,
    };
    open.set(key, { merge, from: address.low, members: [instruction] });
    return;
  }
  group.members.push(instruction);
  group.merge.writing ||= kind.writing;
  group.merge.leastOffset = Math.min(group.merge.leastOffset, imm);
  for (const member of group.members) merges.set(member, group.merge);
}

function widen({ merge, from }: Open, address: number, bytes: number): boolean {
  const low = Math.min(merge.low, address - from);
  const high = Math.max(merge.high, address - from + bytes);
  if (high - low > LARGEST_EXTENT) return false;
  merge.low = low;
  merge.high = high;
  return true;
}
