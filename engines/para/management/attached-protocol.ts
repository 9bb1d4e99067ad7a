/**
 * Over a hypervisor's socket a process can have domains of its own, beside the requests of protocol.ts: lines with a `type`, most of them
 * messages.ts in JSON. Console bytes are latin1. The domains end with the conversation, but for those that were detached.
 */
import { z } from 'zod';
import { PARA_STORE_VALUE_MAX } from '../abi.js';
import type { DomainConfig, FromHypervisor } from '../messages.js';
import { OUTPUT_WINDOW } from '../messages.js';

const key = z.int().min(0);
const bytes = z.int().min(1);
/** Of the hypervisor's process, whose directory is another. */
const file = z
  .string()
  .regex(/^\/[^\0]*$/, 'must be an absolute path')
  .max(4096);
/** It goes into the store. */
const word = z.string().max(PARA_STORE_VALUE_MAX, `more than ${PARA_STORE_VALUE_MAX} bytes`);

const configSchema = z.strictObject({
  name: word.min(1),
  vcpus: z.int().min(1),
  maxVcpus: z.int().min(1).optional(),
  memoryBytes: bytes,
  maxMemoryBytes: bytes.optional(),
  image: file,
  bootargs: word,
  disk: z
    .union([
      z.strictObject({ path: file, bytes, direct: z.boolean() }),
      z.strictObject({ kind: z.enum(['memory', 'null']), bytes }),
    ])
    .optional(),
  mac: z
    .string()
    .regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/)
    .optional(),
});
/** How much a reader may lag behind is the hypervisor's to say. */
const given = { pollUs: 0, outputWindow: OUTPUT_WINDOW };

/** Characters of one line of input: a line has at most 64 KiB (server.ts), and JSON makes six bytes of some. */
export const INPUT_PIECE = 8192;

export const attachedRequestSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('create'),
    key,
    config: configSchema.transform((config) => ({ ...config, ...given }) as DomainConfig),
    detached: z.strictObject({ reboots: z.boolean() }).optional(),
  }),
  z.strictObject({ type: z.literal('input'), key, text: z.string().max(INPUT_PIECE) }),
  z.strictObject({ type: z.literal('taken'), key, bytes: z.int().min(0) }),
  z.strictObject({ type: z.literal('destroy'), key }),
]);
export type AttachedRequest = z.infer<typeof attachedRequestSchema>;

export const attachedEventSchema = z.union([
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('created'), key, domain: z.int() }),
    z.object({ type: z.literal('refused'), key, message: z.string() }),
    z.object({ type: z.literal('output'), key, text: z.string() }),
    z.object({
      type: z.literal('ended'),
      key,
      reason: z.string(),
      how: z.enum(['poweroff', 'reboot', 'crash', 'destroyed']),
      counters: z.record(z.string(), z.number()),
    }),
  ]),
  /** Of a line that was no request. */
  z.object({ id: z.int(), ok: z.literal(false), error: z.string() }),
]);

/** Of a line that a hypervisor sent. @throws when it is none */
export function eventOf(line: string): FromHypervisor {
  const event = attachedEventSchema.parse(JSON.parse(line));
  if (!('type' in event)) return { type: 'refused', key: 0, message: event.error };
  if (event.type !== 'output') return event;
  return { type: 'output', key: event.key, bytes: Buffer.from(event.text, 'latin1') };
}
