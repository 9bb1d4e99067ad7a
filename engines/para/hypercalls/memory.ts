/** memory_op. The work is in reservation.ts; here the arguments are checked. */
import {
  DOMID_SELF,
  PARA_EINVAL,
  PARA_ENOSYS,
  PARA_EPERM,
  PARA_MAX_EXTENT_ORDER,
  PARA_MAX_EXTENTS,
  XENMEM_current_reservation,
  XENMEM_decrease_reservation,
  XENMEM_increase_reservation,
  XENMEM_maximum_gpfn,
  XENMEM_maximum_reservation,
  XENMEM_populate_physmap,
  xen_memory_reservation,
} from '../abi.js';
import { DOM } from '../hypervisor-memory.js';
import { Reservation } from '../reservation.js';
import type { Vcpu } from '../vcpu.js';

export function memoryOp(vcpu: Vcpu, cmd: number, arg1: number): number {
  const { i32 } = vcpu.hv;
  switch (cmd) {
    case XENMEM_current_reservation:
      return Atomics.load(i32, vcpu.domainWord + DOM.populated);
    case XENMEM_maximum_reservation:
      return Atomics.load(i32, vcpu.domainWord + DOM.allowed);
    case XENMEM_maximum_gpfn:
      return Atomics.load(i32, vcpu.domainWord + DOM.frames) - 1;
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
      return change(vcpu, cmd, arg1);
    default:
      return -PARA_ENOSYS;
  }
}

function change(vcpu: Vcpu, cmd: number, address: number): number {
  const { memory } = vcpu;
  const at = memory.struct(address, xen_memory_reservation.SIZE);
  if (at < 0) return at;
  const count = memory.u32(at, xen_memory_reservation.nr_extents);
  const order = memory.u32(at, xen_memory_reservation.extent_order);
  if (count < 1 || count > PARA_MAX_EXTENTS || order > PARA_MAX_EXTENT_ORDER) return -PARA_EINVAL;
  if (memory.u32(at, xen_memory_reservation.mem_flags) !== 0) return -PARA_EINVAL;
  if (memory.u32(at, xen_memory_reservation.domid) !== DOMID_SELF) return -PARA_EPERM;
  const list = memory.struct(memory.u32(at, xen_memory_reservation.extent_start), 4 * count);
  if (list < 0) return list;
  const extents = Array.from({ length: count }, (_, n) => memory.u32(list, 4 * n));
  const reservation = new Reservation(vcpu.hv, vcpu.domain, memory);
  const frames = 1 << order;
  if (cmd === XENMEM_decrease_reservation) return answer(reservation.decrease(extents, frames));
  if (cmd === XENMEM_populate_physmap) return answer(reservation.populate(extents, frames));
  const outcome = reservation.increase(extents, frames);
  for (let n = 0; n < outcome.done; n++) memory.setU32(list, 4 * n, extents[n]);
  return answer(outcome);
}

const answer = ({ done, error }: { done: number; error: number }): number => (done > 0 ? done : error);
