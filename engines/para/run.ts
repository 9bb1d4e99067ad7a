/** `virtax run` on `para`: a domain of a hypervisor of its own, or of one that runs, with its console on the user's terminal. */
import type { IoPolicy } from '../io-policy.js';
import { type ConsoleOutput, type RunningMachine, RunRefused, type RunRequest } from '../run.js';
import { ChildChannel, type HypervisorChannel } from './channel.js';
import { domainConfig } from './run-config.js';
import { UserDomain } from './user-domain.js';

/** Rejects with RunRefused when the domain cannot be had. */
export async function run(request: RunRequest, output: ConsoleOutput): Promise<RunningMachine> {
  let machine: UserDomain | undefined;
  try {
    const { noReboot, detach = false } = request;
    const config = domainConfig(request);
    const policy = await policyOf(request);
    const channel = await channelTo(request);
    machine = new UserDomain(channel, config, {
      noReboot,
      output,
      detach,
      ...(policy === undefined ? {} : { policy }),
    });
    await machine.created;
    return machine;
  } catch (error) {
    await machine?.stop();
    throw new RunRefused(error instanceof Error ? error.message : String(error));
  }
}

/** @throws Error with a sentence for the user */
async function channelTo({ hypervisor, detach }: RunRequest): Promise<HypervisorChannel> {
  if (hypervisor === undefined) {
    if (detach)
      throw new Error('--detach: the hypervisor ends with this command; take one that runs, with --hypervisor');
    return new ChildChannel();
  }
  const { connectTo } = await import('./management/socket-channel.js'); // zod takes long to load
  return connectTo(hypervisor);
}

async function policyOf({ policy, hypervisor }: RunRequest): Promise<IoPolicy | undefined> {
  if (policy === undefined) return undefined;
  if (hypervisor !== undefined) {
    throw new Error(`--policy is for a hypervisor of one's own; for one that runs: virtax domains policy ${policy}`);
  }
  const { readIoPolicy } = await import('../io-policy-file.js'); // zod takes long to load
  return readIoPolicy(policy);
}
