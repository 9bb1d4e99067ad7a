/**
 * Whom to wake for a block queue that has something to do. A vCPU whose thread sleeps in the host lends it (DESIGN rule 7): its own
 * driver does the request, and the completion comes back to the thread that wants it. For one that is busy in its guest, and for all
 * where lending is off, the core OS's own threads do it.
 *
 * Nothing is lost: who asks has set VCPU.attention before, and looks at the vCPU's state then; a vCPU stores "I sleep" before it looks
 * at its attention, and looks again when it has slept.
 */
import type { EventChannels } from '../event-channels.js';
import { CORE, DOM, type HypervisorMemory, VCPU, VcpuState } from '../hypervisor-memory.js';

/** vCPUs' threads drive their own requests. */
export const mayLend = (hv: HypervisorMemory): boolean => hv.i32[CORE.lending] !== 0;

/** The core OS's thread that serves a domain. */
export const coreThreadOf = (hv: HypervisorMemory, domain: number): number => domain % hv.i32[CORE.threads];

/** VCPU.attention says already what there is to do. */
export function rouse(hv: HypervisorMemory, events: EventChannels, domain: number, vcpu: number): void {
  const { i32 } = hv;
  const word = hv.vcpuWord(domain, vcpu);
  const sleeps =
    Atomics.load(i32, word + VCPU.state) === VcpuState.blocked || Atomics.load(i32, word + VCPU.parked) === 1;
  if (i32[CORE.threads] === 0 || (sleeps && mayLend(hv))) events.wake(domain, vcpu);
  else askCoreOs(hv, events, domain, vcpu);
}

/**
 * Has one of the core OS's threads look at the block queue of a vCPU. There must be such threads. One that was asked and has not looked
 * yet is not asked again, unless by `force`.
 */
export function askCoreOs(
  hv: HypervisorMemory,
  events: EventChannels,
  domain: number,
  vcpu: number,
  force = false,
): void {
  const thread = coreThreadOf(hv, domain);
  const asked = Atomics.or(hv.i32, hv.domainWord(domain) + DOM.coreAttention, 1 << vcpu);
  if ((asked & (1 << vcpu)) !== 0 && !force) return;
  Atomics.or(hv.i32, CORE.inbox + 2 * thread + (domain >> 5), 1 << (domain & 31));
  events.wake(0, thread);
}
