/** xen_version: the version of the ABI, and what a hypercall costs. */
import { PARA_ABI_VERSION, PARA_EINVAL, PARA_ENOSYS, XENVER_null, XENVER_version } from '../abi.js';
import type { Vcpu } from '../vcpu.js';

const NULL_MAX = 0x3fffffff;

export function xenVersion(_vcpu: Vcpu, cmd: number, arg1: number): number {
  if (cmd === XENVER_null) return arg1 >= 0 && arg1 <= NULL_MAX ? arg1 + 1 : -PARA_EINVAL;
  return cmd === XENVER_version ? PARA_ABI_VERSION : -PARA_ENOSYS;
}
