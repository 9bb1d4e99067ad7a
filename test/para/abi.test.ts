import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as abi from '#engines/para/abi.js';
import { packageRoot } from '#workloads/package-root.js';

const header = readFileSync(join(packageRoot(), 'workloads/guest/include/para-abi.h'), 'utf8');

/** Every #define of a number in the header, by name. */
function defines(): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [, name, value] of header.matchAll(/^#define ([A-Za-z]\w*) (0x[0-9a-f]+|\d+)\b/gm)) {
    expect(found, `#define ${name} stands once`).not.toHaveProperty(name);
    found[name] = Number(value);
  }
  return found;
}

/** Offsets and sizes that the header asserts to the C compiler. */
function structures(): Record<string, Record<string, number>> {
  const found: Record<string, Record<string, number>> = {};
  for (const [, type, field, offset] of header.matchAll(/^PARA_OFFSET\((\w+), (\w+), (\d+)\);/gm)) {
    found[type] ??= {};
    found[type][field] = Number(offset);
  }
  for (const [, type, size] of header.matchAll(/^PARA_SIZE\((\w+), (\d+)\);/gm)) found[type].SIZE = Number(size);
  return found;
}

/** Fields of a C structure as it is declared, padding left out. */
function declared(type: string): string[] {
  const body = new RegExp(`^struct ${type} \\{\\n([\\s\\S]*?)^\\};`, 'm').exec(header)?.[1] ?? '';
  const names = [...body.matchAll(/^\s+(?:struct )?\w+ (\w+)(?:\[\w+\])*;/gm)].map((match) => match[1]);
  return names.filter((name) => name !== 'pad');
}

const isNumber = ([, value]: [string, unknown]): boolean => typeof value === 'number';

describe('the ABI', () => {
  it('has the same numbers on both sides', () => {
    expect(Object.fromEntries(Object.entries(abi).filter(isNumber))).toEqual(defines());
  });

  it('has the same offsets on both sides', () => {
    const ours = Object.fromEntries(Object.entries(abi).filter((entry) => !isNumber(entry)));
    expect(ours).toEqual(structures());
  });

  it('asserts the offset of every field of every structure', () => {
    const types = [...header.matchAll(/^struct (\w+) \{/gm)].map((match) => match[1]);
    expect(types.sort()).toEqual(Object.keys(structures()).sort());
    for (const type of types) {
      const asserted = Object.keys(structures()[type]).filter((name) => name !== 'SIZE');
      expect(asserted, type).toEqual(declared(type));
    }
  });

  it("uses Xen's numbers where Xen has the operation (xen/include/public)", () => {
    expect(abi).toMatchObject({
      // xen.h: __HYPERVISOR_*
      HYPERVISOR_memory_op: 12,
      HYPERVISOR_xen_version: 17,
      HYPERVISOR_console_io: 18,
      HYPERVISOR_grant_table_op: 20,
      HYPERVISOR_vcpu_op: 24,
      HYPERVISOR_sched_op: 29,
      HYPERVISOR_event_channel_op: 32,
      // sched.h
      SCHEDOP_yield: 0,
      SCHEDOP_block: 1,
      SCHEDOP_shutdown: 2,
      SCHEDOP_poll: 3,
      SHUTDOWN_poweroff: 0,
      SHUTDOWN_reboot: 1,
      SHUTDOWN_crash: 3,
      // event_channel.h
      EVTCHNOP_bind_interdomain: 0,
      EVTCHNOP_bind_virq: 1,
      EVTCHNOP_close: 3,
      EVTCHNOP_send: 4,
      EVTCHNOP_status: 5,
      EVTCHNOP_alloc_unbound: 6,
      EVTCHNOP_bind_ipi: 7,
      EVTCHNOP_bind_vcpu: 8,
      EVTCHNOP_unmask: 9,
      // vcpu.h
      VCPUOP_initialise: 0,
      VCPUOP_up: 1,
      VCPUOP_down: 2,
      VCPUOP_is_up: 3,
      VCPUOP_set_singleshot_timer: 8,
      VCPUOP_stop_singleshot_timer: 9,
      VCPUOP_register_vcpu_info: 10,
      // io/blkif.h
      BLKIF_OP_READ: 0,
      BLKIF_OP_WRITE: 1,
      BLKIF_OP_FLUSH_DISKCACHE: 3,
      BLKIF_OP_DISCARD: 5,
      BLKIF_OP_INDIRECT: 6,
    });
  });

  it("uses Linux's errno numbers (asm-generic/errno-base.h, errno.h)", () => {
    expect(abi).toMatchObject({
      PARA_EPERM: 1,
      PARA_ENOENT: 2,
      PARA_EIO: 5,
      PARA_EAGAIN: 11,
      PARA_EACCES: 13,
      PARA_EFAULT: 14,
      PARA_EBUSY: 16,
      PARA_EEXIST: 17,
      PARA_EINVAL: 22,
      PARA_ENOSPC: 28,
      PARA_ENOSYS: 38,
      PARA_EOPNOTSUPP: 95,
    });
  });
});
