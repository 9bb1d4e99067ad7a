/** What a hypervisor does for a line from its socket. */
import { clockNs } from '../clock.js';
import type { Domain } from '../domain.js';
import type { Hypervisor } from '../hypervisor.js';
import { type AttachedRequest, attachedRequestSchema } from './attached-protocol.js';
import type { Attachment } from './attachment.js';
import { type ManagementAnswer, type ManagementRequest, requestSchema } from './protocol.js';
import { summaryOf } from './summary.js';

/** Never rejects. Undefined: what there is to say, the attachment says. */
export async function answerLine(
  line: string,
  hypervisor: Hypervisor,
  attachment: Attachment,
): Promise<ManagementAnswer | undefined> {
  const request = parse(line);
  if (typeof request === 'string') return { id: 0, ok: false, error: request };
  if ('type' in request) {
    attachment.hear(request);
    return undefined;
  }
  const { id } = request;
  try {
    if (request.command === 'policy') hypervisor.setPolicy(request.policy);
    else if (request.command === 'restart-driver') await hypervisor.restartDriver();
    else if (request.command !== 'list') await act(request, hypervisor);
    else {
      const domains = hypervisor.running.map(summaryOf);
      return { id, ok: true, result: { seconds: clockNs() / 1e9, domains } };
    }
    return { id, ok: true };
  } catch (error) {
    return { id, ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

function parse(line: string): ManagementRequest | AttachedRequest | string {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return 'a request is one line of JSON';
  }
  const attached = typeof json === 'object' && json !== null && 'type' in json;
  const parsed = (attached ? attachedRequestSchema : requestSchema).safeParse(json);
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  return `not a request: ${[...path, message].join(': ')}`;
}

type Action = Exclude<ManagementRequest, { command: 'list' | 'policy' | 'restart-driver' }>;

async function act(request: Action, hypervisor: Hypervisor): Promise<void> {
  const domain = hypervisor.running.find((each) => each.id === request.domain);
  if (domain === undefined) throw new Error(`there is no domain ${request.domain}`);
  if (request.command === 'pause') await domain.pause.pause();
  else if (request.command === 'resume') domain.pause.resume();
  else if (request.command === 'weight') domain.share.setWeight(request.weight);
  else if (request.command === 'cap') domain.share.setCap(request.percent);
  else if (request.command === 'pin') domain.share.pin(request.cpus);
  else if (request.command === 'destroy') domain.destroy();
  else await ask(domain, request);
}

/** What the guest itself must do. */
async function ask(domain: Domain, request: Action): Promise<void> {
  if (domain.pause.paused) throw new Error('the domain is paused, so its guest can do nothing: resume it first');
  if (request.command === 'vcpus') await domain.control.setVcpus(request.vcpus);
  else if (request.command === 'memory') await domain.control.setMemory(request.bytes);
  else await domain.control.shutdown();
}
