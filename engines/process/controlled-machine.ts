/**
 * A Machine whose guest speaks the control protocol. An engine adds how its guest is started, reached and stopped, and
 * feeds `control` with what comes from it.
 */
import type { Machine, PrepareArgs, SampleResult, StartArgs } from '../engine.js';
import { GuestControl, type GuestControlOptions } from './guest-control.js';

export interface ControlledMachineOptions extends Pick<GuestControlOptions, 'name' | 'peer'> {
  facts: Readonly<Record<string, string>>;
}

export abstract class ControlledMachine implements Machine {
  readonly facts: Record<string, string>;
  protected readonly control: GuestControl;
  readonly #totals: Record<string, number> = {};

  protected constructor({ facts, ...options }: ControlledMachineOptions) {
    this.facts = { ...facts };
    this.control = new GuestControl({ ...options, send: (text) => this.send(text) });
  }

  /** Writes text to the guest's console. */
  protected abstract send(text: string): void;

  /**
   * Resolves when the guest has printed its banner; rejects with MachineFailure, also when that counts other CPUs than it was
   * given. Call it before the guest can have printed anything.
   */
  async booted(cpus: number, deadlineMs: number): Promise<void> {
    const banner = await this.control.booted(deadlineMs);
    if (banner.cpus === cpus) return;
    this.control.fail(`counts ${banner.cpus} CPUs, but has ${cpus}`);
    throw this.control.failure;
  }

  prepare(workload: string, args: PrepareArgs): Promise<void> {
    return this.control.prepare(workload, args);
  }

  start(args: StartArgs): void {
    this.control.start(args);
  }

  async result(): Promise<SampleResult> {
    const result = await this.control.result();
    for (const [name, value] of Object.entries(result.counters)) {
      this.#totals[name] = (this.#totals[name] ?? 0) + value;
    }
    return result;
  }

  /** What the samples counted so far: all that an engine knows which cannot ask while the guest runs. */
  async counters(): Promise<Record<string, number>> {
    return { ...this.#totals };
  }

  abstract stop(): Promise<void>;
}
