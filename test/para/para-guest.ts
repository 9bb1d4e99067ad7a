/** A domain with our own guest kernel in a hypervisor of this process, driven over its console as the engine drives it. */
import type { Domain } from '#engines/para/domain.js';
import type { Hypervisor } from '#engines/para/hypervisor.js';
import type { DomainConfig } from '#engines/para/messages.js';
import { paraImage } from '#workloads/images.js';

export class ParaGuest {
  private text = '';
  private at = 0;
  private wake: () => void = () => {};
  private sampling = false;
  reason: string | undefined;
  domain!: Domain;

  static async start(hypervisor: Hypervisor, config: Partial<DomainConfig> = {}): Promise<ParaGuest> {
    const guest = new ParaGuest();
    const image = paraImage().path;
    const full = { name: 'test', vcpus: 1, memoryBytes: 32 << 20, image, bootargs: '', pollUs: 0, ...config };
    guest.domain = await hypervisor.create(full, {
      output: (bytes) => {
        guest.text += Buffer.from(bytes).toString('latin1');
        guest.wake();
      },
      doorbell: ({ which }) => {
        guest.sampling = which === 'start';
        guest.wake();
      },
      facts: () => {},
      ended: (reason) => {
        guest.reason = reason;
        guest.wake();
      },
    });
    await guest.line('virtax-guest');
    return guest;
  }

  /** The next line of its console that begins so. Rejects when the guest says "error", or ends. */
  async line(start: string): Promise<string> {
    for (;;) {
      const end = this.text.indexOf('\n', this.at);
      if (end >= 0) {
        const line = this.text.slice(this.at, end);
        this.at = end + 1;
        if (line.startsWith(start)) return line;
        if (/^(error|skipped|panic)/.test(line)) throw new Error(line);
      } else if (this.reason !== undefined) throw new Error(`ended: ${this.reason}`);
      else await this.more();
    }
  }

  private more(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  /** Until the sample that was asked for has begun on all of its CPUs. */
  async sampleBegun(): Promise<void> {
    while (!this.sampling) await this.more();
  }

  send(line: string): void {
    this.domain.feed(Buffer.from(`${line}\n`));
  }

  /** Prepares a workload and runs a sample; the fields of its result line. */
  async run(workload: string, cpus: number, ms: number): Promise<Record<string, string>> {
    this.send(`prepare ${workload} seed=1 cpus=${cpus}`);
    await this.line('ready');
    this.send(`start ms=${ms} seed=7`);
    const fields = (await this.line('result')).split(' ').slice(1);
    return Object.fromEntries(fields.map((field) => field.split('=')));
  }

  /** The same, as soon as the guest's kernel has so many CPUs: a vCPU that has come up is not yet one of them. */
  async runWhenThere(workload: string, cpus: number, ms: number): Promise<Record<string, string>> {
    for (;;) {
      try {
        return await this.run(workload, cpus, ms);
      } catch (error) {
        if (!/this machine has|does not answer/.test(String(error))) throw error;
      }
    }
  }

  async ended(): Promise<string> {
    while (this.reason === undefined) await this.more();
    return this.reason;
  }
}
