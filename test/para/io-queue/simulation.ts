/**
 * The queue in simulated time: clients that keep so many requests outstanding, and a device that takes as long as the test says. The
 * queue is the real one; its clock, its sleeps and the device are here.
 */

import type { IoPolicy } from '#engines/io-policy.js';
import { EventChannels } from '#engines/para/event-channels.js';
import { HypervisorMemory, SLOT, VCPU, VcpuState } from '#engines/para/hypervisor-memory.js';
import { Device, type DeviceClass } from '#engines/para/io-queue/records.js';
import { IoQueue, NO_SLOT, slotWord } from '#engines/para/io-queue.js';

export const MS = 1e6;
export const SECOND = 1e9;

export interface Client {
  domain: number;
  /** Requests that it keeps outstanding. */
  depth: number;
  bytes: () => number;
  /** From an answer to the next request, ns. */
  think?: () => number;
  device?: DeviceClass;
  /** It asks nothing before. */
  from?: number;
  until?: number;
}

export interface Started {
  domain: number;
  bytes: number;
  admitted: number;
  at: number;
  slot: number;
}

export interface SimulationOptions {
  policy: IoPolicy;
  clients: Client[];
  /** How long the device takes for a request, ns, with so many of them in it. */
  service: (bytes: number, inFlight: number) => number;
  /** How much later than asked for a sleep ends, ns. */
  lateness?: () => number;
}

export class Simulation {
  readonly hv = HypervisorMemory.create();
  readonly started: Started[] = [];
  readonly finished: (Started & { done: number })[] = [];
  now = 1;
  /** Requests that were ever admitted. */
  admissions = 0;
  readonly queue: IoQueue;
  private readonly events: { at: number; domain: number; run: () => void }[] = [];
  private readonly domains: number[];
  private readonly owner = new Map<number, Client>();
  /** Domains whose thread looks at its queues: it had an event, was kicked, or its sleep is over. */
  private readonly alarms = new Map<number, { at: number; domain: number; run: () => void }>();
  private readonly awake = new Set<number>();
  private inDevice = 0;

  constructor(private readonly options: SimulationOptions) {
    this.domains = [...new Set(options.clients.map(({ domain }) => domain))];
    for (const domain of this.domains) this.sleeper(domain);
    const kicker = { kick: (domain: number) => void this.awake.add(domain) };
    this.queue = new IoQueue(this.hv, new EventChannels(this.hv, kicker), () => this.now);
    this.apply(options.policy);
    for (const client of options.clients) {
      this.at(
        client.from ?? 1,
        () => {
          for (let n = 0; n < client.depth; n++) this.admit(client);
        },
        client.domain,
      );
    }
  }

  /** vCPU 0 sleeps whenever it has nothing to do. */
  private sleeper(domain: number): void {
    const { hv } = this;
    hv.clearDomain(domain);
    hv.i32[hv.vcpuWord(domain, 0) + VCPU.kickSlot] = domain;
    hv.i32[hv.vcpuWord(domain, 0) + VCPU.state] = VcpuState.blocked;
  }

  apply(policy: IoPolicy): void {
    this.queue.apply(
      policy,
      this.domains.map((id) => ({ id, name: `d${id}` })),
    );
  }

  at(time: number, run: () => void, domain = -1): void {
    this.events.push({ at: time, run, domain });
  }

  private admit(client: Client): void {
    if (this.now >= (client.until ?? Number.POSITIVE_INFINITY)) return;
    const slot = this.queue.allocate();
    this.admissions++;
    this.owner.set(slot, client);
    this.hv.i32[slotWord(slot) + SLOT.domain] = client.domain;
    this.hv.i32[slotWord(slot) + SLOT.vcpu] = 0;
    this.hv.i32[slotWord(slot) + SLOT.bytes] = client.bytes();
    this.queue.admit(slot, client.device ?? Device.vbd);
  }

  /** What the threads do that are awake: nobody looks who was not told, and a sleep ends when it was to end. */
  private serve(): void {
    for (const domain of this.awake) {
      this.awake.delete(domain);
      if (domain < 0) continue;
      this.queue.dispatch(domain, 0);
      for (const take of ['takeReady', 'takeBurst'] as const) {
        for (let slot = this.queue[take](domain, 0, 0); slot !== NO_SLOT; slot = this.queue[take](domain, 0, 0)) {
          this.start(slot);
        }
      }
      this.sleep(domain);
    }
  }

  private sleep(domain: number): void {
    const due = this.queue.dueInNs(domain);
    const before = this.alarms.get(domain);
    if (before !== undefined) this.events.splice(this.events.indexOf(before), 1);
    this.alarms.delete(domain);
    if (due === Number.POSITIVE_INFINITY) return;
    const alarm = {
      at: this.now + Math.max(1, due + (this.options.lateness?.() ?? 0)),
      domain,
      run: () => void this.alarms.delete(domain),
    };
    this.alarms.set(domain, alarm);
    this.events.push(alarm);
  }

  private start(slot: number): void {
    const { i32, f64 } = this.hv;
    const word = slotWord(slot);
    const started = {
      domain: i32[word + SLOT.domain],
      bytes: i32[word + SLOT.bytes],
      admitted: f64[(word + SLOT.admitted) / 2],
      at: this.now,
      slot,
    };
    this.started.push(started);
    this.inDevice++;
    this.at(
      this.now + this.options.service(started.bytes, this.inDevice),
      () => this.finish(slot, started),
      started.domain,
    );
  }

  private finish(slot: number, started: Started): void {
    this.inDevice--;
    this.finished.push({ ...started, done: this.now });
    const client = this.owner.get(slot);
    this.queue.finish(slot, -1, -1);
    if (client === undefined) return;
    const think = client.think?.() ?? 0;
    if (think === 0) this.admit(client);
    else this.at(this.now + think, () => this.admit(client), client.domain);
  }

  run(until: number): this {
    while (this.events.length > 0) {
      let first = 0;
      for (let i = 1; i < this.events.length; i++) if (this.events[i].at < this.events[first].at) first = i;
      const [event] = this.events.splice(first, 1);
      if (event.at > until) {
        this.events.push(event);
        break;
      }
      this.now = event.at;
      event.run();
      this.awake.add(event.domain);
      this.serve();
    }
    this.now = until;
    return this;
  }

  /** Bytes that a domain's started requests have, from one time to another. */
  bytesOf(domain: number, from = 0, to = Number.POSITIVE_INFINITY): number {
    return this.startedBy(domain, from, to).reduce((sum, { bytes }) => sum + bytes, 0);
  }

  startedBy(domain: number, from = 0, to = Number.POSITIVE_INFINITY): Started[] {
    return this.started.filter((one) => one.domain === domain && one.at >= from && one.at < to);
  }
}
