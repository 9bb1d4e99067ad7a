/** Profiles: named sets of cells, as JSON files in profiles/ or the user's own by --profile-file. */
import { readdir, readFile } from 'node:fs/promises';
import { z } from 'zod';
import { MAX_COUNT, parseSize, UsageError, unknownName } from './usage.js';

const counts = z.array(z.int().min(1).max(MAX_COUNT)).min(1);
const size = z.string().transform((text, context) => {
  try {
    return parseSize(text, 'size');
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
    return z.NEVER;
  }
});

export const ProfileSchema = z.strictObject({
  name: z.string().min(1),
  summary: z.string(),
  engines: z.array(z.string()).min(1),
  samples: z.int().min(5).max(1000),
  sampleMs: z.int().min(10).max(600_000),
  diskSize: size,
  guest: z.enum(['debian']).optional().describe('A guest system other than the project’s own'),
  pollUs: z.int().min(0).max(1_000_000).default(0),
  groups: z
    .array(z.strictObject({ workloads: z.array(z.string()).min(1), vms: counts, vcpus: counts }))
    .min(1)
    .describe('Each: every workload that a glob matches, at every number of VMs with every number of vCPUs'),
});

export type Profile = z.infer<typeof ProfileSchema>;

export const DEFAULT_PROFILE = 'standard';
const FOLDER = new URL('../../harness/profiles/', import.meta.url);

/** The profiles that come with virtax, shortest first. */
export async function builtInProfiles(): Promise<Profile[]> {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith('.json'));
  const order = ['quick', 'standard', 'full', 'debian'];
  const profiles = await Promise.all(files.map((file) => readProfileFile(new URL(file, FOLDER))));
  return profiles.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
}

/** @throws UsageError with the nearest names */
export async function findProfile(name: string): Promise<Profile> {
  const profiles = await builtInProfiles();
  const found = profiles.find((profile) => profile.name === name);
  if (found !== undefined) return found;
  throw unknownName(
    'profile',
    name,
    profiles.map((profile) => profile.name),
    'virtax list profiles',
  );
}

/** Reads and checks a profile. @throws UsageError that names the file and the place in it */
export async function readProfileFile(path: string | URL): Promise<Profile> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    const reason = error instanceof SyntaxError ? `is not valid JSON: ${error.message}` : (error as Error).message;
    throw new UsageError(`profile file ${path}: ${reason}`);
  }
  const parsed = ProfileSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => `  ${z.core.toDotPath(issue.path) || '(top)'}: ${issue.message}`);
  throw new UsageError([`profile file ${path} is not a profile:`, ...issues].join('\n'));
}
