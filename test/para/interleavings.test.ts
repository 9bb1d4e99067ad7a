/**
 * Two threads that meet at every point: one does its whole part before each single atomic operation of the other, so all places are
 * tried at which a wake-up could be lost. A sleep is the fake's wait(): when it begins although the other was there before, and no
 * kick came since this vCPU said that it sleeps, it would never end.
 */
import { describe, expect, it } from 'vitest';
import * as abi from '#engines/para/abi.js';
import { HypervisorMemory, VCPU, VcpuState } from '#engines/para/hypervisor-memory.js';
import { Store } from '#engines/para/store.js';
import { FakeGuest } from './guest-fixture.js';

const INFO = 0x5000;
const OPERATIONS = ['load', 'store', 'exchange', 'compareExchange', 'or', 'and', 'add', 'sub'] as const;
type Operation = (typeof OPERATIONS)[number];

/** Runs `action`; before its n-th atomic operation `other(n)` is called, which is not interrupted itself. Returns how many there were. */
function interleave(action: () => void, other: (n: number) => void): number {
  const originals = OPERATIONS.map((name) => [name, Atomics[name]] as const);
  const table = Atomics as unknown as Record<Operation, unknown>;
  let n = 0;
  let inside = false;
  for (const [name, original] of originals) {
    table[name] = (...args: unknown[]) => {
      if (!inside) {
        inside = true;
        other(n++);
        inside = false;
      }
      return (original as (...all: unknown[]) => unknown)(...args);
    };
  }
  try {
    action();
  } finally {
    for (const [name, original] of originals) table[name] = original;
  }
  return n;
}

const hv = HypervisorMemory.create();

/** Thrown out of a wait that nothing would end. */
class Lost extends Error {}

/** Does `sleeper` end for every moment of `act`? Returns how many moments were tried. */
function trySleeps(build: () => { guest: FakeGuest; sleeper: () => void; act: () => void; check: () => void }): number {
  for (let moment = 0; ; moment++) {
    const { guest, sleeper, act, check } = build();
    let acted = false;
    const once = () => {
      acted = true;
      act();
    };
    guest.disk.onWait = () => {
      if (!acted) once();
      else if (!guest.kicks.includes(0)) throw new Lost(`wake-up lost at operation ${moment}`);
    };
    const all = interleave(sleeper, (n) => {
      if (n === moment) once();
    });
    check();
    if (moment >= all) return moment;
  }
}

describe('no wake-up is lost', () => {
  it.each([
    ['SCHEDOP_block', false],
    ['SCHEDOP_poll with ports', true],
  ])('when an event is sent at any moment of %s', (_, polls) => {
    const tried = trySleeps(() => {
      const guest = new FakeGuest({ hv });
      const cpu = guest.cpu.withInfo(INFO);
      const port = cpu.event(abi.EVTCHNOP_bind_ipi, 0);
      guest.put(0x3000, 0, 0, 0x3010, 1, port);
      return {
        guest,
        sleeper: () =>
          void cpu.call(abi.HYPERVISOR_sched_op, polls ? abi.SCHEDOP_poll : abi.SCHEDOP_block, polls ? 0x3000 : 0),
        act: () => void guest.cpus[1].event(abi.EVTCHNOP_send, port),
        check: () => expect(cpu.takePorts(INFO)).toEqual([port]),
      };
    });
    expect(tried).toBeGreaterThan(5);
  });

  it('when a masked event is unmasked by another vCPU at any moment of SCHEDOP_block', () => {
    const tried = trySleeps(() => {
      const guest = new FakeGuest({ hv });
      const cpu = guest.cpu.withInfo(INFO);
      guest.cpus[1].withInfo(INFO + 0x1000);
      const port = cpu.event(abi.EVTCHNOP_bind_ipi, 0);
      guest.put(INFO + abi.vcpu_info.evtchn_mask, 1 << port);
      cpu.event(abi.EVTCHNOP_send, port);
      return {
        guest,
        sleeper: () => void cpu.call(abi.HYPERVISOR_sched_op, abi.SCHEDOP_block),
        act: () => void guest.cpus[1].event(abi.EVTCHNOP_unmask, port),
        check: () => expect(cpu.takePorts(INFO)).toEqual([port]),
      };
    });
    expect(tried).toBeGreaterThan(5);
  });

  it('when the toolstack writes at any moment of a guest that takes all events of the store and blocks', () => {
    const tried = trySleeps(() => {
      const guest = new FakeGuest({ hv });
      const cpu = guest.cpu.withInfo(INFO);
      cpu.event(abi.EVTCHNOP_bind_virq, abi.VIRQ_STORE, 0);
      cpu.store(abi.STOREOP_watch, 'memory', { token: 3 });
      cpu.store(abi.STOREOP_watch_event);
      cpu.poll();
      const store = new Store(hv, 1, guest.cpus[1].events);
      let value: string | number = '';
      return {
        guest,
        sleeper: () => {
          while (value !== '77') {
            cpu.takePorts(INFO);
            while (cpu.store(abi.STOREOP_watch_event) === 3) value = cpu.storeRead('memory/target');
            if (value !== '77') cpu.call(abi.HYPERVISOR_sched_op, abi.SCHEDOP_block);
          }
        },
        // Not while the other holds the lock: a real thread would wait there.
        act: () => {
          if (Atomics.load(hv.i32, hv.domainWord(1) + 32) === 0) store.set('memory/target', '77');
          else guest.disk.onWait = () => store.set('memory/target', '77');
        },
        check: () => expect(value).toBe('77'),
      };
    });
    expect(tried).toBeGreaterThan(20);
  });

  it('when a vCPU says that it sleeps, and looks once more, at any moments of a send', () => {
    for (let declares = 0; ; declares++) {
      let all = 0;
      for (let looks = declares; ; looks++) {
        const guest = new FakeGuest({ hv });
        const { cpu } = guest;
        const port = cpu.event(abi.EVTCHNOP_bind_ipi, 0);
        const { word } = cpu.vcpu;
        let saw = false;
        const look = () => {
          saw = hv.i32[word + VCPU.pendingSelector] !== 0;
        };
        const send = () => void guest.cpus[1].event(abi.EVTCHNOP_send, port);
        all = interleave(send, (n) => {
          if (n === declares) hv.i32[word + VCPU.state] = VcpuState.blocked;
          if (n === looks) look();
        });
        if (declares >= all) hv.i32[word + VCPU.state] = VcpuState.blocked;
        if (looks >= all) look();
        expect(saw || guest.kicks.includes(0), `declared at ${declares}, looked at ${looks}`).toBe(true);
        if (looks >= all) break;
      }
      if (declares >= all) break;
    }
  });
});

describe('a frame', () => {
  it('is never the domain’s twice, when two vCPUs change their reservation at once', () => {
    const LIST = 0x3000;
    const request = (guest: FakeGuest, at: number, ...frames: number[]) => {
      guest.put(at + 0x100, ...frames);
      return guest.put(at, at + 0x100, frames.length, 0, 0, abi.DOMID_SELF);
    };
    for (let moment = 0; ; moment++) {
      const guest = new FakeGuest({ hv });
      const [a, b] = guest.cpus;
      const mine = request(guest, LIST, 100, 101);
      const theirs = request(guest, LIST + 0x1000, 101, 102);
      const decrease = (cpu: typeof a, at: number) =>
        cpu.call(abi.HYPERVISOR_memory_op, abi.XENMEM_decrease_reservation, at);
      let other: number | undefined;
      let own = 0;
      const all = interleave(
        () => {
          own = decrease(a, mine);
        },
        (n) => {
          const locked = hv.i32[hv.domainWord(1) + 48] !== 0;
          if (n >= moment && other === undefined && !locked) other = decrease(b, theirs);
        },
      );
      other ??= decrease(b, theirs);
      const left = b.call(abi.HYPERVISOR_memory_op, abi.XENMEM_current_reservation);
      // Whoever comes second stops at 101: one gives two back, the other one or none.
      expect([own, other]).toEqual(other === 2 ? [1, 2] : [2, -22]);
      expect(left).toBe(256 - own - Math.max(0, other));
      if (moment >= all) break;
    }
  });
});
