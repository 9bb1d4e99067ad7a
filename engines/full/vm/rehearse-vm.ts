/** A rehearsal: our own guest boots, does a short piece of work and is stopped, as in each VM's process. */
import { join } from 'node:path';
import { packageRoot } from '../../../workloads/package-root.js';
import { childArguments } from '../../process/child.js';
import { dieWithParent } from '../../process/die-with-parent.js';
import { GuestControl } from '../../process/guest-control.js';
import { startHartWorker } from './hart-worker.js';
import { Vm } from './vm.js';

const MEMORY_BYTES = 64 << 20;
const DEADLINE_MS = 10_000;
const WORK_MS = 20;

dieWithParent(childArguments().parentPid);
// As users run it, whatever mode a test has asked for.
delete process.env.VIRTAX_CPU;
const control = new GuestControl({ name: 'rehearsal', send: (text) => vm.input(Buffer.from(text, 'latin1')) });
const booted = control.booted(DEADLINE_MS);
const vm = new Vm(
  {
    id: 0,
    harts: 1,
    memoryBytes: MEMORY_BYTES,
    kernel: join(packageRoot(), 'workloads', 'images', 'riscv64', 'virtax-kernel.elf'),
    append: '',
    disks: [],
    doorbells: true,
    noReboot: true,
    pollUs: 0,
  },
  {
    running: () => {},
    output: (bytes) => control.output(bytes),
    doorbell: (stamp) => control.doorbell(stamp.which, { ...stamp, counters: vm.named(stamp.counters) }),
    ended: () => control.fail('ended'),
  },
  [startHartWorker(0)],
);

async function rehearse(): Promise<void> {
  await booted;
  await control.prepare('cpu/sieve', { seed: 1, deadlineMs: DEADLINE_MS });
  control.start({ durationMs: WORK_MS, seed: 1, deadlineMs: DEADLINE_MS });
  await control.result();
  await vm.stop();
}

rehearse().catch((error: unknown) => {
  process.stderr.write(`${error}\n`);
  process.exit(1);
});
