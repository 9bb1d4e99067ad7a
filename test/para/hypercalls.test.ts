import { describe, expect, it } from 'vitest';
import * as abi from '#engines/para/abi.js';
import { consoleDrain, consoleFeed, RECORD_DOORBELL } from '#engines/para/console.js';
import { HypercallTable } from '#engines/para/hypercalls/table.js';
import { DOM, DomainState } from '#engines/para/hypervisor-memory.js';
import { VcpuStop } from '#engines/para/vcpu.js';
import { FakeGuest } from './guest-fixture.js';

const { HYPERVISOR_console_io: CONSOLE, HYPERVISOR_sched_op: SCHED, HYPERVISOR_vcpu_op: VCPU_OP } = abi;
const TWO_32 = 2 ** 32;

describe('hypercall table', () => {
  it('refuses a number that is taken or out of range', () => {
    const table = new HypercallTable().register(3, 'hypercall_sched_op', () => 0);
    expect(() => table.register(3, 'hypercall_vcpu_op', () => 0)).toThrow('registered twice');
    expect(() => table.register(64, 'hypercall_vcpu_op', () => 0)).toThrow('0 to 63');
    expect(() => table.register(-1, 'hypercall_vcpu_op', () => 0)).toThrow('0 to 63');
  });

  it('answers unknown numbers and commands with -ENOSYS', () => {
    const { cpu } = new FakeGuest();
    for (const number of [0, 11, 63, 64, -1, 0x7fffffff]) expect(cpu.call(number, 0)).toBe(-38);
    for (const number of [12, 17, 18, 20, 24, 29, 32, 48]) expect(cpu.call(number, 77), `${number}`).toBe(-38);
  });

  it('lets no vCPU of a domain that ends run on', () => {
    const { cpu, hv, domain } = new FakeGuest();
    hv.i32[hv.domainWord(domain) + DOM.state] = DomainState.dying;
    expect(() => cpu.call(abi.HYPERVISOR_xen_version, 0)).toThrow(VcpuStop);
  });
});

describe('xen_version and memory_op', () => {
  it('gives the version, and adds one for the null hypercall', () => {
    const { cpu } = new FakeGuest();
    const version = (cmd: number, arg = 0) => cpu.call(abi.HYPERVISOR_xen_version, cmd, arg);
    expect(version(abi.XENVER_version)).toBe(0x20001);
    expect(version(abi.XENVER_null, 0)).toBe(1);
    expect(version(abi.XENVER_null, 0x3fffffff)).toBe(0x40000000);
    expect(version(abi.XENVER_null, 0x40000000)).toBe(-22);
    expect(version(abi.XENVER_null, -1)).toBe(-22);
  });

  it('tells how much memory there is', () => {
    const { cpu } = new FakeGuest({ pages: 16 });
    expect(cpu.call(abi.HYPERVISOR_memory_op, abi.XENMEM_current_reservation)).toBe(256);
  });
});

describe('sched_op', () => {
  it('ends the domain by shutdown, with the reason, and refuses unknown reasons', () => {
    const { cpu, cpus, hv, domain } = new FakeGuest();
    expect(cpu.call(SCHED, abi.SCHEDOP_shutdown, 9)).toBe(-22);
    expect(() => cpu.call(SCHED, abi.SCHEDOP_shutdown, abi.SHUTDOWN_crash)).toThrow(VcpuStop);
    expect(hv.i32[hv.domainWord(domain) + DOM.shutdownReason]).toBe(3);
    expect(() => cpus[1].call(SCHED, abi.SCHEDOP_yield)).toThrow(VcpuStop);
  });

  it('does not block without a vcpu_info', () => {
    expect(new FakeGuest().cpu.call(SCHED, abi.SCHEDOP_block)).toBe(-22);
  });

  it('blocks until an event comes, and kicks the sleeper', () => {
    const guest = new FakeGuest();
    const cpu = guest.cpu.withInfo(0x1000);
    const port = cpu.event(abi.EVTCHNOP_bind_ipi, 0);
    guest.disk.onWait = () => expect(guest.cpus[1].event(abi.EVTCHNOP_send, port)).toBe(0);
    expect(cpu.call(SCHED, abi.SCHEDOP_block)).toBe(0);
    expect(guest.kicks).toEqual([0]);
    expect(cpu.takePorts(0x1000)).toEqual([port]);
  });

  it('does not sleep when the event came before', () => {
    const guest = new FakeGuest();
    const cpu = guest.cpu.withInfo(0x1000);
    const port = cpu.event(abi.EVTCHNOP_bind_ipi, 0);
    cpu.event(abi.EVTCHNOP_send, port);
    cpu.call(SCHED, abi.SCHEDOP_block);
    expect(guest.disk.counters.waits).toBe(0);
    expect(guest.kicks).toEqual([]);
  });

  it('does not sleep while the guest has not looked at an earlier event', () => {
    const guest = new FakeGuest();
    const cpu = guest.cpu.withInfo(0x1000);
    cpu.event(abi.EVTCHNOP_send, cpu.event(abi.EVTCHNOP_bind_ipi, 0));
    cpu.poll();
    cpu.call(SCHED, abi.SCHEDOP_block);
    expect(guest.disk.counters.waits).toBe(0);
  });

  it('polls for ports, masked ones too, and ends at the timeout', () => {
    const guest = new FakeGuest();
    const cpu = guest.cpu.withInfo(0x1000);
    const [a, b] = [cpu.event(abi.EVTCHNOP_bind_ipi, 0), cpu.event(abi.EVTCHNOP_bind_ipi, 0)];
    guest.put(0x1000 + abi.vcpu_info.evtchn_mask, (1 << a) | (1 << b));
    guest.put(0x2000, a);
    guest.put(0x2010, 0, 0, 0x2000, 1);
    let sleeps = 0;
    guest.disk.onWait = () => {
      cpu.event(abi.EVTCHNOP_send, sleeps++ === 0 ? b : a);
    };
    expect(cpu.call(SCHED, abi.SCHEDOP_poll, 0x2010)).toBe(0);
    expect(sleeps).toBe(2);
    guest.put(0x2000, b + 1);
    guest.put(0x2010, 1, 0, 0x2000, 1); // a time long ago
    expect(cpu.call(SCHED, abi.SCHEDOP_poll, 0x2010)).toBe(0);
    expect(sleeps).toBe(2);
  });

  it.each([
    ['an unaligned structure', 0x2011, [0x2000, 1], -22],
    ['a structure behind the end', 0x100000 - 8, [0x2000, 1], -14],
    ['no ports', 0x2010, [0x2000, 0], -22],
    ['too many ports', 0x2010, [0x2000, 129], -22],
    ['a list behind the end', 0x2010, [0xfffffffc, 2], -14],
    ['port 0', 0x2010, [0x2000, 1], -22],
  ])('refuses to poll with %s', (_, address, [ports, count], error) => {
    const guest = new FakeGuest();
    const cpu = guest.cpu.withInfo(0x1000);
    guest.put(0x2000, 0);
    guest.put(0x2010, 0, 0, ports, count);
    expect(cpu.call(SCHED, abi.SCHEDOP_poll, address)).toBe(error);
  });
});

describe('vcpu_op', () => {
  const context = (guest: FakeGuest, stack: number, tls = 0) => guest.put(0x2000, stack, tls, 5);

  it('starts a vCPU that was initialised', () => {
    const guest = new FakeGuest({ vcpus: 3 });
    const { cpu, hv, domain } = guest;
    const op = (cmd: number, id: number, arg = 0) => cpu.call(VCPU_OP, cmd, id, arg);
    hv.i32[hv.vcpuWord(domain, 2)] = 0; // offline
    expect(op(abi.VCPUOP_is_up, 2)).toBe(0);
    expect(op(abi.VCPUOP_up, 2)).toBe(-22);
    expect(op(abi.VCPUOP_initialise, 2, context(guest, 0x8000, 0x9000))).toBe(0);
    expect(op(abi.VCPUOP_up, 2)).toBe(0);
    expect(op(abi.VCPUOP_is_up, 2)).toBe(1);
    expect(op(abi.VCPUOP_up, 2)).toBe(0);
    expect(op(abi.VCPUOP_initialise, 2, 0x2000)).toBe(-16);
  });

  it.each([
    ['vCPU 0', 0, 0x8000, 0x2000, -22],
    ['a vCPU that there is not', 2, 0x8000, 0x2000, -22],
    ['a stack at 0', 1, 0, 0x2000, -22],
    ['an unaligned stack', 1, 0x8008, 0x2000, -22],
    ['a stack outside', 1, 0x7ffffff0, 0x2000, -22],
    ['a structure outside', 1, 0x8000, -4, -14],
  ])('refuses to initialise %s', (_, id, stack, address, error) => {
    const guest = new FakeGuest({ vcpus: 2 });
    guest.hv.i32[guest.hv.vcpuWord(1, 1)] = 0;
    context(guest, stack);
    expect(guest.cpu.call(VCPU_OP, abi.VCPUOP_initialise, id, address)).toBe(error);
  });

  it('takes one vCPU down, but never vCPU 0 and never another', () => {
    const { cpus } = new FakeGuest();
    expect(cpus[0].call(VCPU_OP, abi.VCPUOP_down, 0)).toBe(-1);
    expect(cpus[0].call(VCPU_OP, abi.VCPUOP_down, 1)).toBe(-22);
    expect(() => cpus[1].call(VCPU_OP, abi.VCPUOP_down, 1)).toThrow(VcpuStop);
  });

  it("reads the host's monotonic clock", () => {
    const guest = new FakeGuest();
    const before = process.hrtime.bigint();
    expect(guest.cpu.call(VCPU_OP, abi.VCPUOP_get_time, 0, 0x2000)).toBe(0);
    const now = BigInt(guest.u32(0x2000)) + (BigInt(guest.u32(0x2004)) << 32n);
    expect(now >= before && now <= process.hrtime.bigint()).toBe(true);
  });

  it('fires the timer once, when it is due', () => {
    const guest = new FakeGuest();
    const cpu = guest.cpu.withInfo(0x1000);
    const port = cpu.event(abi.EVTCHNOP_bind_virq, abi.VIRQ_TIMER, 0);
    const due = Number(process.hrtime.bigint()) + 1e15;
    guest.put(0x2000, due % TWO_32, due / TWO_32);
    expect(cpu.call(VCPU_OP, abi.VCPUOP_set_singleshot_timer, 0, 0x2000)).toBe(0);
    cpu.poll();
    expect(cpu.takePorts(0x1000)).toEqual([]);
    guest.put(0x2000, 1, 0);
    cpu.call(VCPU_OP, abi.VCPUOP_set_singleshot_timer, 0, 0x2000);
    cpu.poll();
    expect(cpu.takePorts(0x1000)).toEqual([port]);
    cpu.poll();
    expect(cpu.takePorts(0x1000)).toEqual([]);
  });

  it('takes a vcpu_info once, of its own vCPU', () => {
    const { cpu } = new FakeGuest();
    const register = (id: number, address: number) => cpu.call(VCPU_OP, abi.VCPUOP_register_vcpu_info, id, address);
    expect(register(1, 0x1000)).toBe(-22);
    expect(register(0, 0)).toBe(-22);
    expect(register(0, 0x1002)).toBe(-22);
    expect(register(0, 0x100000 - 2240)).toBe(-14);
    expect(register(0, 0x100000 - 2244)).toBe(0);
    expect(register(0, 0x1000)).toBe(-16);
  });
});

describe('console_io', () => {
  it('keeps bytes and doorbells in order, and stamps the doorbells', () => {
    const guest = new FakeGuest();
    const write = (text: string) => {
      guest.memory.u8.set(Buffer.from(text), 0x3000);
      return guest.cpu.call(CONSOLE, abi.CONSOLEIO_write, text.length, 0x3000);
    };
    const before = Number(process.hrtime.bigint());
    expect(write('hello')).toBe(5);
    expect(guest.cpu.call(CONSOLE, abi.CONSOLEIO_doorbell, abi.DOORBELL_start)).toBe(0);
    expect(write('\x02 forged')).toBe(8);
    const records = consoleDrain(guest.hv, guest.domain);
    expect(records.map(({ kind }) => kind)).toEqual([1, RECORD_DOORBELL, 1]);
    expect(Buffer.from(records[0].payload).toString()).toBe('hello');
    const [which, ns] = new Float64Array(records[1].payload.slice().buffer);
    expect(which).toBe(2);
    expect(ns).toBeGreaterThanOrEqual(before);
    expect(ns).toBeLessThanOrEqual(Number(process.hrtime.bigint()));
  });

  it('answers -EAGAIN when the console is full, and takes nothing of the write', () => {
    const guest = new FakeGuest();
    const write = () => guest.cpu.call(CONSOLE, abi.CONSOLEIO_write, 4096, 0x3000);
    let taken = 0;
    while (write() === 4096) taken += 4096;
    expect(write()).toBe(-11);
    const bytes = consoleDrain(guest.hv, guest.domain).reduce((sum, { payload }) => sum + payload.length, 0);
    expect(bytes).toBe(taken);
    expect(write()).toBe(4096);
  });

  it('goes round its rings many times without losing a byte', () => {
    const guest = new FakeGuest();
    let sent = '';
    let got = '';
    for (let i = 0; i < 2000; i++) {
      const text = `line ${i}\n`.repeat(1 + (i % 9));
      guest.memory.u8.set(Buffer.from(text), 0x3000);
      expect(guest.cpu.call(CONSOLE, abi.CONSOLEIO_write, text.length, 0x3000)).toBe(text.length);
      sent += text;
      for (const { payload } of consoleDrain(guest.hv, guest.domain)) got += Buffer.from(payload).toString();
    }
    expect(got).toBe(sent);
  });

  it('reads input in pieces, and tells its end after the last byte', () => {
    const guest = new FakeGuest();
    const read = (most: number) => guest.cpu.call(CONSOLE, abi.CONSOLEIO_read, most, 0x3000);
    expect(read(10)).toBe(0);
    expect(consoleFeed(guest.hv, guest.domain, Buffer.from('abcdef'))).toBe(6);
    expect(read(4)).toBe(4);
    expect(Buffer.from(guest.memory.u8.slice(0x3000, 0x3004)).toString()).toBe('abcd');
    guest.hv.i32[guest.hv.domainWord(guest.domain) + DOM.inputEnded] = 1;
    expect(read(4)).toBe(2);
    expect(read(4)).toBe(-5);
  });

  it('takes only as much input as its ring holds', () => {
    const guest = new FakeGuest();
    expect(consoleFeed(guest.hv, guest.domain, new Uint8Array(9000))).toBe(8192);
    expect(consoleFeed(guest.hv, guest.domain, new Uint8Array(1))).toBe(0);
  });

  it.each([
    ['write', abi.CONSOLEIO_write, 4097, 0x3000, -22],
    ['write', abi.CONSOLEIO_write, 4, 0xffffe, -14],
    ['write', abi.CONSOLEIO_write, 4, -1, -14],
    ['read', abi.CONSOLEIO_read, 4097, 0x3000, -22],
    ['read', abi.CONSOLEIO_read, 4, 0xffffe, -14],
    ['doorbell', abi.CONSOLEIO_doorbell, 1, 0, -22],
  ])('refuses a bad %s', (_, cmd, arg1, arg2, error) => {
    expect(new FakeGuest().cpu.call(CONSOLE, cmd, arg1, arg2)).toBe(error);
  });
});
