import { describe, expect, it } from 'vitest';
import { KernelBuild } from './support/kernel-wasm.js';

const build = new KernelBuild(['port/riscv64/task.c', 'test/task_harness.c']);
const [NONE, RUNNING] = [0, 2];

describe('task_join', () => {
  /**
   * CPU 1's first task has ended, but the hart is held up before it takes its joiners. CPU 0 spawns the next task and
   * joins it; now the hart goes on and takes the bit that was meant for the second task's end.
   */
  it('waits on when a task that ended before has taken its bit', () => {
    let sleeps = 0;
    const part = build.instantiate({
      cpu_sleep: () => {
        sleeps++;
        if (sleeps === 1) {
          expect(part.call('harness_take_joiners', 1)).toBe(1);
          return undefined;
        }
        if (sleeps > 2) throw new Error('still asleep, though the task has ended');
        if (part.call('harness_take_joiners', 1) !== 1) throw new Error('sleeps with nobody to wake it');
        part.call('harness_set_task', 1, NONE);
        return undefined;
      },
    });
    part.call('harness_set_task', 1, RUNNING);
    expect(part.call('task_join', 1)).toBe(0);
    expect(sleeps).toBe(2);
  });

  it('does not sleep when the task has ended between the two looks', () => {
    const part = build.instantiate({});
    expect(part.call('task_join', 1)).toBe(0);
    expect(part.call('task_join', 0)).toBe(-22);
  });
});
