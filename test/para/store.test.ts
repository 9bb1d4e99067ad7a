/** The store: a tree of text that domains and the toolstack share, with permissions, quotas, watches and transactions. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as abi from '#engines/para/abi.js';
import { HypervisorMemory } from '#engines/para/hypervisor-memory.js';
import { Store } from '#engines/para/store.js';
import { FakeGuest, type FakeVcpu } from './guest-fixture.js';

const INFO = 0x5000;
const EACCES = -13;
const EAGAIN = -11;
const ENOENT = -2;
const EINVAL = -22;

const toolstack = (guest: FakeGuest): Store => new Store(guest.hv, guest.domain, guest.cpu.events);
const list = (cpu: FakeVcpu, path: string, tx = 0): string[] | number => {
  const names = cpu.storeText(abi.STOREOP_directory, path, 4000, tx);
  return typeof names === 'number' ? names : names.split('\0').slice(0, -1);
};
const rm = (cpu: FakeVcpu, path: string, tx = 0): number => cpu.store(abi.STOREOP_rm, path, { tx });
const begin = (cpu: FakeVcpu): number => cpu.store(abi.STOREOP_transaction_start);
const end = (cpu: FakeVcpu, tx: number, how = 'T'): number =>
  cpu.store(abi.STOREOP_transaction_end, '', { tx, value: how });

function twoDomains(): [FakeGuest, FakeGuest] {
  const hv = HypervisorMemory.create();
  return [new FakeGuest({ hv, domain: 1 }), new FakeGuest({ hv, domain: 2 })];
}

describe('store_op', () => {
  it('reads what the toolstack wrote, and how long it is', () => {
    const { cpu } = new FakeGuest();
    expect(cpu.storeRead('bootargs')).toBe('a=1 b=2');
    expect(cpu.storeRead('bootargs', 3)).toBe('a=1');
    expect(cpu.storeRead('nothing')).toBe(ENOENT);
    expect(cpu.storeRead('/local/domain/1/bootargs')).toBe('a=1 b=2');
  });

  it('takes writes where a domain may write, but not over what is the toolstack’s', () => {
    const guest = new FakeGuest();
    const { cpu } = guest;
    for (const path of ['device/vbd/0/queue-0/ring-ref', 'data/x', 'control/y', 'attr/z']) {
      expect(cpu.storeWrite(path, '8')).toBe(0);
      expect(cpu.storeWrite(path, '')).toBe(0);
      expect(cpu.storeRead(path)).toBe('');
    }
    for (const path of ['device/vbd/0/bytes', 'bootargs', 'other', 'device', 'cpu/0/availability']) {
      expect(cpu.storeWrite(path, 'x'), path).toBe(EACCES);
    }
    toolstack(guest).set('control/shutdown', 'poweroff', { guestWrites: true });
    expect(cpu.storeWrite('control/shutdown', '')).toBe(0);
    expect(toolstack(guest).get('control/shutdown')).toBe('');
  });

  it('lists what is below, and removes it as a whole or not at all', () => {
    const guest = new FakeGuest();
    const { cpu } = guest;
    for (const path of ['device/vif/0/b', 'device/vif/0/a/deep', 'device/vif/10/c']) cpu.storeWrite(path, '1');
    expect(list(cpu, 'device')).toEqual(['vbd', 'vif']);
    expect(list(cpu, 'device/vif')).toEqual(['0', '10']);
    expect(list(cpu, 'device/vif/0')).toEqual(['a', 'b']);
    expect(list(cpu, 'device/vif/0/b')).toEqual([]);
    expect(list(cpu, 'device/vif/1')).toBe(ENOENT);
    expect(list(cpu, '')).toEqual(['bootargs', 'cpus', 'device', 'domid']);
    expect(rm(cpu, 'device/vif/0')).toBe(0);
    expect(rm(cpu, 'device/vif/0')).toBe(ENOENT);
    expect(list(cpu, 'device/vif')).toEqual(['10']);
    expect(rm(cpu, 'device')).toBe(EACCES); // the size of the disk is in it
    expect(cpu.storeRead('device/vif/10/c')).toBe('1');
  });

  it('has room for the toolstack when a domain has used all of its own', () => {
    const guest = new FakeGuest();
    const { cpu } = guest;
    let n = 0;
    while (cpu.storeWrite(`data/${n}`, 'x') === 0) n++;
    expect(n).toBe(abi.PARA_STORE_GUEST_ENTRIES);
    expect(cpu.storeWrite('data/more', 'x')).toBe(-28);
    expect(cpu.storeWrite('data/0', 'y')).toBe(0);
    for (let vcpu = 0; vcpu < 32; vcpu++) toolstack(guest).set(`cpu/${vcpu}/availability`, 'online');
    expect(rm(cpu, 'data')).toBe(0);
    expect(cpu.storeWrite('data/more', 'x')).toBe(0);
  });

  it.each([
    ['an empty path', '', EINVAL],
    ['a path of slashes', '/', EINVAL],
    ['a path that ends in a slash', 'device/', EINVAL],
    ['two slashes', 'device//x', EINVAL],
    ['a name of other characters', 'device/x.y', EINVAL],
    ['a path with a 0 byte', 'device/x\0', EINVAL],
    ['a path that is too long', `device/${'x'.repeat(122)}`, EINVAL],
    ['an absolute path elsewhere', '/tool/x', EINVAL],
    ['a domain that there is not', '/local/domain/9/x', ENOENT],
    ['the core OS', '/local/domain/0/x', ENOENT],
    ['a number that is no domain', '/local/domain/999/x', ENOENT],
  ])('refuses to write %s', (_, path, error) => {
    expect(new FakeGuest().cpu.storeWrite(path, 'x')).toBe(error);
  });

  it.each<[string, number, number[], number]>([
    ['a value that is too long', abi.STOREOP_write, [0x2100, 6, 0x2200, 441, 0, 0], EINVAL],
    ['a directory that is too long', abi.STOREOP_directory, [0x2100, 6, 0x2200, 16385, 0, 0], EINVAL],
    ['a path outside', abi.STOREOP_write, [0xfffff, 6, 0x2200, 4, 0, 0], -14],
    ['a value outside', abi.STOREOP_write, [0x2100, 6, -1, 4, 0, 0], -14],
    ['a transaction that there is not', abi.STOREOP_write, [0x2100, 6, 0x2200, 4, 8, 0], ENOENT],
    ['a transaction where there can be none', abi.STOREOP_watch, [0x2100, 6, 0x2200, 0, 8, 0], EINVAL],
    ['a negative token', abi.STOREOP_watch, [0x2100, 6, 0x2200, 0, 0, -1], EINVAL],
    ['the end of no transaction', abi.STOREOP_transaction_end, [0, 0, 0x2300, 1, 0, 0], ENOENT],
    ['an end that is neither T nor F', abi.STOREOP_transaction_end, [0, 0, 0x2200, 1, 8, 0], EINVAL],
    ['to forget a watch that there is not', abi.STOREOP_unwatch, [0x2100, 6, 0x2200, 0, 0, 5], ENOENT],
  ])('refuses %s', (_, cmd, words, error) => {
    const guest = new FakeGuest();
    guest.memory.u8.set(Buffer.from('data/x'), 0x2100);
    guest.memory.u8.set(Buffer.from('T'), 0x2300);
    guest.put(0x2000, ...words);
    expect(guest.cpu.call(abi.HYPERVISOR_store_op, cmd, 0x2000)).toBe(error);
    expect(guest.cpu.call(abi.HYPERVISOR_store_op, cmd, 0x2002)).toBe(EINVAL);
    expect(guest.cpu.call(abi.HYPERVISOR_store_op, cmd, 0x100000 - 8)).toBe(-14);
  });
});

describe('permissions', () => {
  it('let others read and write what the owner says, and nothing before', () => {
    const [a, b] = twoDomains();
    const foreign = '/local/domain/1/data/port';
    a.cpu.storeWrite('data/port', '5');
    a.cpu.storeWrite('data/secret', '6');
    expect(a.cpu.storeText(abi.STOREOP_get_perms, 'data/port')).toBe('n1');
    expect(b.cpu.storeRead(foreign)).toBe(EACCES);
    expect(list(b.cpu, '/local/domain/1/data')).toBe(ENOENT);
    const set = (cpu: FakeVcpu, path: string, value: string) => cpu.store(abi.STOREOP_set_perms, path, { value });
    expect(set(b.cpu, foreign, 'b1')).toBe(EACCES);
    expect(set(a.cpu, 'data/port', 'n1\0r2')).toBe(0);
    expect(a.cpu.storeText(abi.STOREOP_get_perms, 'data/port')).toBe('n1\0r2');
    expect(b.cpu.storeRead(foreign)).toBe('5');
    expect(b.cpu.storeWrite(foreign, '7')).toBe(EACCES);
    expect(list(b.cpu, '/local/domain/1/data')).toEqual(['port']);
    set(a.cpu, 'data/port', 'n1\0b2');
    expect(b.cpu.storeWrite(foreign, '7')).toBe(0);
    expect(a.cpu.storeRead('data/port')).toBe('7');
    expect(rm(b.cpu, foreign)).toBe(EACCES);
    expect(b.cpu.storeWrite('/local/domain/1/data/new', '7')).toBe(EACCES);
    set(a.cpu, 'data/port', 'r1\0n2');
    expect(b.cpu.storeRead(foreign)).toBe(EACCES);
  });

  it.each(['', 'x1', 'n', 'n1,r2', 'n1\0', 'n1\0r0', 'n1\0r64', 'n1\0r2\0r3\0r4\0r5\0r6'])(
    'refuses the text %j',
    (text) => {
      const { cpu } = new FakeGuest();
      cpu.storeWrite('data/x', '');
      expect(cpu.store(abi.STOREOP_set_perms, 'data/x', { value: text })).toBe(EINVAL);
    },
  );

  it('are the owner’s, who does not change', () => {
    const { cpu } = new FakeGuest();
    cpu.storeWrite('data/x', '');
    const set = (path: string, value: string) => cpu.store(abi.STOREOP_set_perms, path, { value });
    expect([set('data/x', 'n2'), set('bootargs', 'n0\0b1'), set('data/y', 'n1')]).toEqual([EACCES, EACCES, ENOENT]);
  });
});

describe('watches', () => {
  const watch = (cpu: FakeVcpu, path: string, token: number) => cpu.store(abi.STOREOP_watch, path, { token });
  const events = (cpu: FakeVcpu): number[] => {
    const tokens: number[] = [];
    for (let token = cpu.store(abi.STOREOP_watch_event); token !== EAGAIN; token = cpu.store(abi.STOREOP_watch_event))
      tokens.push(token);
    return tokens;
  };

  it('fire once when they are set, then for what happens at or below the path, coalesced', () => {
    const guest = new FakeGuest();
    const { cpu } = guest;
    expect(watch(cpu, 'cpu', 7)).toBe(0);
    expect(watch(cpu, '', 9)).toBe(0);
    expect(watch(cpu, 'data/x', 8)).toBe(0);
    expect(events(cpu)).toEqual([7, 9, 8]);
    expect(events(cpu)).toEqual([]);
    toolstack(guest).set('cpu/1/availability', 'online');
    toolstack(guest).set('cpu/2/availability', 'online');
    toolstack(guest).set('cpus-not', '1');
    expect(events(cpu).sort()).toEqual([7, 9]);
    cpu.storeWrite('data/x/y', '1');
    rm(cpu, 'data');
    expect(events(cpu).sort()).toEqual([8, 9]);
  });

  it('raise VIRQ_STORE, and the event of a watch that was set before is not lost', () => {
    const guest = new FakeGuest();
    const cpu = guest.cpu.withInfo(INFO);
    watch(cpu, 'cpu', 1);
    const port = cpu.event(abi.EVTCHNOP_bind_virq, abi.VIRQ_STORE, 0);
    cpu.poll();
    expect(cpu.takePorts(INFO)).toEqual([port]);
    expect(events(cpu)).toEqual([1]);
    toolstack(guest).set('cpu/1/availability', 'offline');
    cpu.poll();
    expect(cpu.takePorts(INFO)).toEqual([port]);
    cpu.poll();
    expect(cpu.takePorts(INFO)).toEqual([]);
  });

  it('are forgotten, with what they had fired; twice the same there is not, nor too many', () => {
    const { cpu } = new FakeGuest();
    watch(cpu, 'cpu', 1);
    expect(watch(cpu, 'cpu', 1)).toBe(-17);
    expect(watch(cpu, 'cpu', 2)).toBe(0);
    expect(cpu.store(abi.STOREOP_unwatch, 'cpu', { token: 1 })).toBe(0);
    expect(events(cpu)).toEqual([2]);
    for (let n = 1; n < 32; n++) expect(watch(cpu, 'data', n)).toBe(0);
    expect(watch(cpu, 'data', 99)).toBe(-28);
    expect(events(cpu)).toHaveLength(31);
  });

  it('on another domain’s part fire for what it lets one read, and end with their domain', () => {
    const [a, b] = twoDomains();
    b.cpu.withInfo(INFO);
    b.cpu.event(abi.EVTCHNOP_bind_virq, abi.VIRQ_STORE, 0);
    watch(b.cpu, '/local/domain/1/data', 3);
    expect(events(b.cpu)).toEqual([3]);
    a.cpu.storeWrite('data/secret', '1');
    expect(events(b.cpu)).toEqual([]);
    a.cpu.storeWrite('data/open', '1');
    a.cpu.store(abi.STOREOP_set_perms, 'data/open', { value: 'r1' });
    expect(events(b.cpu)).toEqual([3]);
    rm(a.cpu, 'data/open');
    expect(events(b.cpu)).toEqual([3]);
    toolstack(b).forget();
    a.cpu.storeWrite('data/open', '1');
    a.cpu.store(abi.STOREOP_set_perms, 'data/open', { value: 'r1' });
    expect(events(b.cpu)).toEqual([]);
  });
});

describe('transactions', () => {
  it('show their own writes inside, nothing outside, and all of them at the end', () => {
    const { cpu, cpus } = new FakeGuest();
    cpu.storeWrite('data/a', 'old');
    cpu.storeWrite('data/gone', 'x');
    const tx = begin(cpu);
    expect(tx).toBeGreaterThan(0);
    cpu.storeWrite('data/a', 'new', tx);
    cpu.storeWrite('data/b', '1', tx);
    expect(rm(cpu, 'data/gone', tx)).toBe(0);
    expect(list(cpu, 'data', tx)).toEqual(['a', 'b']);
    expect(cpu.storeRead('data/a', 9, tx)).toBe('new');
    expect(cpu.storeRead('data/gone', 9, tx)).toBe(ENOENT);
    expect(cpus[1].storeRead('data/a')).toBe('old');
    expect(list(cpus[1], 'data')).toEqual(['a', 'gone']);
    expect(end(cpus[1], tx)).toBe(0);
    expect(list(cpu, 'data')).toEqual(['a', 'b']);
    expect(cpu.storeRead('data/a')).toBe('new');
    expect(end(cpu, tx)).toBe(ENOENT);
  });

  it('end with -EAGAIN and do nothing when the part has changed meanwhile', () => {
    const guest = new FakeGuest();
    const { cpu } = guest;
    const tx = begin(cpu);
    cpu.storeWrite('data/a', '1', tx);
    toolstack(guest).set('memory/target', '1024');
    expect(end(cpu, tx)).toBe(EAGAIN);
    expect(cpu.storeRead('data/a')).toBe(ENOENT);
    expect(cpu.storeWrite('data/a', '1', tx)).toBe(ENOENT);
  });

  it('are forgotten on request, are not many at once, and cost the domain’s own quota', () => {
    const { cpu } = new FakeGuest();
    const open = Array.from({ length: 8 }, () => begin(cpu));
    expect(new Set(open).size).toBe(8);
    expect(begin(cpu)).toBe(-28);
    for (let n = 0; n < 400; n++) expect(cpu.storeWrite(`data/${n}`, 'x', open[n % 8])).toBe(0);
    expect(cpu.storeWrite('data/more', 'x')).toBe(-28);
    for (const tx of open) expect(end(cpu, tx, 'F')).toBe(0);
    expect(list(cpu, 'data')).toBe(ENOENT);
    expect(cpu.storeWrite('data/more', 'x')).toBe(0);
  });

  it('fire the watches of what they changed, at their end', () => {
    const { cpu } = new FakeGuest();
    cpu.store(abi.STOREOP_watch, 'data', { token: 4 });
    cpu.store(abi.STOREOP_watch_event);
    const tx = begin(cpu);
    cpu.storeWrite('data/a', '1', tx);
    expect(cpu.store(abi.STOREOP_watch_event)).toBe(EAGAIN);
    end(cpu, tx);
    expect(cpu.store(abi.STOREOP_watch_event)).toBe(4);
  });

  it('connect no queue', () => {
    const { cpu } = new FakeGuest();
    expect(cpu.storeWrite('device/vbd/0/queue-0/state', '4', begin(cpu))).toBe(EINVAL);
  });

  /**
   * The model: a map, and for each open transaction a copy of it. What the store answers is what that answers, for all
   * interleavings, but in a transaction that cannot succeed any more.
   */
  it('are serializable, in any interleaving', () => {
    const paths = ['data/a', 'data/a/b', 'data/c'];
    const step = fc.record({
      do: fc.constantFrom('begin', 'write', 'write', 'read', 'rm', 'list', 'commit', 'abort'),
      tx: fc.integer({ min: 0, max: 2 }),
      path: fc.constantFrom(...paths),
      value: fc.integer({ min: 0, max: 9 }).map(String),
    });
    const hv = HypervisorMemory.create();
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { cpu } = new FakeGuest({ hv });
        let committed = new Map<string, string>();
        const open = new Map<number, { id: number; map: Map<string, string>; doomed: boolean }>();
        const change = (map: Map<string, string>): void => {
          if (JSON.stringify([...map]) !== JSON.stringify([...committed]))
            for (const one of open.values()) one.doomed = true;
          committed = map;
        };
        for (const { do: what, tx, path, value } of steps) {
          const own = open.get(tx);
          const id = own?.id ?? 0;
          const map = new Map(own?.map ?? committed);
          const below = [...map.keys()].filter((key) => key === path || key.startsWith(`${path}/`));
          const check = (answer: unknown, expected: unknown): void => {
            if (!own?.doomed) expect(answer).toEqual(expected);
          };
          if (what === 'begin') {
            if (tx !== 0 && own === undefined) open.set(tx, { id: begin(cpu), map, doomed: false });
          } else if (what === 'write') {
            expect(cpu.storeWrite(path, value, id)).toBe(0);
            map.delete(path);
            map.set(path, value);
          } else if (what === 'read') check(cpu.storeRead(path, 9, id), map.get(path) ?? ENOENT);
          else if (what === 'rm') {
            check(rm(cpu, path, id), below.length > 0 ? 0 : ENOENT);
            for (const key of below) map.delete(key);
          } else if (what === 'list') {
            const names = [...new Set([...map.keys()].map((key) => key.split('/')[1]))];
            check(list(cpu, 'data', id), names.length > 0 ? names.sort() : ENOENT);
          } else if (own !== undefined) {
            const ended = end(cpu, id, what === 'commit' ? 'T' : 'F');
            open.delete(tx);
            if (what === 'commit' && own.doomed) expect(ended).toBe(EAGAIN);
            // Writing what was there already is a change for others, too: the model does not know of that.
            if (what === 'commit' && ended === 0) change(own.map);
            else expect(ended).toBe(what === 'abort' ? 0 : EAGAIN);
            continue;
          }
          if (own !== undefined) own.map = map;
          else change(map);
        }
        const there = paths.map((p) => [p, cpu.storeRead(p)] as const).filter(([, value]) => typeof value === 'string');
        expect(Object.fromEntries(there)).toEqual(Object.fromEntries(committed));
      }),
      { numRuns: 300 },
    );
  });
});
