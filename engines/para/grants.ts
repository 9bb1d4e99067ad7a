/**
 * Grants. The table is in the granting domain's memory, so an entry is read once for each use; how many requests in flight use
 * it is counted in the hypervisor's memory, where the guest cannot forge it.
 */
import {
  DOMID_CORE_OS,
  GTF_permit_access,
  GTF_readonly,
  grant_entry,
  PARA_EACCES,
  PARA_EBUSY,
  PARA_EINVAL,
  PARA_FRAME_BYTES,
} from './abi.js';
import type { GuestAddress, GuestMemory } from './guest-memory.js';
import { DOM, type HypervisorMemory } from './hypervisor-memory.js';

export const EACCES = -PARA_EACCES as GuestAddress;
const EINVAL = -PARA_EINVAL as GuestAddress;

/** What the user of a grant wants to do with it. */
export type GrantAccess = 'read' | 'write';

/**
 * Address of `bytes` bytes at `offset` in the grant, if its entry lets `user` reach them; else -EINVAL (no such grant, or
 * outside of it) or -EACCES. All arguments are unsigned numbers that the guest chose freely.
 */
export function grantedRange(
  hv: HypervisorMemory,
  owner: number,
  memory: GuestMemory,
  ref: number,
  user: number,
  access: GrantAccess,
  offset: number,
  bytes: number,
): GuestAddress {
  const word = hv.domainWord(owner);
  if (ref >= hv.i32[word + DOM.grantEntries]) return EINVAL;
  const entry = (hv.i32[word + DOM.grantTable] + ref * grant_entry.SIZE) as GuestAddress;
  const flagsAndDomain = memory.u32(entry, grant_entry.flags);
  const flags = flagsAndDomain & 0xffff;
  if ((flags & GTF_permit_access) === 0) return EINVAL;
  if (flagsAndDomain >>> 16 !== user || (access === 'write' && (flags & GTF_readonly) !== 0)) return EACCES;
  const start = memory.u32(entry, grant_entry.frame) * PARA_FRAME_BYTES;
  const length = memory.u32(entry, grant_entry.frames) * PARA_FRAME_BYTES;
  if (offset + bytes > length || !memory.reaches(start + length)) return EINVAL;
  return (start + offset) as GuestAddress;
}

/** The core OS begins to use a grant; each hold is followed by one release. */
export function holdGrant(hv: HypervisorMemory, owner: number, ref: number): void {
  Atomics.add(hv.i32, hv.grantWord(owner, ref), 1);
}

export function releaseGrant(hv: HypervisorMemory, owner: number, ref: number): void {
  Atomics.sub(hv.i32, hv.grantWord(owner, ref), 1);
}

/** Clears the entry unless a request in flight uses it. */
export function revokeGrant(hv: HypervisorMemory, owner: number, memory: GuestMemory, ref: number): number {
  const word = hv.domainWord(owner);
  if (ref >= hv.i32[word + DOM.grantEntries]) return -PARA_EINVAL;
  if (Atomics.load(hv.i32, hv.grantWord(owner, ref)) !== 0) return -PARA_EBUSY;
  memory.setU32((hv.i32[word + DOM.grantTable] + ref * grant_entry.SIZE) as GuestAddress, grant_entry.flags, 0);
  return 0;
}

/** The ranges of frames [first, behind the last) that a domain grants to anyone now, or that a request in flight uses. */
export function grantedFrames(hv: HypervisorMemory, owner: number, memory: GuestMemory): [number, number][] {
  const word = hv.domainWord(owner);
  const ranges: [number, number][] = [];
  for (let ref = 0; ref < hv.i32[word + DOM.grantEntries]; ref++) {
    const entry = (hv.i32[word + DOM.grantTable] + ref * grant_entry.SIZE) as GuestAddress;
    const granted = (memory.u32(entry, grant_entry.flags) & GTF_permit_access) !== 0;
    if (!granted && Atomics.load(hv.i32, hv.grantWord(owner, ref)) === 0) continue;
    const first = memory.u32(entry, grant_entry.frame);
    ranges.push([first, first + memory.u32(entry, grant_entry.frames)]);
  }
  return ranges;
}

/** A grant that the core OS holds for as long as it is connected: a ring. */
export function holdRing(
  hv: HypervisorMemory,
  owner: number,
  memory: GuestMemory,
  ref: number,
  bytes: number,
): GuestAddress {
  const address = grantedRange(hv, owner, memory, ref, DOMID_CORE_OS, 'write', 0, bytes);
  if (address >= 0) holdGrant(hv, owner, ref);
  return address;
}
