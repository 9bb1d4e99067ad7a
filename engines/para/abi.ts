/**
 * The hypervisor's side of the ABI: the numbers and byte offsets of workloads/guest/include/para-abi.h, which documents
 * each of them, under the same names. test/para/abi.test.ts compares the two; nothing else in engines/para knows a
 * number of the interface.
 */

export const PARA_ABI_VERSION = 0x00020001;
export const PARA_MAX_VCPUS = 32;
export const PARA_MAX_PORTS = 1024;
export const PARA_MAX_GRANTS = 8192;
export const PARA_FRAME_BYTES = 4096;
export const PARA_MAX_FRAMES = 262144;
export const PARA_POLL_MS = 2;
export const PARA_HANG_CPU_MS = 1000;
export const PARA_STORE_PATH_MAX = 128;
export const PARA_STORE_VALUE_MAX = 440;
export const PARA_STORE_DIRECTORY_MAX = 16384;
export const PARA_STORE_GUEST_ENTRIES = 400;
export const PARA_STORE_PERMS = 4;
export const PARA_STORE_WATCHES = 32;
export const PARA_STORE_TRANSACTIONS = 8;
export const PARA_CONSOLE_WRITE_MAX = 4096;
export const PARA_EPERM = 1;
export const PARA_ENOENT = 2;
export const PARA_EIO = 5;
export const PARA_EAGAIN = 11;
export const PARA_ENOMEM = 12;
export const PARA_EACCES = 13;
export const PARA_EFAULT = 14;
export const PARA_EBUSY = 16;
export const PARA_EEXIST = 17;
export const PARA_EINVAL = 22;
export const PARA_ENOSPC = 28;
export const PARA_ENOSYS = 38;
export const PARA_ETIME = 62;
export const PARA_EOPNOTSUPP = 95;
export const DOMID_CORE_OS = 0;
export const DOMID_SELF = 0x7ff0;
export const HYPERVISOR_memory_op = 12;
export const HYPERVISOR_xen_version = 17;
export const HYPERVISOR_console_io = 18;
export const HYPERVISOR_grant_table_op = 20;
export const HYPERVISOR_vcpu_op = 24;
export const HYPERVISOR_sched_op = 29;
export const HYPERVISOR_event_channel_op = 32;
export const HYPERVISOR_store_op = 48;
export const PARA_MAX_HYPERCALLS = 64;
export const XENVER_version = 0;
export const XENVER_null = 64;
export const SCHEDOP_yield = 0;
export const SCHEDOP_block = 1;
export const SCHEDOP_shutdown = 2;
export const SCHEDOP_poll = 3;
export const SHUTDOWN_poweroff = 0;
export const SHUTDOWN_reboot = 1;
export const SHUTDOWN_crash = 3;
export const PARA_MAX_POLL_PORTS = 128;
export const EVTCHNOP_bind_interdomain = 0;
export const EVTCHNOP_bind_virq = 1;
export const EVTCHNOP_close = 3;
export const EVTCHNOP_send = 4;
export const EVTCHNOP_status = 5;
export const EVTCHNOP_alloc_unbound = 6;
export const EVTCHNOP_bind_ipi = 7;
export const EVTCHNOP_bind_vcpu = 8;
export const EVTCHNOP_unmask = 9;
export const EVTCHNOP_set_priority = 13;
export const EVTCHN_FIFO_PRIORITY_MAX = 0;
export const EVTCHN_FIFO_PRIORITY_DEFAULT = 7;
export const EVTCHN_FIFO_PRIORITY_MIN = 15;
export const EVTCHNSTAT_closed = 0;
export const EVTCHNSTAT_unbound = 1;
export const EVTCHNSTAT_interdomain = 2;
export const EVTCHNSTAT_virq = 4;
export const EVTCHNSTAT_ipi = 5;
export const VIRQ_TIMER = 0;
export const VIRQ_CONSOLE = 2;
export const VIRQ_STORE = 16;
export const VCPUOP_initialise = 0;
export const VCPUOP_up = 1;
export const VCPUOP_down = 2;
export const VCPUOP_is_up = 3;
export const VCPUOP_get_runstate_info = 4;
export const VCPUOP_register_runstate_memory_area = 5;
export const VCPUOP_set_periodic_timer = 6;
export const VCPUOP_stop_periodic_timer = 7;
export const VCPUOP_set_singleshot_timer = 8;
export const VCPUOP_stop_singleshot_timer = 9;
export const VCPUOP_register_vcpu_info = 10;
export const VCPUOP_get_time = 64;
export const VCPU_SSHOTTMR_future = 1;
export const PARA_PERIOD_MIN_NS = 1000000;
export const RUNSTATE_running = 0;
export const RUNSTATE_runnable = 1;
export const RUNSTATE_blocked = 2;
export const RUNSTATE_offline = 3;
export const XEN_RUNSTATE_UPDATE_HIGH = 0x80000000;
export const PARA_RUNSTATE_NS = 1000000;
export const XENMEM_increase_reservation = 0;
export const XENMEM_decrease_reservation = 1;
export const XENMEM_current_reservation = 3;
export const XENMEM_maximum_reservation = 4;
export const XENMEM_populate_physmap = 6;
export const XENMEM_maximum_gpfn = 14;
export const PARA_MAX_EXTENTS = 1024;
export const PARA_MAX_EXTENT_ORDER = 9;
export const CONSOLEIO_write = 0;
export const CONSOLEIO_read = 1;
export const CONSOLEIO_doorbell = 64;
export const DOORBELL_start = 2;
export const DOORBELL_stop = 3;
export const GNTTABOP_map_grant_ref = 0;
export const GNTTABOP_setup_table = 2;
export const GNTTABOP_copy = 5;
export const GNTTABOP_revoke = 64;
export const GTF_permit_access = 1;
export const GTF_readonly = 4;
export const STOREOP_directory = 1;
export const STOREOP_read = 2;
export const STOREOP_get_perms = 3;
export const STOREOP_watch = 4;
export const STOREOP_unwatch = 5;
export const STOREOP_transaction_start = 6;
export const STOREOP_transaction_end = 7;
export const STOREOP_write = 11;
export const STOREOP_rm = 13;
export const STOREOP_set_perms = 14;
export const STOREOP_watch_event = 15;
export const STORE_STATE_CONNECTED = 4;
export const BLKIF_RING_SIZE = 64;
export const BLKIF_SLOT_BYTES = 64;
export const BLKIF_MAX_SEGMENTS = 3;
export const BLKIF_MAX_SEGMENT_BYTES = 1048576;
export const BLKIF_SECTOR_BYTES = 512;
export const BLKIF_OP_READ = 0;
export const BLKIF_OP_WRITE = 1;
export const BLKIF_OP_FLUSH_DISKCACHE = 3;
export const BLKIF_OP_DISCARD = 5;
export const BLKIF_OP_INDIRECT = 6;
export const BLKIF_MAX_INDIRECT_SEGMENTS = 256;
export const BLKIF_MAX_INDIRECT_BYTES = 4194304;
export const NETIF_RING_SIZE = 64;
export const NETIF_SLOT_BYTES = 16;
export const NETIF_FRAME_MAX = 1514;

/** Byte offsets of the fields of each structure, and its size. */
export const sched_poll = { timeout_ns: 0, ports: 8, nr_ports: 12, SIZE: 16 } as const;
export const vcpu_info = {
  evtchn_ready: 0,
  evtchn_pending_sel: 4,
  evtchn_pending: 68,
  evtchn_mask: 2116,
  SIZE: 2244,
} as const;
export const vcpu_guest_context = { stack_pointer: 0, tls: 4, arg: 8, SIZE: 12 } as const;
export const vcpu_set_singleshot_timer = { timeout_abs_ns: 0, flags: 8, SIZE: 16 } as const;
export const vcpu_set_periodic_timer = { period_ns: 0, SIZE: 8 } as const;
export const vcpu_runstate_info = { state: 0, state_entry_time: 8, time: 16, SIZE: 48 } as const;
export const xen_memory_reservation = {
  extent_start: 0,
  nr_extents: 4,
  extent_order: 8,
  mem_flags: 12,
  domid: 16,
  SIZE: 20,
} as const;
export const grant_entry = { flags: 0, domid: 2, frame: 4, frames: 8, SIZE: 12 } as const;
export const gnttab_copy = { ref: 0, domid: 4, offset: 8, address: 12, bytes: 16, to_grant: 20, SIZE: 24 } as const;
export const store_request = {
  path: 0,
  path_bytes: 4,
  value: 8,
  value_bytes: 12,
  tx_id: 16,
  token: 20,
  SIZE: 24,
} as const;
export const ring_header = { req_prod: 0, req_event: 4, rsp_prod: 8, rsp_event: 12, SIZE: 64 } as const;
export const blkif_segment = { gref: 0, offset: 4, bytes: 8, SIZE: 12 } as const;
export const blkif_request = {
  operation: 0,
  nr_segments: 1,
  handle: 2,
  reserved: 4,
  id: 8,
  sector_number: 16,
  seg: 24,
  SIZE: 64,
} as const;
export const blkif_request_discard = {
  operation: 0,
  flag: 1,
  handle: 2,
  reserved: 4,
  id: 8,
  sector_number: 16,
  nr_sectors: 24,
  SIZE: 32,
} as const;
export const blkif_request_indirect = {
  operation: 0,
  indirect_op: 1,
  nr_segments: 2,
  handle: 4,
  reserved: 6,
  id: 8,
  sector_number: 16,
  indirect_gref: 24,
  indirect_offset: 28,
  SIZE: 32,
} as const;
export const blkif_response = { id: 0, operation: 8, status: 12, SIZE: 16 } as const;
export const netif_tx_request = { gref: 0, offset: 4, flags: 6, id: 8, size: 10, SIZE: 12 } as const;
export const netif_tx_response = { id: 0, status: 2, SIZE: 4 } as const;
export const netif_rx_request = { id: 0, gref: 4, SIZE: 8 } as const;
export const netif_rx_response = { id: 0, offset: 2, flags: 4, status: 6, SIZE: 8 } as const;
