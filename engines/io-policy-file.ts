/** A policy from outside: a file of the user's, or a line on a hypervisor's socket. Strict: a misspelt name is an error, not a wish. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type IoPolicy, ORDERS } from './io-policy.js';

const PER_SECOND = z.number().min(1).max(1e12);
const MS = z.number().positive().max(3_600_000);
const caps = { opsPerSecond: PER_SECOND.optional(), bytesPerSecond: PER_SECOND.optional() };
const flow = {
  ...caps,
  class: z.int().min(0).max(7).optional().describe('0 is the first'),
  weight: z.int().min(1).max(10_000).optional(),
  latencyTargetMs: MS.optional(),
};
const domain = z.strictObject({ ...flow, vbd: z.strictObject(flow).optional(), vif: z.strictObject(flow).optional() });

export const ioPolicySchema = z.strictObject({
  order: z.enum(ORDERS),
  ageingMs: MS.optional(),
  devices: z
    .strictObject({
      vbd: z.strictObject({ ...caps, depth: z.int().min(1).max(16_384).optional() }).optional(),
      vif: z.strictObject(caps).optional(),
    })
    .optional(),
  domains: z.record(z.string().min(1), domain).optional(),
  default: domain.optional(),
});

/** The file cannot be read, or is no policy: a message that says where and what to do. */
export class IoPolicyError extends Error {
  override readonly name = 'IoPolicyError';
}

/** @throws IoPolicyError */
export function readIoPolicy(path: string): IoPolicy {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new IoPolicyError(`policy file ${path}: ${(error as Error).message}`);
  }
  return parseIoPolicy(text, path);
}

/** `source`: for messages. @throws IoPolicyError */
export function parseIoPolicy(text: string, source: string): IoPolicy {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new IoPolicyError(`policy file ${source} is not valid JSON: ${(error as Error).message}`);
  }
  const parsed = ioPolicySchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => `  ${z.core.toDotPath(issue.path) || '(top)'}: ${issue.message}`);
  throw new IoPolicyError([`policy file ${source} is not a policy:`, ...issues, HINT].join('\n'));
}

const HINT =
  '  A policy is like this: { "order": "wfq", "devices": { "vbd": { "depth": 8 } }, "domains": { "web": { "weight": 400 } } }';
