/** Priorities of event channels, and events that are masked or whose port moves between vCPUs: order, and no wake-up lost. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as abi from '#engines/para/abi.js';
import { FakeGuest } from './guest-fixture.js';

const INFO = [0x1000, 0x2000];
const MASK = abi.vcpu_info.evtchn_mask;

function guestWithInfo(): FakeGuest {
  const guest = new FakeGuest();
  guest.cpus.forEach((cpu, id) => void cpu.withInfo(INFO[id]));
  return guest;
}

describe('EVTCHNOP_set_priority', () => {
  it('delivers by priority first, then by port', () => {
    const guest = guestWithInfo();
    const { cpu } = guest;
    const ports = Array.from({ length: 70 }, () => cpu.event(abi.EVTCHNOP_bind_ipi, 0));
    cpu.event(abi.EVTCHNOP_set_priority, ports[69], 0);
    cpu.event(abi.EVTCHNOP_set_priority, ports[3], 15);
    cpu.event(abi.EVTCHNOP_set_priority, ports[40], 6);
    for (const port of [3, 2, 40, 66, 69]) cpu.event(abi.EVTCHNOP_send, ports[port]);
    cpu.poll();
    expect(guest.u32(INFO[0])).toBe((1 << 0) | (1 << 6) | (1 << 7) | (1 << 15));
    expect(cpu.takePorts(INFO[0])).toEqual([69, 40, 2, 66, 3].map((n) => ports[n]));
  });

  it('is 7 for a new port, is kept by binding and closing of the other end, and goes with the port', () => {
    const guest = guestWithInfo();
    const { cpu } = guest;
    const at = () => {
      cpu.events.setPending(1, port);
      cpu.poll();
      const ready = guest.u32(INFO[0]);
      cpu.takePorts(INFO[0]);
      return 31 - Math.clz32(ready);
    };
    let port = cpu.event(abi.EVTCHNOP_alloc_unbound, 1);
    expect(at()).toBe(7);
    cpu.event(abi.EVTCHNOP_set_priority, port, 2);
    const other = cpu.event(abi.EVTCHNOP_bind_interdomain, 1, port);
    expect(at()).toBe(2);
    cpu.event(abi.EVTCHNOP_close, other);
    expect(at()).toBe(2);
    cpu.event(abi.EVTCHNOP_close, port);
    port = cpu.event(abi.EVTCHNOP_bind_ipi, 0);
    expect(at()).toBe(7);
  });

  it('refuses closed ports and priorities that there are not', () => {
    const { cpu } = guestWithInfo();
    const port = cpu.event(abi.EVTCHNOP_bind_ipi, 0);
    const set = (p: number, q: number) => cpu.event(abi.EVTCHNOP_set_priority, p, q);
    expect([set(port, 16), set(port, -1), set(0, 7), set(1024, 7), set(port + 1, 7)]).toEqual([
      -22, -22, -22, -22, -22,
    ]);
  });

  it('counts for what SCHEDOP_poll waits for', () => {
    const guest = guestWithInfo();
    const { cpu } = guest;
    const port = cpu.event(abi.EVTCHNOP_bind_ipi, 0);
    cpu.event(abi.EVTCHNOP_set_priority, port, 1);
    guest.put(0x3000, 0, 0, 0x3010, 1, port);
    guest.disk.onWait = () => void cpu.event(abi.EVTCHNOP_send, port);
    expect(cpu.call(abi.HYPERVISOR_sched_op, abi.SCHEDOP_poll, 0x3000)).toBe(0);
  });
});

/* ---- no event is lost, whatever happens to its port between the send and the look ---- */

type Step =
  | { do: 'send' | 'mask' | 'unmask' | 'priority'; cpu: number; port: number; value: number }
  | { do: 'bind' | 'poll'; cpu: number; port: number; value: number };

const step = fc.record({
  do: fc.constantFrom('send', 'send', 'mask', 'unmask', 'priority', 'bind', 'poll') as fc.Arbitrary<Step['do']>,
  cpu: fc.integer({ min: 0, max: 1 }),
  port: fc.integer({ min: 0, max: 3 }),
  value: fc.integer({ min: 0, max: 15 }),
}) as fc.Arbitrary<Step>;

describe('an event', () => {
  it('arrives at least once after its last send, when nothing masks it any more', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const guest = guestWithInfo();
        const ports = [0, 1, 2, 3].map(() => guest.cpu.event(abi.EVTCHNOP_alloc_unbound, 1));
        const seen = new Set<number>();
        const owed = new Set<number>();
        const look = (cpu: number) => {
          guest.cpus[cpu].poll();
          for (const port of guest.cpus[cpu].takePorts(INFO[cpu])) {
            seen.add(port);
            owed.delete(port);
          }
        };
        for (const { do: what, cpu, port: n, value } of steps) {
          const port = ports[n];
          if (what === 'send') {
            guest.cpus[cpu].events.setPending(1, port);
            owed.add(port);
          } else if (what === 'mask') guest.put(INFO[cpu] + MASK, guest.u32(INFO[cpu] + MASK) | (1 << port));
          else if (what === 'unmask') guest.cpus[cpu].event(abi.EVTCHNOP_unmask, port);
          else if (what === 'priority') guest.cpu.event(abi.EVTCHNOP_set_priority, port, value);
          else if (what === 'bind') guest.cpu.event(abi.EVTCHNOP_bind_vcpu, port, cpu);
          else look(cpu);
        }
        for (const port of ports) expect(guest.cpu.event(abi.EVTCHNOP_unmask, port)).toBe(0);
        look(0);
        look(1);
        expect([...owed]).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('arrives when its port moves to another vCPU in the middle of the send', () => {
    const guest = guestWithInfo();
    const { cpu, hv } = guest;
    const port = cpu.event(abi.EVTCHNOP_alloc_unbound, 1);
    guest.put(INFO[0] + MASK, 1 << port); // what is put where the port was would stay there
    // The sender has read the binding and is about to set the bit: bind_vcpu() comes in between.
    const { or } = Atomics;
    let moved = false;
    Atomics.or = ((array: Int32Array, at: number, value: number) => {
      if (!moved && array === hv.i32) {
        moved = true;
        cpu.event(abi.EVTCHNOP_bind_vcpu, port, 1);
      }
      return or(array, at, value);
    }) as typeof Atomics.or;
    try {
      guest.cpus[1].events.setPending(1, port);
    } finally {
      Atomics.or = or;
    }
    guest.cpus[1].poll();
    expect(guest.cpus[1].takePorts(INFO[1])).toEqual([port]);
  });
});
