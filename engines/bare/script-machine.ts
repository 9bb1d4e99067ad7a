/**
 * Bare metal of a foreign guest's workloads: the agent that is the guest's init, as a process of the host. It is a shell
 * script and cannot stamp its doorbells, so its reader does: samples of such programs take a second and more.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GuestSystem, MachineConfig } from '../engine.js';
import { withHostCpus } from '../process/affinity.js';
import { type Child, startNative } from '../process/child.js';
import { ControlledMachine } from '../process/controlled-machine.js';
import { familyCpuSeconds } from '../process/cpu-time.js';

const DOORBELLS: Record<number, 'start' | 'stop' | undefined> = { 2: 'start', 3: 'stop' };

export class ScriptMachine extends ControlledMachine {
  readonly #child: Child;
  readonly #work = mkdtempSync(join(tmpdir(), 'virtax-agent-'));

  constructor(name: string, { native, facts }: GuestSystem, config: MachineConfig) {
    super({
      name: `${name} VM ${config.id}`,
      facts: {
        programs: facts.programs ?? '',
        vCPU: 'processes of the host',
        doorbells: 'stamped by the reader of a pipe',
        cpuSeconds: 'of the programs as they end, in steps of 10 ms',
      },
    });
    const env = { ...native.env, WORK: this.#work, DISK: config.disk?.path ?? '', CPUS: String(config.vcpus) };
    this.#child = withHostCpus(config.hostCpus, () => startNative(native.program, native.args, env));
    this.#child.process.stdout?.on('data', (chunk: Buffer) => this.#hear(chunk));
    void this.#child.exited.then((how) =>
      this.control.fail(`ended: ${how} ${this.#child.stderr.tail().join(' | ')}`.trim()),
    );
  }

  protected send(text: string): void {
    this.#child.process.stdin?.write(text);
  }

  async stop(): Promise<void> {
    this.control.fail('was stopped');
    await this.#child.stop();
    rmSync(this.#work, { recursive: true, force: true });
  }

  #hear(chunk: Buffer): void {
    const ns = process.hrtime.bigint();
    let from = 0;
    for (const [at, byte] of chunk.entries()) {
      const which = DOORBELLS[byte];
      if (which === undefined) continue;
      this.control.output(chunk.subarray(from, at));
      this.control.doorbell(which, { ns, cpuSeconds: familyCpuSeconds(this.#child.process.pid ?? 0) ?? 0 });
      from = at + 1;
    }
    this.control.output(chunk.subarray(from));
  }
}
