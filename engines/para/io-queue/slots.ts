/** Slots of the I/O queue, and lists of them. Under the queue's lock. */
import { QUEUE_SLOT_WORDS, QUEUE_SLOTS_WORD, SLOT } from '../hypervisor-memory.js';

/** Index of a slot; -1: none. */
export type Slot = number;
export const NO_SLOT: Slot = -1;

export const slotWord = (slot: Slot): number => QUEUE_SLOTS_WORD + slot * QUEUE_SLOT_WORDS;

/** Lists are a head word and, right behind it, a tail word. */
export function listAppend(i32: Int32Array, head: number, slot: Slot): void {
  i32[slotWord(slot) + SLOT.next] = NO_SLOT;
  if (i32[head] === NO_SLOT) i32[head] = slot;
  else i32[slotWord(i32[head + 1]) + SLOT.next] = slot;
  i32[head + 1] = slot;
}

export function listTake(i32: Int32Array, head: number): Slot {
  const slot = i32[head];
  if (slot !== NO_SLOT) i32[head] = i32[slotWord(slot) + SLOT.next];
  return slot;
}
