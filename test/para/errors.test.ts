/**
 * Every operation of the ABI with every kind of bad argument: the answer is the error that para-abi.h states. The table must
 * name each operation there is, so that none is added without its errors.
 */
import { describe, expect, it } from 'vitest';
import * as abi from '#engines/para/abi.js';
import { DOM } from '#engines/para/hypervisor-memory.js';
import { FakeGuest } from './guest-fixture.js';

const MEMORY = 0x100000;
const INFO = 0x1000;
const TABLE = 0x4000;
/** Where a case puts its words. */
const AT = 0x8000;
const [EPERM, ENOENT, EAGAIN, ENOMEM, EACCES, EFAULT] = [-1, -2, -11, -12, -13, -14];
const [EBUSY, EEXIST, EINVAL, ENOSPC, ENOSYS, ETIME] = [-16, -17, -22, -28, -38, -62];

type Arguments = [arg1: number, arg2: number];
interface Case {
  what: string;
  args: Arguments;
  error: number;
  /** Words at AT, and what else is to be done before. */
  words?: number[];
  before?: (guest: FakeGuest) => void;
}
interface Operation {
  /** Which argument is the address of a structure, and of how many bytes. */
  struct?: { arg: 1 | 2; bytes: number; other?: number };
  cases: Case[];
}
const bad = (what: string, args: Arguments, error: number, words?: number[], before?: Case['before']): Case => ({
  what,
  args,
  error,
  ...(words === undefined ? {} : { words }),
  ...(before === undefined ? {} : { before }),
});

/** Port 1: unbound for domain 5; 2: VIRQ_TIMER of vCPU 0; 3: an IPI to vCPU 1; 4: closed. */
const [UNBOUND, TIMER, IPI, CLOSED] = [1, 2, 3, 4];

function prepared(): FakeGuest {
  const guest = new FakeGuest({ vcpus: 3 });
  const { cpu } = guest;
  cpu.withInfo(INFO);
  cpu.event(abi.EVTCHNOP_alloc_unbound, 5);
  cpu.event(abi.EVTCHNOP_bind_virq, abi.VIRQ_TIMER, 0);
  cpu.event(abi.EVTCHNOP_bind_ipi, 1);
  guest.grant(TABLE, 1, 0x20, 2, abi.GTF_permit_access, 1);
  guest.grant(TABLE, 2, 0x20, 1, abi.GTF_permit_access | abi.GTF_readonly, 1);
  guest.grant(TABLE, 3, 0x20, 1, abi.GTF_permit_access, 6);
  guest.grant(TABLE, 4, 0xff, 2, abi.GTF_permit_access, 1);
  cpu.call(abi.HYPERVISOR_grant_table_op, abi.GNTTABOP_setup_table, TABLE, 8);
  guest.hv.i32[guest.hv.domainWord(1) + DOM.available] = 2;
  guest.memory.u8.set(Buffer.from('data/x'), 0x9000);
  guest.memory.u8.set(Buffer.from('bootargs'), 0x9100);
  guest.memory.u8.set(Buffer.from('T'), 0x9200);
  guest.memory.u8.set(Buffer.from('data/x.y'), 0x9300);
  return guest;
}

const portErrors = (extra: Case[] = []): Operation => ({
  cases: [...[0, 1024, -1, CLOSED].map((port) => bad(`port ${port}`, [port, 0], EINVAL)), ...extra],
});
const reservation = (cmd: 'populated' | 'given back'): Operation => ({
  struct: { arg: 1, bytes: 20 },
  cases: [
    bad('no extents', [AT, 0], EINVAL, [0xa000, 0, 0, 0, abi.DOMID_SELF]),
    bad('too many extents', [AT, 0], EINVAL, [0xa000, 1025, 0, 0, abi.DOMID_SELF]),
    bad('an extent too large', [AT, 0], EINVAL, [0xa000, 1, 10, 0, abi.DOMID_SELF]),
    bad('flags', [AT, 0], EINVAL, [0xa000, 1, 0, 1, abi.DOMID_SELF]),
    bad('another domain', [AT, 0], EPERM, [0xa000, 1, 0, 0, 3]),
    bad('a list outside', [AT, 0], EFAULT, [MEMORY, 1, 0, 0, abi.DOMID_SELF]),
    bad('an unaligned list', [AT, 0], EINVAL, [0xa002, 1, 0, 0, abi.DOMID_SELF]),
    bad(`a frame that is ${cmd}`, [AT, 0], EINVAL, [
      AT + 0x20,
      1,
      0,
      0,
      abi.DOMID_SELF,
      0,
      0,
      0,
      cmd === 'populated' ? 3 : 400,
    ]),
  ],
});
const grantCopy = (ref: number, offset: number, bytes: number, toGrant = 0, address = 0xb000, domid = 1): number[] => [
  ref,
  domid,
  offset,
  address,
  bytes,
  toGrant,
];
const storeWords = (path: number, pathBytes: number, value = 0xc000, valueBytes = 1, tx = 0, token = 0): number[] => [
  path,
  pathBytes,
  value,
  valueBytes,
  tx,
  token,
];
const storeErrors = (extra: Case[] = [], rootAllowed = false): Operation => ({
  struct: { arg: 1, bytes: 24 },
  cases: [
    ...(rootAllowed ? [] : [bad('no path', [AT, 0], EINVAL, storeWords(0x9000, 0))]),
    bad('a path too long', [AT, 0], EINVAL, storeWords(0x9000, 129)),
    bad('a path outside', [AT, 0], EFAULT, storeWords(MEMORY - 2, 6)),
    bad('a name that is none', [AT, 0], EINVAL, storeWords(0x9300, 8)),
    bad('a value outside', [AT, 0], EFAULT, storeWords(0x9000, 6, MEMORY, 1)),
    bad('a value too long', [AT, 0], EINVAL, storeWords(0x9000, 6, 0xc000, 20000)),
    bad('a negative token', [AT, 0], EINVAL, storeWords(0x9000, 6, 0xc000, 1, 0, -1)),
    ...extra,
  ],
});
const noTransaction = bad('a transaction', [AT, 0], EINVAL, storeWords(0x9000, 6, 0xc000, 1, 8));
const noSuchTransaction = bad('no such transaction', [AT, 0], ENOENT, storeWords(0x9000, 6, 0xc000, 1, 8));
const own: Case[] = [bad('another vCPU', [1, AT], EINVAL, [0, 1])];
const noVcpu: Case[] = [bad('a vCPU that there is not', [3, AT], EINVAL), bad('a negative vCPU', [-1, AT], EINVAL)];

const TABLE_OF_ERRORS: Record<string, { number: number; operations: Record<string, Operation> }> = {
  xen_version: {
    number: abi.HYPERVISOR_xen_version,
    operations: {
      XENVER_version: { cases: [] },
      XENVER_null: { cases: [bad('too large', [0x40000000, 0], EINVAL), bad('negative', [-1, 0], EINVAL)] },
    },
  },
  sched_op: {
    number: abi.HYPERVISOR_sched_op,
    operations: {
      SCHEDOP_yield: { cases: [] },
      SCHEDOP_block: { cases: [] },
      SCHEDOP_shutdown: { cases: [2, 4, -1].map((reason) => bad(`reason ${reason}`, [reason, 0], EINVAL)) },
      SCHEDOP_poll: {
        struct: { arg: 1, bytes: 16 },
        cases: [
          bad('no ports', [AT, 0], EINVAL, [1, 0, 0xa000, 0]),
          bad('too many ports', [AT, 0], EINVAL, [1, 0, 0xa000, 129]),
          bad('a list outside', [AT, 0], EFAULT, [1, 0, MEMORY, 1]),
          bad('an unaligned list', [AT, 0], EINVAL, [1, 0, 0xa001, 1]),
          bad('port 0', [AT, 0], EINVAL, [1, 0, AT + 0x10, 1, 0]),
          bad('port 1024', [AT, 0], EINVAL, [1, 0, AT + 0x10, 1, 1024]),
        ],
      },
    },
  },
  event_channel_op: {
    number: abi.HYPERVISOR_event_channel_op,
    operations: {
      EVTCHNOP_bind_interdomain: {
        cases: [
          bad('no such domain', [64, 1], EINVAL),
          bad('a domain that does not run', [9, 1], EINVAL),
          bad('no such port', [1, 1024], EINVAL),
          bad('a port that is not unbound', [1, IPI], EINVAL),
          bad('a port for another domain', [1, UNBOUND], EPERM),
        ],
      },
      EVTCHNOP_bind_virq: {
        cases: [
          bad('no such VIRQ', [1, 0], EINVAL),
          bad('no such vCPU', [abi.VIRQ_CONSOLE, 3], EINVAL),
          bad('the timer of another vCPU', [abi.VIRQ_TIMER, 1], EINVAL),
          bad('bound already', [abi.VIRQ_TIMER, 0], EEXIST),
        ],
      },
      EVTCHNOP_close: portErrors(),
      EVTCHNOP_send: portErrors([bad('a VIRQ', [TIMER, 0], EINVAL)]),
      EVTCHNOP_status: { cases: [0, 1024, -1].map((port) => bad(`port ${port}`, [port, 0], EINVAL)) },
      EVTCHNOP_alloc_unbound: { cases: [bad('no such domain', [64, 0], EINVAL)] },
      EVTCHNOP_bind_ipi: { cases: [bad('no such vCPU', [3, 0], EINVAL)] },
      EVTCHNOP_bind_vcpu: portErrors([
        bad('no such vCPU', [UNBOUND, 3], EINVAL),
        bad('a timer', [TIMER, 0], EINVAL),
        bad('an IPI', [IPI, 0], EINVAL),
      ]),
      EVTCHNOP_unmask: {
        cases: [
          ...[0, 1024, -1].map((port) => bad(`port ${port}`, [port, 0], EINVAL)),
          bad('a port of a vCPU without vcpu_info', [IPI, 0], EINVAL),
        ],
      },
      EVTCHNOP_set_priority: portErrors([bad('no such priority', [UNBOUND, 16], EINVAL)]),
    },
  },
  vcpu_op: {
    number: abi.HYPERVISOR_vcpu_op,
    operations: {
      VCPUOP_initialise: {
        struct: { arg: 2, bytes: 12, other: 1 },
        cases: [
          ...noVcpu,
          bad('vCPU 0', [0, AT], EINVAL, [0x8000, 0, 0]),
          bad('a vCPU that is up', [1, AT], EBUSY, [0x8000, 0, 0]),
          bad('no stack', [2, AT], EINVAL, [0, 0, 0], offline),
          bad('an unaligned stack', [2, AT], EINVAL, [0x8008, 0, 0], offline),
          bad('a stack outside', [2, AT], EINVAL, [MEMORY + 16, 0, 0], offline),
          bad('thread-local storage outside', [2, AT], EINVAL, [0x8000, MEMORY + 16, 0], offline),
        ],
      },
      VCPUOP_up: {
        cases: [
          ...noVcpu,
          bad('one that is not initialised', [1, 0], EINVAL),
          bad('one that is not available', [2, 0], EPERM, [0x8000, 0, 0], (guest) => {
            offline(guest);
            guest.cpu.call(abi.HYPERVISOR_vcpu_op, abi.VCPUOP_initialise, 2, AT);
          }),
        ],
      },
      VCPUOP_down: { cases: [...noVcpu, ...own, bad('vCPU 0', [0, 0], EPERM)] },
      VCPUOP_is_up: { cases: noVcpu },
      VCPUOP_get_runstate_info: { struct: { arg: 2, bytes: 48 }, cases: noVcpu },
      VCPUOP_register_runstate_memory_area: { struct: { arg: 2, bytes: 48 }, cases: [...noVcpu, ...own] },
      VCPUOP_set_periodic_timer: {
        struct: { arg: 2, bytes: 8 },
        cases: [...noVcpu, ...own, bad('a period too short', [0, AT], EINVAL, [999_999, 0])],
      },
      VCPUOP_stop_periodic_timer: { cases: [...noVcpu, ...own] },
      VCPUOP_set_singleshot_timer: {
        struct: { arg: 2, bytes: 16 },
        cases: [
          ...noVcpu,
          ...own,
          bad('no such flag', [0, AT], EINVAL, [0, 0, 2]),
          bad('the past, though not wanted', [0, AT], ETIME, [1, 0, 1]),
        ],
      },
      VCPUOP_stop_singleshot_timer: { cases: [...noVcpu, ...own] },
      VCPUOP_register_vcpu_info: { cases: [...noVcpu, ...own, bad('a second one', [0, 0xd000], EBUSY)] },
      VCPUOP_get_time: { struct: { arg: 2, bytes: 8 }, cases: [] },
    },
  },
  memory_op: {
    number: abi.HYPERVISOR_memory_op,
    operations: {
      XENMEM_increase_reservation: {
        struct: { arg: 1, bytes: 20 },
        cases: [bad('more than it may have', [AT, 0], ENOMEM, [AT + 0x20, 1, 0, 0, abi.DOMID_SELF], giveBack)],
      },
      XENMEM_decrease_reservation: {
        ...reservation('given back'),
        cases: [
          ...reservation('given back').cases,
          bad('a granted frame', [AT, 0], EBUSY, [AT + 0x20, 1, 0, 0, abi.DOMID_SELF, 0, 0, 0, 0x20]),
        ],
      },
      XENMEM_current_reservation: { cases: [] },
      XENMEM_maximum_reservation: { cases: [] },
      XENMEM_populate_physmap: reservation('populated'),
      XENMEM_maximum_gpfn: { cases: [] },
    },
  },
  console_io: {
    number: abi.HYPERVISOR_console_io,
    operations: {
      CONSOLEIO_write: { cases: [bad('too much', [4097, AT], EINVAL), bad('outside', [4, MEMORY - 2], EFAULT)] },
      CONSOLEIO_read: { cases: [bad('too much', [4097, AT], EINVAL), bad('outside', [4, MEMORY - 2], EFAULT)] },
      CONSOLEIO_doorbell: { cases: [0, 1, 4, -1].map((which) => bad(`${which}`, [which, 0], EINVAL)) },
    },
  },
  grant_table_op: {
    number: abi.HYPERVISOR_grant_table_op,
    operations: {
      GNTTABOP_map_grant_ref: { cases: [bad('by a guest', [0, 0], EPERM)] },
      GNTTABOP_setup_table: {
        cases: [
          bad('no entries', [TABLE, 0], EINVAL),
          bad('too many entries', [TABLE, 8193], EINVAL),
          bad('unaligned', [TABLE + 2, 8], EINVAL),
          bad('outside', [MEMORY - 12, 2], EFAULT),
          bad('a second one', [TABLE, 8], EBUSY),
        ],
      },
      GNTTABOP_copy: {
        struct: { arg: 1, bytes: 24 },
        cases: [
          bad('no bytes', [AT, 0], EINVAL, grantCopy(1, 0, 0)),
          bad('too many bytes', [AT, 0], EINVAL, grantCopy(1, 0, (1 << 20) + 1)),
          bad('no such direction', [AT, 0], EINVAL, grantCopy(1, 0, 4, 2)),
          bad('no such domain', [AT, 0], EINVAL, grantCopy(1, 0, 4, 0, 0xb000, 64)),
          bad('a domain that does not run', [AT, 0], EINVAL, grantCopy(1, 0, 4, 0, 0xb000, 7)),
          bad('own memory outside', [AT, 0], EFAULT, grantCopy(1, 0, 4, 0, MEMORY - 2)),
          bad('no such grant', [AT, 0], EINVAL, grantCopy(8, 0, 4)),
          bad('an empty grant', [AT, 0], EINVAL, grantCopy(0, 0, 4)),
          bad('a grant of frames outside', [AT, 0], EINVAL, grantCopy(4, 0, 4)),
          bad('more than was granted', [AT, 0], EINVAL, grantCopy(1, 8190, 4)),
          bad('a grant to another domain', [AT, 0], EACCES, grantCopy(3, 0, 4)),
          bad('into a read-only grant', [AT, 0], EACCES, grantCopy(2, 0, 4, 1)),
        ],
      },
      GNTTABOP_revoke: { cases: [bad('no such grant', [8, 0], EINVAL), bad('a negative one', [-1, 0], EINVAL)] },
    },
  },
  store_op: {
    number: abi.HYPERVISOR_store_op,
    operations: {
      STOREOP_directory: storeErrors(
        [bad('nothing there', [AT, 0], ENOENT, storeWords(0x9000, 6)), noSuchTransaction],
        true,
      ),
      STOREOP_read: storeErrors([bad('nothing there', [AT, 0], ENOENT, storeWords(0x9000, 6)), noSuchTransaction]),
      STOREOP_get_perms: storeErrors([bad('nothing there', [AT, 0], ENOENT, storeWords(0x9000, 6)), noTransaction]),
      STOREOP_watch: storeErrors(
        [
          noTransaction,
          bad(
            'twice',
            [AT, 0],
            EEXIST,
            storeWords(0x9000, 6),
            (guest) => void guest.cpu.store(abi.STOREOP_watch, 'data/x'),
          ),
        ],
        true,
      ),
      STOREOP_unwatch: storeErrors([noTransaction, bad('no such watch', [AT, 0], ENOENT, storeWords(0x9000, 6))], true),
      STOREOP_transaction_start: {
        struct: { arg: 1, bytes: 24 },
        cases: [
          bad('in a transaction', [AT, 0], EINVAL, storeWords(0, 0, 0, 0, 8)),
          bad('too many', [AT, 0], ENOSPC, storeWords(0, 0, 0, 0), (guest) => {
            for (let n = 0; n < 8; n++) guest.cpu.store(abi.STOREOP_transaction_start);
          }),
        ],
      },
      STOREOP_transaction_end: {
        struct: { arg: 1, bytes: 24 },
        cases: [
          bad('neither T nor F', [AT, 0], EINVAL, storeWords(0, 0, 0x9000, 1, 8)),
          bad('of none', [AT, 0], ENOENT, storeWords(0, 0, 0x9200, 1, 0)),
          bad('of no such', [AT, 0], ENOENT, storeWords(0, 0, 0x9200, 1, 8)),
          bad('after a change', [AT, 0], EAGAIN, undefined, (guest) => {
            const tx = guest.cpu.store(abi.STOREOP_transaction_start);
            guest.cpu.storeWrite('data/x', '1');
            guest.put(AT, ...storeWords(0, 0, 0x9200, 1, tx));
          }),
        ],
      },
      STOREOP_write: storeErrors([bad('the toolstack’s', [AT, 0], EACCES, storeWords(0x9100, 8)), noSuchTransaction]),
      STOREOP_rm: storeErrors([
        bad('nothing there', [AT, 0], ENOENT, storeWords(0x9000, 6)),
        bad('the toolstack’s', [AT, 0], EACCES, storeWords(0x9100, 8)),
        noSuchTransaction,
      ]),
      STOREOP_set_perms: storeErrors([noTransaction, bad('text that is none', [AT, 0], EINVAL, storeWords(0x9000, 6))]),
      STOREOP_watch_event: { cases: [bad('none', [0, 0], EAGAIN)] },
    },
  },
};

function offline(guest: FakeGuest): void {
  guest.hv.i32[guest.hv.vcpuWord(1, 2)] = 0;
}

/** A frame is free, but the domain may have no more than it has. */
function giveBack(guest: FakeGuest): void {
  guest.put(0xa000, 0x30);
  guest.put(0xa100, 0xa000, 1, 0, 0, abi.DOMID_SELF);
  guest.cpu.call(abi.HYPERVISOR_memory_op, abi.XENMEM_decrease_reservation, 0xa100);
  guest.hv.i32[guest.hv.domainWord(1) + DOM.allowed] = 255;
}

const numberOf = (name: string): number => (abi as unknown as Record<string, number>)[name];
const families = Object.values(TABLE_OF_ERRORS);
const operations = families.flatMap(({ number, operations }) =>
  Object.entries(operations).map(([name, operation]) => ({ number, name, cmd: numberOf(name), operation })),
);

describe('errors', () => {
  it('are tabled for every operation of the ABI', () => {
    const OPERATION = /^(XENVER|SCHEDOP|EVTCHNOP|VCPUOP|XENMEM|CONSOLEIO|GNTTABOP|STOREOP)_/;
    const named = Object.keys(abi).filter((name) => OPERATION.test(name));
    expect(operations.map(({ name }) => name).sort()).toEqual(named.sort());
  });

  it('are -ENOSYS for every number and command that there is not', () => {
    const { cpu } = prepared();
    const numbers = families.map(({ number }) => number);
    for (let number = -2; number < 70; number++)
      if (!numbers.includes(number)) expect(cpu.call(number, 0)).toBe(ENOSYS);
    for (const { number, operations } of families) {
      const known = Object.keys(operations).map(numberOf);
      for (let cmd = -2; cmd < 130; cmd++) {
        if (!known.includes(cmd)) expect(cpu.call(number, cmd, 0, AT), `${number} ${cmd}`).toBe(ENOSYS);
      }
      for (const cmd of [0x7fffffff, -0x80000000]) expect(cpu.call(number, cmd)).toBe(ENOSYS);
    }
  });

  it.each(operations.filter(({ operation }) => operation.struct))(
    '$name refuses a structure that is unaligned or outside',
    ({ number, cmd, operation }) => {
      const { cpu } = prepared();
      const { arg, bytes, other = 0 } = operation.struct as { arg: 1 | 2; bytes: number; other?: number };
      const call = (address: number) =>
        arg === 1 ? cpu.call(number, cmd, address) : cpu.call(number, cmd, other, address);
      expect([call(AT + 1), call(AT + 2), call(-1)]).toEqual([EINVAL, EINVAL, EINVAL]);
      expect([call(MEMORY - bytes + 4), call(MEMORY), call(-4), call(-0x80000000)]).toEqual(Array(4).fill(EFAULT));
    },
  );

  const cases = operations.flatMap(({ number, name, cmd, operation }) =>
    operation.cases.map((one) => ({ number, name, cmd, ...one })),
  );
  it.each(cases)('$name of $what: $error', ({ number, cmd, args, error, words, before }) => {
    const guest = prepared();
    if (words !== undefined) guest.put(AT, ...words);
    before?.(guest);
    expect(guest.cpu.call(number, cmd, ...args)).toBe(error);
  });
});

describe('a structure', () => {
  /** A second vCPU that changes memory meanwhile changes nothing: there is no second look. */
  it.each(operations.filter(({ operation }) => operation.struct))(
    'of $name is read once',
    ({ number, cmd, operation }) => {
      const { arg, bytes, other = 0 } = operation.struct as { arg: 1 | 2; bytes: number; other?: number };
      const list = operation.cases.filter(({ args }) => args[arg - 1] === AT);
      for (const { words = [], before } of [
        ...list,
        { words: [AT + 0x100, 1, 0, 0, abi.DOMID_SELF, 0] } as Partial<Case>,
      ]) {
        const guest = prepared();
        guest.put(AT, ...words);
        before?.(guest);
        const reads = new Map<number, number>();
        const { load } = Atomics;
        Atomics.load = ((array: Int32Array, index: number) => {
          if (array === guest.memory.i32) reads.set(index * 4, (reads.get(index * 4) ?? 0) + 1);
          return load(array, index);
        }) as typeof Atomics.load;
        try {
          if (arg === 1) guest.cpu.call(number, cmd, AT);
          else guest.cpu.call(number, cmd, other, AT);
        } finally {
          Atomics.load = load;
        }
        for (let at = AT; at < AT + bytes; at += 4) expect(reads.get(at) ?? 0, `${at - AT}`).toBeLessThanOrEqual(1);
      }
    },
  );
});
