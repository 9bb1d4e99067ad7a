/** Beginning of a domain's end, from any thread: its vCPUs leave the guest at their next hypercall, and sleepers are woken. */
import type { EventChannels } from './event-channels.js';
import { DOM, DomainState, type HypervisorMemory } from './hypervisor-memory.js';

/** reason: SHUTDOWN_*. The first call counts; false if the domain was ending already. */
export function shutDown(hv: HypervisorMemory, events: EventChannels, domain: number, reason: number): boolean {
  const word = hv.domainWord(domain);
  const first = Atomics.compareExchange(hv.i32, word + DOM.state, DomainState.running, DomainState.dying);
  if (first !== DomainState.running) return false;
  hv.i32[word + DOM.shutdownReason] = reason;
  for (let vcpu = 0; vcpu < hv.i32[word + DOM.vcpus]; vcpu++) {
    events.wake(domain, vcpu);
  }
  return true;
}
