/** xen_version and memory_op: a few numbers each. */
import {
  PARA_ABI_VERSION,
  PARA_EINVAL,
  PARA_ENOSYS,
  XENMEM_current_reservation,
  XENMEM_maximum_reservation,
  XENVER_null,
  XENVER_version,
} from '../abi.js';
import { DOM } from '../hypervisor-memory.js';
import type { Vcpu } from '../vcpu.js';

const NULL_MAX = 0x3fffffff;

export function xenVersion(_vcpu: Vcpu, cmd: number, arg1: number): number {
  if (cmd === XENVER_null) return arg1 >= 0 && arg1 <= NULL_MAX ? arg1 + 1 : -PARA_EINVAL;
  return cmd === XENVER_version ? PARA_ABI_VERSION : -PARA_ENOSYS;
}

export function memoryOp(vcpu: Vcpu, cmd: number): number {
  if (cmd !== XENMEM_current_reservation && cmd !== XENMEM_maximum_reservation) return -PARA_ENOSYS;
  return vcpu.hv.i32[vcpu.domainWord + DOM.frames];
}
