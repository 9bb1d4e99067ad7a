/**
 * The protocol of hotplug.c and cpu.c by which a CPU of the guest goes and comes, step by step as the C does it (one step: one access
 * to what is shared), in every interleaving of CPU 0, a CPU that gives out tasks, and the CPU that goes.
 */
import { describe, expect, it } from 'vitest';

type Task = 'none' | 'claimed' | 'ready' | 'gone';
interface State {
  wanted: boolean;
  task: Task;
  up: boolean;
  /** cpu_wake() left something; the CPU sleeps without it. */
  token: boolean;
  given: number;
  done: number;
  /** Program counters. */
  boss: string;
  giver: string;
  cpu: string;
  /** What CPU 0 still has to do. */
  orders: string;
}
type Move = Partial<State>;

/** CPU 0: each order is "-" (take_down) or "+" (bring_up). Undefined: it is through. */
function boss(s: State): Move | undefined {
  const next = (): Move => ({ boss: 'idle', orders: s.orders.slice(1) });
  switch (s.boss) {
    case 'idle':
      if (s.orders === '') return undefined;
      return { wanted: s.orders[0] === '+', boss: s.orders[0] === '+' ? 'task?' : 'wake' };
    case 'wake':
      return { token: true, ...next() };
    case 'task?':
      return { boss: s.task === 'gone' ? 'going?' : 'up?' };
    case 'going?':
      return { boss: s.up ? 'task?' : 'up?' };
    case 'up?':
      return s.up ? next() : { boss: 'start' };
    default: // VCPUOP_initialise, VCPUOP_up
      return { up: true, cpu: 'begin', token: false, ...next() };
  }
}

/** Gives out one task, if the CPU takes it: env_spawn(). */
function giver(s: State): Move | undefined {
  if (s.giver === 'claim') return s.task === 'none' ? { task: 'claimed', giver: 'give' } : { giver: 'end' };
  if (s.giver === 'give') return { task: 'ready', given: s.given + 1, giver: 'wake' };
  return s.giver === 'wake' ? { token: true, giver: 'end' } : undefined;
}

/** The CPU: its start, its idle loop, cpu_leave_if_unwanted(). Undefined: it sleeps, or is down. */
function cpu(s: State): Move | undefined {
  switch (s.cpu) {
    case 'begin':
      return { task: 'none', cpu: 'loop' };
    case 'loop':
      return { cpu: s.task === 'ready' ? 'run' : 'wanted?' };
    case 'run':
      return { done: s.done + 1, task: 'none', cpu: 'loop' };
    case 'wanted?':
      return { cpu: s.wanted ? 'sleep?' : 'leave' };
    case 'leave':
      return s.task === 'none' ? { task: 'gone', cpu: 'sure?' } : { cpu: 'sleep?' };
    case 'sure?':
      return { cpu: s.wanted ? 'stay' : 'down' };
    case 'stay':
      return { task: 'none', cpu: 'sleep?' };
    case 'sleep?':
      return { cpu: s.task === 'ready' ? 'run' : 'sleep' };
    case 'sleep':
      return s.token ? { token: false, cpu: 'loop' } : undefined;
    case 'down':
      return { up: false, cpu: 'off' };
    default:
      return undefined;
  }
}

/** Every state in which nobody can go on. */
function ends(orders: string, processes = [boss, giver, cpu]): State[] {
  const start: State = {
    wanted: true,
    task: 'none',
    up: true,
    token: false,
    given: 0,
    done: 0,
    boss: 'idle',
    giver: 'claim',
    cpu: 'loop',
    orders,
  };
  const seen = new Set<string>();
  const found: State[] = [];
  const todo = [start];
  for (let state = todo.pop(); state !== undefined; state = todo.pop()) {
    const key = JSON.stringify(state);
    if (seen.has(key)) continue;
    seen.add(key);
    const here = state;
    const moves = processes.map((process) => process(here)).filter((move) => move !== undefined);
    if (moves.length === 0) found.push(here);
    for (const move of moves) todo.push({ ...here, ...move });
  }
  return found;
}

describe('a CPU of the guest', () => {
  it.each(['-', '+', '-+', '-+-', '-+-+', '--++-', '-+-+-+'])(
    'after the orders %s is as the last one says, and no task is lost',
    (orders) => {
      const all = ends(orders);
      expect(all.length).toBeGreaterThan(0);
      for (const state of all) {
        expect(state.orders, JSON.stringify(state)).toBe('');
        expect(state.up, JSON.stringify(state)).toBe(orders.endsWith('+'));
        expect(state.done).toBe(state.given);
        expect(state.task).toBe(state.up ? 'none' : 'gone');
      }
    },
  );

  it('would be lost without the second look', () => {
    const hasty = (s: State): Move | undefined => (s.cpu === 'sure?' ? { cpu: 'down' } : cpu(s));
    const impatient = (s: State): Move | undefined => (s.boss === 'task?' ? { boss: 'up?' } : boss(s));
    const lost = ends('-+', [impatient, giver, hasty]).filter((state) => !state.up);
    expect(lost.length).toBeGreaterThan(0);
  });
});
