/** grant_table_op: the table's place, revoking, and copies between domains. */
import {
  GNTTABOP_copy,
  GNTTABOP_map_grant_ref,
  GNTTABOP_revoke,
  GNTTABOP_setup_table,
  gnttab_copy,
  grant_entry,
  PARA_EBUSY,
  PARA_EINVAL,
  PARA_ENOSYS,
  PARA_EPERM,
  PARA_MAX_GRANTS,
} from '../abi.js';
import { counterIndex } from '../counters.js';
import { grantedRange, revokeGrant } from '../grants.js';
import { DOM, MAX_DOMAINS } from '../hypervisor-memory.js';
import type { Vcpu } from '../vcpu.js';

const COPIES = counterIndex('copies');
const COPY_MAX = 1 << 20;

export function grantTableOp(vcpu: Vcpu, cmd: number, arg1: number, arg2: number): number {
  switch (cmd) {
    case GNTTABOP_setup_table:
      return setupTable(vcpu, arg1, arg2 >>> 0);
    case GNTTABOP_revoke:
      return revokeGrant(vcpu.hv, vcpu.domain, vcpu.memory, arg1 >>> 0);
    case GNTTABOP_copy:
      return copy(vcpu, arg1);
    case GNTTABOP_map_grant_ref:
      return -PARA_EPERM;
    default:
      return -PARA_ENOSYS;
  }
}

function setupTable(vcpu: Vcpu, address: number, entries: number): number {
  if (entries < 1 || entries > PARA_MAX_GRANTS) return -PARA_EINVAL;
  const at = vcpu.memory.struct(address, entries * grant_entry.SIZE);
  if (at < 0) return at;
  const { i32 } = vcpu.hv;
  if (Atomics.compareExchange(i32, vcpu.domainWord + DOM.grantEntries, 0, -1) !== 0) return -PARA_EBUSY;
  i32[vcpu.domainWord + DOM.grantTable] = at;
  Atomics.store(i32, vcpu.domainWord + DOM.grantEntries, entries);
  return 0;
}

function copy(vcpu: Vcpu, address: number): number {
  const { memory, hv } = vcpu;
  const at = memory.struct(address, gnttab_copy.SIZE);
  if (at < 0) return at;
  const ref = memory.u32(at, gnttab_copy.ref);
  const owner = memory.u32(at, gnttab_copy.domid);
  const offset = memory.u32(at, gnttab_copy.offset);
  const own = memory.u32(at, gnttab_copy.address);
  const bytes = memory.u32(at, gnttab_copy.bytes);
  const toGrant = memory.u32(at, gnttab_copy.to_grant);
  if (bytes < 1 || bytes > COPY_MAX || toGrant > 1 || owner >= MAX_DOMAINS) return -PARA_EINVAL;
  const ours = memory.buffer(own, bytes);
  if (ours < 0) return ours;
  const other = owner === vcpu.domain ? memory : vcpu.parts.memoryOf(owner);
  if (other === undefined) return -PARA_EINVAL;
  const theirs = grantedRange(hv, owner, other, ref, vcpu.domain, toGrant ? 'write' : 'read', offset, bytes);
  if (theirs < 0) return theirs;
  if (toGrant) other.u8.set(memory.u8.subarray(ours, ours + bytes), theirs);
  else memory.u8.set(other.u8.subarray(theirs, theirs + bytes), ours);
  vcpu.count(COPIES);
  return 0;
}
