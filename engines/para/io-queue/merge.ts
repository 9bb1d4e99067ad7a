/** Merging: requests that were released one behind the other and follow one another on the disk are one operation of the device. */
import { BLKIF_OP_READ, BLKIF_OP_WRITE } from '../abi.js';
import { flowWord, type HypervisorMemory, SLOT } from '../hypervisor-memory.js';
import { Device, flowOf, REC } from './records.js';
import { listTake, NO_SLOT, type Slot, slotWord } from './slots.js';

/** Of one operation: as large as one request may be, and as many pieces of memory as an indirect one has. */
const BYTES_MAX = 1 << 20;
const SEGMENTS_MAX = 256;

/** `next` goes on where `slot` ends, and moves data the same way. Both of one domain. */
export function follows({ i32, f64 }: HypervisorMemory, slot: Slot, next: Slot): boolean {
  const [a, b] = [slotWord(slot), slotWord(next)];
  const operation = i32[a + SLOT.operation];
  if (operation !== i32[b + SLOT.operation] || (i32[a + SLOT.status] | i32[b + SLOT.status]) < 0) return false;
  if (operation !== BLKIF_OP_READ && operation !== BLKIF_OP_WRITE) return false;
  return f64[(b + SLOT.offset) / 2] === f64[(a + SLOT.offset) / 2] + i32[a + SLOT.bytes];
}

/** Takes out of a ready list what follows the slot that was taken last, and links it by SLOT.together. Under the queue's lock. */
export function takeFollowing(hv: HypervisorMemory, head: number, first: Slot): void {
  const { i32 } = hv;
  let bytes = i32[slotWord(first) + SLOT.bytes];
  let segments = i32[slotWord(first) + SLOT.segments];
  let last = first;
  for (let next = i32[head]; next !== NO_SLOT && follows(hv, last, next); next = i32[head]) {
    bytes += i32[slotWord(next) + SLOT.bytes];
    segments += i32[slotWord(next) + SLOT.segments];
    if (bytes > BYTES_MAX || segments > SEGMENTS_MAX) return;
    listTake(i32, head);
    i32[slotWord(last) + SLOT.together] = next;
    last = next;
    hv.f64[flowWord(flowOf(i32[slotWord(next) + SLOT.domain], Device.vbd)) / 2 + REC.merged]++;
  }
}
