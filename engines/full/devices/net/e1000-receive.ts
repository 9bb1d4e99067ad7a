/** The receive side of the 8254x (manual, 3.2): address and VLAN filters, and legacy descriptors in guest memory. */
import { BUS_ERROR, type GuestRam, guestAddress } from '../device.js';
import { DESCRIPTOR_BYTES, RAH_VALID, RCTL, REG, RX_STATUS } from './e1000-registers.js';

const STATIONS = 16;
/** RCTL.MO: which twelve of the last sixteen bits of the address choose the multicast table's bit (3.2.1). */
const MULTICAST_SHIFT = [4, 3, 2, 0];

/** Status bits when the filter lets the frame (14 bytes or more) in, or -1. regs: the card's registers, by word. */
export function filterFrame(frame: Uint8Array, regs: Uint32Array): number {
  const rctl = regs[REG.RCTL >> 2];
  if (isStation(frame, regs)) return 0;
  if (!(frame[0] & 1)) return rctl & RCTL.UPE ? 0 : -1;
  if (rctl & RCTL.MPE || (rctl & RCTL.BAM && isBroadcast(frame))) return 0;
  const hash = (((frame[5] << 8) | frame[4]) >> MULTICAST_SHIFT[(rctl >>> 12) & 3]) & 0xfff;
  const wanted = regs[(REG.MTA >> 2) + (hash >> 5)] & (1 << (hash & 31));
  return wanted ? RX_STATUS.PIF : -1;
}

export const isBroadcast = (frame: Uint8Array): boolean => {
  for (let i = 0; i < 6; i++) if (frame[i] !== 0xff) return false;
  return true;
};

function isStation(frame: Uint8Array, regs: Uint32Array): boolean {
  const low = (frame[0] | (frame[1] << 8) | (frame[2] << 16) | (frame[3] << 24)) >>> 0;
  const high = (RAH_VALID | frame[4] | (frame[5] << 8)) >>> 0;
  for (let n = 0; n < STATIONS; n++) {
    const at = (REG.RA >> 2) + 2 * n;
    if (regs[at] === low && (regs[at + 1] & (RAH_VALID | 0xffff)) >>> 0 === high) return true;
  }
  return false;
}

/** RCTL.VFE: the VLAN's bit in the filter table. tag: 16 bits. */
export const vlanWanted = (tag: number, regs: Uint32Array): boolean => {
  if (!(regs[REG.RCTL >> 2] & RCTL.VFE)) return true;
  const vlan = tag & 0xfff;
  return (regs[(REG.VFTA >> 2) + (vlan >> 5)] & (1 << (vlan & 31))) !== 0;
};

/** Bytes of every Rx buffer (13.4.22: BSIZE, BSEX). */
export function bufferBytes(rctl: number): number {
  const size = (rctl >>> 16) & 3;
  if (!(rctl & RCTL.BSEX)) return 2048 >> size;
  return size === 0 ? 2048 : 32_768 >> size;
}

export interface RxRing {
  base: number;
  size: number;
  head: number;
  tail: number;
}

export type RxResult = { head: number } | 'no descriptor' | 'bus error';

/**
 * Puts a frame into the buffers from the ring's head on, all or nothing as far as descriptors go. status: fourth word of the last
 * descriptor (status, errors, VLAN tag) without DD and EOP.
 */
export function deliverFrame(ram: GuestRam, ring: RxRing, buffer: number, frame: Uint8Array, status: number): RxResult {
  const parts = Math.ceil(frame.length / buffer);
  const free = (ring.tail - ring.head + ring.size) % ring.size;
  if (free < parts) return 'no descriptor';
  let index = ring.head;
  for (let n = 0; n < parts; n++) {
    const at = ring.base + index * DESCRIPTOR_BYTES;
    const low = ram.read32(guestAddress(at));
    const high = ram.read32(guestAddress(at + 4));
    if (low === BUS_ERROR || high === BUS_ERROR) return 'bus error';
    const bytes = frame.subarray(n * buffer, (n + 1) * buffer);
    if (!ram.write(guestAddress(low + high * 2 ** 32), bytes)) return 'bus error';
    const last = n === parts - 1;
    ram.write32(guestAddress(at + 8), bytes.length);
    // The word with DD goes last: a driver that polls memory finds the rest behind it.
    ram.write32(guestAddress(at + 12), last ? (status | RX_STATUS.DD | RX_STATUS.EOP) >>> 0 : RX_STATUS.DD);
    index = (index + 1) % ring.size;
  }
  return { head: index };
}

/** RCTL.RDMTS: whether few enough descriptors are left to say so (13.4.22). */
export function fewLeft(ring: RxRing, rctl: number): boolean {
  const free = (ring.tail - ring.head + ring.size) % ring.size;
  return free === ring.size >> (1 + ((rctl >>> 8) & 3));
}
