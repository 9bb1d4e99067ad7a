/**
 * The language of a hypervisor's socket: JSON, one object a line. Each request has a number, which its answer has too; answers may come
 * in another order than the requests.
 */
import { z } from 'zod';
import { ioPolicySchema } from '../../io-policy-file.js';

const domain = z.int().min(1);

export const requestSchema = z.discriminatedUnion('command', [
  z.strictObject({ id: z.int(), command: z.literal('list') }),
  z.strictObject({ id: z.int(), command: z.literal('policy'), policy: ioPolicySchema }),
  z.strictObject({ id: z.int(), command: z.literal('restart-driver') }),
  z.strictObject({ id: z.int(), command: z.literal('pause'), domain }),
  z.strictObject({ id: z.int(), command: z.literal('resume'), domain }),
  z.strictObject({ id: z.int(), command: z.literal('shutdown'), domain }),
  z.strictObject({ id: z.int(), command: z.literal('destroy'), domain }),
  z.strictObject({ id: z.int(), command: z.literal('vcpus'), domain, vcpus: z.int().min(1) }),
  z.strictObject({ id: z.int(), command: z.literal('memory'), domain, bytes: z.int().min(1) }),
  z.strictObject({ id: z.int(), command: z.literal('weight'), domain, weight: z.int().min(1).max(65535) }),
  z.strictObject({ id: z.int(), command: z.literal('cap'), domain, percent: z.int().min(0).max(3200) }),
  z.strictObject({ id: z.int(), command: z.literal('pin'), domain, cpus: z.array(z.int().min(0).max(1023)).min(1) }),
]);
export type ManagementRequest = z.infer<typeof requestSchema>;

/** Totals are since the domain's start; rates are differences of two lists. */
export const summarySchema = z.object({
  domain: z.int(),
  name: z.string(),
  state: z.enum(['running', 'blocked', 'paused', 'ending']),
  /** Up now, and at most. */
  vcpus: z.int(),
  maxVcpus: z.int(),
  memoryBytes: z.number(),
  maxMemoryBytes: z.number(),
  /** Of each vCPU against those of others, as nice values enforce it. */
  weight: z.number(),
  /** Percent of one processor for all vCPUs together; null: none. */
  capPercent: z.number().nullable(),
  /** CPUs of the host that it is pinned to; null: all. */
  cpus: z.array(z.int()).nullable(),
  /** Of its vCPUs' threads. */
  cpuSeconds: z.number(),
  /** Runnable without a processor; null where the host does not tell. */
  stealSeconds: z.number().nullable(),
  /** How often the core OS's block driver has been started; null without a disk. */
  driverGeneration: z.int().nullable(),
  blockRequests: z.number(),
  blockBytes: z.number(),
  netFrames: z.number(),
  netBytes: z.number(),
  /** That disk requests and bursts of frames waited in the I/O queue, all together: over a time, how many waited on average. */
  blockWaitSeconds: z.number(),
  netWaitSeconds: z.number(),
});
export type DomainSummary = z.infer<typeof summarySchema>;

export const listSchema = z.object({
  /** When it was made, seconds of CLOCK_MONOTONIC. */
  seconds: z.number(),
  domains: z.array(summarySchema),
});
export type DomainList = z.infer<typeof listSchema>;

export const answerSchema = z.union([
  z.object({ id: z.int(), ok: z.literal(true), result: listSchema.optional() }),
  /** id 0: of a line that was no request. */
  z.object({ id: z.int(), ok: z.literal(false), error: z.string() }),
]);
export type ManagementAnswer = z.infer<typeof answerSchema>;
