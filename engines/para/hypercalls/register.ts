/** All hypercalls of the ABI. */
import {
  HYPERVISOR_console_io,
  HYPERVISOR_event_channel_op,
  HYPERVISOR_grant_table_op,
  HYPERVISOR_memory_op,
  HYPERVISOR_sched_op,
  HYPERVISOR_store_op,
  HYPERVISOR_vcpu_op,
  HYPERVISOR_xen_version,
} from '../abi.js';
import { consoleIo } from './console.js';
import { eventChannelOp } from './event-channel.js';
import { grantTableOp } from './grant-table.js';
import { memoryOp } from './memory.js';
import { schedOp } from './sched.js';
import { storeOp } from './store.js';
import { HypercallTable } from './table.js';
import { vcpuOp } from './vcpu.js';
import { xenVersion } from './version.js';

export function allHypercalls(): HypercallTable {
  return new HypercallTable()
    .register(HYPERVISOR_memory_op, 'hypercall_memory_op', memoryOp)
    .register(HYPERVISOR_xen_version, 'hypercall_xen_version', xenVersion)
    .register(HYPERVISOR_console_io, 'hypercall_console_io', consoleIo)
    .register(HYPERVISOR_grant_table_op, 'hypercall_grant_table_op', grantTableOp)
    .register(HYPERVISOR_vcpu_op, 'hypercall_vcpu_op', vcpuOp)
    .register(HYPERVISOR_sched_op, 'hypercall_sched_op', schedOp)
    .register(HYPERVISOR_event_channel_op, 'hypercall_event_channel_op', eventChannelOp)
    .register(HYPERVISOR_store_op, 'hypercall_store_op', storeOp);
}
