import { describe, expect, it } from 'vitest';
import * as abi from '#engines/para/abi.js';
import { HypervisorMemory } from '#engines/para/hypervisor-memory.js';
import { FakeGuest } from './guest-fixture.js';

const INFO = 0x1000;

function twoDomains(): [FakeGuest, FakeGuest] {
  const hv = HypervisorMemory.create();
  const guests: [FakeGuest, FakeGuest] = [new FakeGuest({ hv, domain: 1 }), new FakeGuest({ hv, domain: 2 })];
  for (const guest of guests) guest.cpus.forEach((cpu, id) => void cpu.withInfo(INFO + id * 0x1000));
  return guests;
}

describe('event channels', () => {
  it('carries events between domains, both ways', () => {
    const [a, b] = twoDomains();
    const portA = a.cpu.event(abi.EVTCHNOP_alloc_unbound, 2);
    expect(a.cpu.event(abi.EVTCHNOP_status, portA)).toBe(abi.EVTCHNSTAT_unbound);
    const portB = b.cpu.event(abi.EVTCHNOP_bind_interdomain, 1, portA);
    expect(portB).toBeGreaterThan(0);
    expect(a.cpu.event(abi.EVTCHNOP_status, portA)).toBe(abi.EVTCHNSTAT_interdomain);
    expect(b.cpu.event(abi.EVTCHNOP_send, portB)).toBe(0);
    a.cpu.poll();
    expect(a.cpu.takePorts(INFO)).toEqual([portA]);
    a.cpu.event(abi.EVTCHNOP_send, portA);
    b.cpu.poll();
    expect(b.cpu.takePorts(INFO)).toEqual([portB]);
  });

  it('binds only what was allocated for the binder', () => {
    const [a, b] = twoDomains();
    const forOther = a.cpu.event(abi.EVTCHNOP_alloc_unbound, 3);
    expect(b.cpu.event(abi.EVTCHNOP_bind_interdomain, 1, forOther)).toBe(-1);
    expect(b.cpu.event(abi.EVTCHNOP_bind_interdomain, 1, 500)).toBe(-22);
    expect(b.cpu.event(abi.EVTCHNOP_bind_interdomain, 1, 1024)).toBe(-22);
    expect(b.cpu.event(abi.EVTCHNOP_bind_interdomain, 64, 1)).toBe(-22);
    expect(b.cpu.event(abi.EVTCHNOP_bind_interdomain, 5, 1)).toBe(-22);
    const port = a.cpu.event(abi.EVTCHNOP_alloc_unbound, 2);
    expect(b.cpu.event(abi.EVTCHNOP_bind_interdomain, 1, port)).toBeGreaterThan(0);
    expect(b.cpu.event(abi.EVTCHNOP_bind_interdomain, 1, port)).toBe(-22);
  });

  it('makes the other end unbound when one is closed, and drops what is sent into nothing', () => {
    const [a, b] = twoDomains();
    const portA = a.cpu.event(abi.EVTCHNOP_alloc_unbound, 2);
    const portB = b.cpu.event(abi.EVTCHNOP_bind_interdomain, 1, portA);
    expect(b.cpu.event(abi.EVTCHNOP_close, portB)).toBe(0);
    expect(a.cpu.event(abi.EVTCHNOP_status, portA)).toBe(abi.EVTCHNSTAT_unbound);
    expect(a.cpu.event(abi.EVTCHNOP_send, portA)).toBe(0);
    b.cpu.poll();
    expect(b.cpu.takePorts(INFO)).toEqual([]);
    expect(b.cpu.event(abi.EVTCHNOP_bind_interdomain, 1, portA)).toBe(portB);
  });

  it('gives a whole domain’s channels back', () => {
    const [a, b] = twoDomains();
    const portA = a.cpu.event(abi.EVTCHNOP_alloc_unbound, 2);
    b.cpu.event(abi.EVTCHNOP_bind_interdomain, 1, portA);
    b.cpu.events.closeAll(2);
    expect(a.cpu.event(abi.EVTCHNOP_status, portA)).toBe(abi.EVTCHNSTAT_unbound);
    for (let port = 1; port < 1024; port++) expect(b.cpu.event(abi.EVTCHNOP_status, port)).toBe(0);
  });

  it('delivers to the vCPU that the port is bound to, and follows bind_vcpu', () => {
    const [a] = twoDomains();
    const [cpu0, cpu1] = a.cpus;
    const ipi = cpu0.event(abi.EVTCHNOP_bind_ipi, 1);
    cpu0.event(abi.EVTCHNOP_send, ipi);
    cpu0.poll();
    expect(cpu0.takePorts(INFO)).toEqual([]);
    cpu1.poll();
    expect(cpu1.takePorts(INFO + 0x1000)).toEqual([ipi]);
    const console = cpu0.event(abi.EVTCHNOP_bind_virq, abi.VIRQ_CONSOLE, 0);
    expect(cpu0.event(abi.EVTCHNOP_bind_vcpu, console, 1)).toBe(0);
    cpu0.events.setPending(1, console);
    cpu1.poll();
    expect(cpu1.takePorts(INFO + 0x1000)).toEqual([console]);
    expect(cpu0.event(abi.EVTCHNOP_bind_vcpu, ipi, 0)).toBe(-22);
    expect(cpu0.event(abi.EVTCHNOP_bind_vcpu, console, 2)).toBe(-22);
  });

  it('holds masked events back until they are unmasked', () => {
    const [a] = twoDomains();
    const { cpu } = a;
    const port = cpu.event(abi.EVTCHNOP_bind_ipi, 0);
    a.put(INFO + abi.vcpu_info.evtchn_mask, 1 << port);
    cpu.event(abi.EVTCHNOP_send, port);
    cpu.poll();
    expect(a.u32(INFO)).toBe(0);
    expect(cpu.event(abi.EVTCHNOP_unmask, port)).toBe(0);
    expect(a.u32(INFO + abi.vcpu_info.evtchn_mask)).toBe(0);
    expect(cpu.takePorts(INFO)).toEqual([port]);
  });

  it('binds each VIRQ once, and again after it was closed', () => {
    const { cpu, cpus } = new FakeGuest();
    const port = cpu.event(abi.EVTCHNOP_bind_virq, abi.VIRQ_TIMER, 0);
    expect(port).toBeGreaterThan(0);
    expect(cpu.event(abi.EVTCHNOP_bind_virq, abi.VIRQ_TIMER, 0)).toBe(-17);
    expect(cpu.event(abi.EVTCHNOP_bind_virq, abi.VIRQ_TIMER, 1)).toBe(-22); // another vCPU's timer
    expect(cpus[1].event(abi.EVTCHNOP_bind_virq, abi.VIRQ_TIMER, 1)).toBeGreaterThan(0);
    expect(cpu.event(abi.EVTCHNOP_bind_virq, 7, 0)).toBe(-22);
    cpu.event(abi.EVTCHNOP_close, port);
    expect(cpu.event(abi.EVTCHNOP_bind_virq, abi.VIRQ_TIMER, 0)).toBe(port);
  });

  it('sends neither on a VIRQ nor on a closed port, nor on a number that is none', () => {
    const { cpu } = new FakeGuest();
    const virq = cpu.event(abi.EVTCHNOP_bind_virq, abi.VIRQ_CONSOLE, 0);
    for (const port of [virq, virq + 1, 0, 1024, -1]) expect(cpu.event(abi.EVTCHNOP_send, port), `${port}`).toBe(-22);
  });

  it('runs out of ports with -ENOSPC', () => {
    const { cpu } = new FakeGuest();
    for (let n = 1; n < 1024; n++) expect(cpu.event(abi.EVTCHNOP_bind_ipi, 0)).toBe(n);
    expect(cpu.event(abi.EVTCHNOP_bind_ipi, 0)).toBe(-28);
  });
});
