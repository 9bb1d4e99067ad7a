/**
 * Memory of other domains, for GNTTABOP_copy. A thread has its own domain's memory from the start; another's it asks of the main
 * thread when it first needs it, and keeps for as long as that domain lives (its generation, in the hypervisor's memory, tells).
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { GuestMemory } from './guest-memory.js';
import { DOM, DomainState, type HypervisorMemory, VCPU } from './hypervisor-memory.js';
import type { ToThread } from './vcpu-config.js';

/** The main thread's answer: sent first, then the vCPU's reply word is set. */
export interface MemoryAnswer {
  domain: number;
  generation: number;
  memory: WebAssembly.Memory;
  frames: number;
}

const ANSWER_MS = 1000;

export class ForeignMemory {
  private readonly known = new Map<number, { generation: number; memory: GuestMemory }>();

  constructor(
    private readonly hv: HypervisorMemory,
    /** Word of the asking vCPU. */
    private readonly word: number,
    private readonly port: MessagePort,
    private readonly ask: (domain: number) => void,
  ) {}

  /** undefined when there is no such domain. */
  get(domain: number): GuestMemory | undefined {
    const { i32 } = this.hv;
    const at = this.hv.domainWord(domain);
    if (Atomics.load(i32, at + DOM.state) !== DomainState.running) {
      this.known.delete(domain);
      return undefined;
    }
    const generation = Atomics.load(i32, at + DOM.generation);
    const known = this.known.get(domain);
    if (known?.generation === generation) return known.memory;
    const answer = this.fetch(domain);
    if (answer === undefined || answer.generation !== generation) return undefined;
    const memory = new GuestMemory(answer.memory, answer.frames, () => Atomics.load(i32, at + DOM.frames));
    this.known.set(domain, { generation, memory });
    return memory;
  }

  /** The answer that comes last counts: an earlier one may have been too late for its question. */
  private fetch(domain: number): MemoryAnswer | undefined {
    const { i32 } = this.hv;
    Atomics.store(i32, this.word + VCPU.reply, 0);
    this.ask(domain);
    Atomics.wait(i32, this.word + VCPU.reply, 0, ANSWER_MS);
    let answer: MemoryAnswer | undefined;
    for (let one = receiveMessageOnPort(this.port); one !== undefined; one = receiveMessageOnPort(this.port)) {
      const message = one.message as ToThread;
      if (message.type === 'memory' && message.domain === domain) answer = message;
    }
    return answer;
  }
}
