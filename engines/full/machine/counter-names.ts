/** What the counters of the harts are called in reports and on `virtax run --counters`; sums over all harts. */
import type { EVENT } from '../cpu/layout.js';

/** VM exits have names of their own below `exits.`: each left the guest's code for the machine. */
export const EVENT_NAMES: Readonly<Record<keyof typeof EVENT, string>> = {
  mmioReads: 'exits.mmio_read',
  mmioWrites: 'exits.mmio_write',
  csrAccesses: 'exits.csr',
  exceptions: 'exceptions',
  interrupts: 'interrupts',
  interruptsSsip: 'interrupts.supervisor_software',
  interruptsMsip: 'interrupts.machine_software',
  interruptsStip: 'interrupts.supervisor_timer',
  interruptsMtip: 'interrupts.machine_timer',
  interruptsSeip: 'interrupts.supervisor_external',
  interruptsMeip: 'interrupts.machine_external',
  wfi: 'wfi',
  tlbMisses: 'tlb.misses',
  fetchMisses: 'tlb.fetch_misses',
  tlbFlushes: 'tlb.flushes',
  pagesDecoded: 'code.pages_decoded',
  instructionsDecoded: 'code.instructions_decoded',
  translations: 'code.translations',
  translatedInstructions: 'code.translated_instructions',
  regionEntries: 'code.region_entries',
  regionChains: 'code.region_chains',
  regionInterprets: 'code.region_interprets',
  rangeMisses: 'code.range_misses',
  fpSlowPaths: 'fp.slow_paths',
};
