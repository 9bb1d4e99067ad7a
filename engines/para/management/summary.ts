/** A domain in figures, for whoever lists them. All is measured; what the host does not tell is null. */
import { RUNSTATE_runnable, RUNSTATE_running } from '../abi.js';
import type { Domain } from '../domain.js';
import type { Runstate } from '../runstate.js';
import type { DomainSummary } from './protocol.js';

export function summaryOf(domain: Domain): DomainSummary {
  const { vcpusUp, maxVcpus, memoryBytes, maxMemoryBytes } = domain.control;
  const states = domain.runstates();
  const counters = domain.counters();
  return {
    domain: domain.id,
    name: domain.name,
    state: stateOf(domain, states),
    vcpus: vcpusUp,
    maxVcpus,
    memoryBytes,
    maxMemoryBytes,
    weight: domain.share.weight,
    capPercent: domain.share.cap ?? null,
    cpus: domain.share.cpus === undefined ? null : [...domain.share.cpus],
    cpuSeconds: domain.cpuSeconds,
    stealSeconds:
      states.length === 0 ? null : states.reduce((sum, { timeNs }) => sum + timeNs[RUNSTATE_runnable], 0) / 1e9,
    driverGeneration: domain.drivers.generation,
    blockRequests: counters.block_requests,
    blockBytes: counters.block_bytes,
    netFrames: counters.net_tx_frames + counters.net_rx_frames,
    netBytes: counters.net_tx_bytes + counters.net_rx_bytes,
    blockWaitSeconds: counters.queue_vbd_wait_ns / 1e9,
    netWaitSeconds: counters.queue_vif_wait_ns / 1e9,
  };
}

function stateOf(domain: Domain, states: Runstate[]): DomainSummary['state'] {
  if (!domain.runs) return 'ending';
  if (domain.pause.paused) return 'paused';
  return states.some(({ state }) => state === RUNSTATE_running) ? 'running' : 'blocked';
}
