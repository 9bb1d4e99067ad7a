/**
 * The table of hypercalls. A handler gets its arguments as the guest passed them, as signed 32-bit numbers, and answers with 0, a
 * positive value or a negative errno; it throws VcpuStop or GuestCrash and nothing else.
 */
import { PARA_ENOSYS, PARA_MAX_HYPERCALLS } from '../abi.js';
import { type CounterName, counterIndex } from '../counters.js';
import { DOM, DomainState } from '../hypervisor-memory.js';
import { holdWhilePaused } from '../pause.js';
import { type Vcpu, VcpuStop } from '../vcpu.js';

export type HypercallHandler = (vcpu: Vcpu, cmd: number, arg1: number, arg2: number) => number;

export class HypercallTable {
  readonly handlers: (HypercallHandler | undefined)[] = new Array(PARA_MAX_HYPERCALLS).fill(undefined);
  readonly counters = new Int32Array(PARA_MAX_HYPERCALLS).fill(counterIndex('hypercall_unknown'));

  /** Refuses a number that is out of range or taken: two handlers of one number are a mistake in the hypervisor. */
  register(number: number, counter: CounterName, handler: HypercallHandler): this {
    if (!Number.isInteger(number) || number < 0 || number >= PARA_MAX_HYPERCALLS) {
      throw new RangeError(`hypercall ${number}: numbers are 0 to ${PARA_MAX_HYPERCALLS - 1}`);
    }
    if (this.handlers[number] !== undefined) throw new Error(`hypercall ${number} is registered twice`);
    this.handlers[number] = handler;
    this.counters[number] = counterIndex(counter);
    return this;
  }
}

/** The function that a guest's module imports as virtax.hypercall: the hot path of every crossing. */
export function hypercallEntry(vcpu: Vcpu, table: HypercallTable) {
  const { i32, f64 } = vcpu.hv;
  const { handlers, counters } = table;
  const state = vcpu.domainWord + DOM.state;
  const paused = vcpu.domainWord + DOM.paused;
  const counterBase = vcpu.counters;
  const unknown = counterIndex('hypercall_unknown');
  const errors = counterIndex('hypercall_errors');
  return (number: number, cmd: number, arg1: number, arg2: number): number => {
    if (Atomics.load(i32, paused) !== 0) holdWhilePaused(vcpu);
    if (Atomics.load(i32, state) !== DomainState.running) throw new VcpuStop();
    const handler = number >>> 0 < PARA_MAX_HYPERCALLS ? handlers[number] : undefined;
    if (handler === undefined) {
      f64[counterBase + unknown]++;
      return -PARA_ENOSYS;
    }
    f64[counterBase + counters[number]]++;
    const result = handler(vcpu, cmd, arg1, arg2);
    if (result < 0) f64[counterBase + errors]++;
    return result;
  };
}
