import { beforeEach, describe, expect, it } from 'vitest';
import * as abi from '#engines/para/abi.js';
import { HypervisorMemory } from '#engines/para/hypervisor-memory.js';
import { FakeGuest } from './guest-fixture.js';

const TABLE = 0x4000;
let a: FakeGuest;
let b: FakeGuest;

beforeEach(() => {
  const hv = HypervisorMemory.create();
  a = new FakeGuest({ hv, domain: 1 });
  b = new FakeGuest({ hv, domain: 2 });
  for (const guest of [a, b]) op(guest, abi.GNTTABOP_setup_table, TABLE, 16);
  b.cpu.others.set(1, a.memory);
});

const op = (guest: FakeGuest, cmd: number, arg1 = 0, arg2 = 0) =>
  guest.cpu.call(abi.HYPERVISOR_grant_table_op, cmd, arg1, arg2);

/** b copies between its own memory at 0x8000 and grant `ref` of domain 1. */
const copy = (ref: number, offset: number, bytes: number, toGrant = 0, domid = 1, address = 0x8000) =>
  op(b, abi.GNTTABOP_copy, b.put(0x2000, ref, domid, offset, address, bytes, toGrant));

describe('grant_table_op', () => {
  it('copies from and to what another domain granted to the caller', () => {
    a.grant(TABLE, 3, 0x20, 1, abi.GTF_permit_access, 2);
    a.memory.u8.fill(7, 0x20000, 0x21000);
    expect(copy(3, 16, 100)).toBe(0);
    expect([...b.memory.u8.slice(0x8000, 0x8065)]).toEqual([...new Array(100).fill(7), 0]);
    b.memory.u8.fill(9, 0x8000, 0x8100);
    expect(copy(3, 4000, 96, 1)).toBe(0);
    expect([...a.memory.u8.slice(0x20000 + 3999, 0x21001)]).toEqual([7, ...new Array(96).fill(9), 0]);
  });

  it.each([
    ['what is granted to another', () => a.grant(TABLE, 3, 0x20, 1, 1, 5), [3, 0, 10], -13],
    ['into what is read-only', () => a.grant(TABLE, 3, 0x20, 1, 5, 2), [3, 0, 10, 1], -13],
    ['what is not granted', () => {}, [3, 0, 10], -22],
    ['over the end of the grant', () => a.grant(TABLE, 3, 0x20, 1, 1, 2), [3, 4090, 10], -22],
    ['nothing', () => a.grant(TABLE, 3, 0x20, 1, 1, 2), [3, 0, 0], -22],
    ['over the end of its own memory', () => a.grant(TABLE, 3, 0x20, 1, 1, 2), [3, 0, 10, 0, 1, 0xffffa], -14],
    ['from a domain that there is not', () => {}, [3, 0, 10, 0, 9], -22],
    ['from a domain number that is none', () => {}, [3, 0, 10, 0, 0xffff], -22],
  ] as const)('does not copy %s', (_, change, args, error) => {
    change();
    expect(copy(...(args as unknown as Parameters<typeof copy>))).toBe(error);
  });

  it('takes a table once, within the guest’s memory', () => {
    const fresh = new FakeGuest();
    expect(op(fresh, abi.GNTTABOP_setup_table, TABLE, 0)).toBe(-22);
    expect(op(fresh, abi.GNTTABOP_setup_table, TABLE, 8193)).toBe(-22);
    expect(op(fresh, abi.GNTTABOP_setup_table, TABLE + 2, 8)).toBe(-22);
    expect(op(fresh, abi.GNTTABOP_setup_table, 0x100000 - 95, 8)).toBe(-22);
    expect(op(fresh, abi.GNTTABOP_setup_table, 0x100000 - 92, 8)).toBe(-14);
    expect(op(fresh, abi.GNTTABOP_setup_table, 0x100000 - 96, 8)).toBe(0);
    expect(op(fresh, abi.GNTTABOP_setup_table, TABLE, 8)).toBe(-16);
  });

  it('lets no guest map, and revokes only what is in the table', () => {
    expect(op(a, abi.GNTTABOP_map_grant_ref)).toBe(-1);
    expect(op(a, abi.GNTTABOP_revoke, 16)).toBe(-22);
    expect(op(a, abi.GNTTABOP_revoke, -1)).toBe(-22);
    a.grant(TABLE, 15, 0x20, 1, 1, 2);
    expect(op(a, abi.GNTTABOP_revoke, 15)).toBe(0);
    expect(copy(15, 0, 10)).toBe(-22);
  });
});
