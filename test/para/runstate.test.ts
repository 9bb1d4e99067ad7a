/** vcpu_op's timers and run-state accounts. */
import { describe, expect, it } from 'vitest';
import { libc } from '#engines/backends/libc.js';
import * as abi from '#engines/para/abi.js';
import { clockNs } from '#engines/para/clock.js';
import { SchedStat } from '#engines/para/runstate.js';
import { FakeGuest } from './guest-fixture.js';

const INFO = 0x1000;
const AREA = 0x3000;
const TWO_32 = 2 ** 32;
const u64 = (guest: FakeGuest, at: number): number => guest.u32(at) + guest.u32(at + 4) * TWO_32;

function ready(): { guest: FakeGuest; op: (cmd: number, vcpu: number, arg?: number) => number } {
  const guest = new FakeGuest();
  guest.cpu.withInfo(INFO);
  return { guest, op: (cmd, vcpu, arg = 0) => guest.cpu.call(abi.HYPERVISOR_vcpu_op, cmd, vcpu, arg) };
}

const putU64 = (guest: FakeGuest, at: number, value: number, ...rest: number[]): number =>
  guest.put(at, value % TWO_32, Math.floor(value / TWO_32), ...rest);

describe('timers', () => {
  it('fires the periodic timer again and again, and keeps its rhythm', () => {
    const { guest, op } = ready();
    const { cpu } = guest;
    const port = cpu.event(abi.EVTCHNOP_bind_virq, abi.VIRQ_TIMER, 0);
    const start = clockNs();
    expect(op(abi.VCPUOP_set_periodic_timer, 0, putU64(guest, AREA, 1_000_000))).toBe(0);
    cpu.poll();
    const due: number[] = [];
    for (let n = 0; n < 3; n++) {
      while (cpu.takePorts(INFO)[0] !== port) cpu.poll();
      due.push(clockNs() - start);
    }
    due.forEach((ns, n) => void expect(ns).toBeGreaterThanOrEqual((n + 1) * 1_000_000));
    op(abi.VCPUOP_stop_periodic_timer, 0);
    expect(cpu.vcpu.timerInNs()).toBe(Number.POSITIVE_INFINITY);
  });

  it('runs both timers at once: the one that is due first counts, and stopping one leaves the other', () => {
    const { guest, op } = ready();
    putU64(guest, AREA, clockNs() + 3_600e9, 0);
    expect(op(abi.VCPUOP_set_singleshot_timer, 0, AREA)).toBe(0);
    expect(guest.cpu.vcpu.timerInNs()).toBeGreaterThan(3_500e9);
    op(abi.VCPUOP_set_periodic_timer, 0, putU64(guest, AREA, 60e9));
    expect(guest.cpu.vcpu.timerInNs()).toBeLessThanOrEqual(60e9);
    op(abi.VCPUOP_stop_periodic_timer, 0);
    expect(guest.cpu.vcpu.timerInNs()).toBeGreaterThan(3_500e9);
    op(abi.VCPUOP_stop_singleshot_timer, 0);
    expect(guest.cpu.vcpu.timerInNs()).toBe(Number.POSITIVE_INFINITY);
  });

  it('refuses a period below a millisecond, flags that there are not, and the past when asked to', () => {
    const { guest, op } = ready();
    expect(op(abi.VCPUOP_set_periodic_timer, 0, putU64(guest, AREA, 999_999))).toBe(-22);
    expect(op(abi.VCPUOP_set_periodic_timer, 0, AREA + 2)).toBe(-22);
    expect(op(abi.VCPUOP_set_periodic_timer, 0, 0x100000 - 4)).toBe(-14);
    expect(op(abi.VCPUOP_set_periodic_timer, 1, AREA)).toBe(-22);
    expect(op(abi.VCPUOP_set_singleshot_timer, 0, putU64(guest, AREA, 5, 2))).toBe(-22);
    expect(op(abi.VCPUOP_set_singleshot_timer, 0, putU64(guest, AREA, 5, abi.VCPU_SSHOTTMR_future))).toBe(-62);
    expect(guest.cpu.vcpu.timerInNs()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('run-state accounts', () => {
  const times = (guest: FakeGuest, at: number): number[] => [0, 1, 2, 3].map((n) => u64(guest, at + 16 + 8 * n));

  it('tells running from the CPU clock, runnable from the run queue, and the rest as blocked; all together is the time', () => {
    const { guest, op } = ready();
    const begin = clockNs();
    guest.cpu.vcpu.accounts.up();
    while (clockNs() < begin + 5_000_000);
    guest.spent.cpu = 1_000_000;
    guest.spent.delay = 300_000;
    const before = clockNs();
    expect(op(abi.VCPUOP_get_runstate_info, 0, AREA)).toBe(0);
    const [running, runnable, blocked, offline] = times(guest, AREA);
    expect(guest.u32(AREA)).toBe(abi.RUNSTATE_running);
    expect([running, runnable]).toEqual([1_000_000, 300_000]);
    const all = running + runnable + blocked + offline;
    expect(all).toBeGreaterThanOrEqual(before - begin);
    expect(u64(guest, AREA + 8)).toBeGreaterThanOrEqual(begin);
    expect(u64(guest, AREA + 8) + blocked + running + runnable).toBeLessThanOrEqual(clockNs());
  });

  it('counts a vCPU that is down as offline, and keeps what it had before', () => {
    const { guest, op } = ready();
    guest.cpu.vcpu.accounts.up();
    guest.spent.cpu = 700;
    guest.cpu.vcpu.goesDown();
    guest.spent.cpu = 9_000_000; // what the thread does while the vCPU is down is not the vCPU's
    const down = clockNs();
    while (clockNs() < down + 1_000_000);
    op(abi.VCPUOP_get_runstate_info, 0, AREA);
    expect(guest.u32(AREA)).toBe(abi.RUNSTATE_offline);
    expect(times(guest, AREA)[0]).toBe(700);
    expect(times(guest, AREA)[3]).toBeGreaterThanOrEqual(1_000_000);
    guest.cpu.vcpu.accounts.up();
    guest.spent.cpu += 50;
    op(abi.VCPUOP_get_runstate_info, 0, AREA);
    expect(times(guest, AREA)[0]).toBe(750);
  });

  it('keeps the registered area up to date, and shows that the vCPU blocks while it does', () => {
    const { guest, op } = ready();
    guest.cpu.vcpu.accounts.up();
    expect(op(abi.VCPUOP_register_runstate_memory_area, 0, AREA)).toBe(0);
    const port = guest.cpu.event(abi.EVTCHNOP_bind_ipi, 0);
    const states: number[] = [];
    guest.disk.onWait = () => {
      states.push(guest.u32(AREA));
      guest.cpu.event(abi.EVTCHNOP_send, port);
    };
    guest.cpu.call(abi.HYPERVISOR_sched_op, abi.SCHEDOP_block);
    expect([...states, guest.u32(AREA)]).toEqual([abi.RUNSTATE_blocked, abi.RUNSTATE_running]);
    expect(guest.u32(AREA + 12) & 0x80000000, 'no update is under way').toBe(0);
    op(abi.VCPUOP_register_runstate_memory_area, 0, 0);
    guest.put(AREA, 77);
    guest.cpu.takePorts(INFO);
    guest.cpu.call(abi.HYPERVISOR_sched_op, abi.SCHEDOP_block);
    expect(guest.u32(AREA)).toBe(77);
  });

  it('refuses bad places, and areas of other vCPUs', () => {
    const { op } = ready();
    expect(op(abi.VCPUOP_get_runstate_info, 2, AREA)).toBe(-22);
    expect(op(abi.VCPUOP_get_runstate_info, 1, AREA)).toBe(-95); // this fake vCPU has no thread to ask the host about
    expect(op(abi.VCPUOP_get_runstate_info, 0, 0x100000 - 40)).toBe(-14);
    expect(op(abi.VCPUOP_register_runstate_memory_area, 0, 0x100000 - 40)).toBe(-14);
    expect(op(abi.VCPUOP_register_runstate_memory_area, 0, AREA + 1)).toBe(-22);
    expect(op(abi.VCPUOP_register_runstate_memory_area, 1, AREA)).toBe(-22);
  });

  it('reads CPU time and run delay of a thread from the host', () => {
    const stat = new SchedStat(libc()?.gettid() ?? 0);
    const first = stat.read();
    for (let n = 0, x = 1; n < 1e6; n++) x = (x * 3) | 0;
    const second = stat.read();
    stat.close();
    if (first === undefined || second === undefined) return; // a host without CONFIG_SCHED_INFO
    expect(second.cpu).toBeGreaterThan(first.cpu);
    expect(second.delay).toBeGreaterThanOrEqual(first.delay);
  });
});
