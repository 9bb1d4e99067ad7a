/** The harness's end of a hypervisor's socket (engines/para/management/): one conversation, one request at a time. */
import { createConnection, type Socket } from 'node:net';
import { createInterface, type Interface } from 'node:readline';
import { hypervisorPids, removeSocket, socketPath } from '../../engines/para/management/folder.js';
import {
  answerSchema,
  type DomainList,
  type ManagementAnswer,
  type ManagementRequest,
} from '../../engines/para/management/protocol.js';

import { UsageError } from '../usage.js';

/** A request without its number. */
export type Wish = ManagementRequest extends infer R ? (R extends { id: number } ? Omit<R, 'id'> : never) : never;

/** The hypervisor refused, its guest did not obey, or it is gone: a message for the user. */
export class ManagementFailure extends Error {
  override readonly name = 'ManagementFailure';
}

/** The hypervisor has ended before it answered: that of virtax run does with its domain. */
export class HypervisorGone extends ManagementFailure {}

export class HypervisorClient {
  private nextId = 1;
  private gone = false;
  private readonly lines: Interface;
  private readonly waiting = new Map<number, (answer: ManagementAnswer) => void>();

  private constructor(
    readonly pid: number,
    private readonly socket: Socket,
  ) {
    socket.on('error', () => {}); // 'close' follows
    this.lines = createInterface({ input: socket });
    this.lines.on('line', (line) => this.hear(line));
    socket.on('close', () => this.lost());
  }

  /** undefined when nobody is there: its socket is removed then. */
  static connect(pid: number): Promise<HypervisorClient | undefined> {
    return new Promise((resolve) => {
      const socket = createConnection(socketPath(pid));
      socket.once('connect', () => resolve(new HypervisorClient(pid, socket)));
      socket.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNREFUSED') removeSocket(pid);
        resolve(undefined);
      });
    });
  }

  private hear(line: string): void {
    const answer = answerSchema.safeParse(json(line));
    if (!answer.success) this.socket.destroy();
    else this.settle(answer.data);
  }

  private settle(answer: ManagementAnswer): void {
    this.waiting.get(answer.id)?.(answer);
    this.waiting.delete(answer.id);
  }

  private lost(): void {
    this.gone = true;
    for (const id of [...this.waiting.keys()]) {
      this.settle({ id, ok: false, error: `the hypervisor (process ${this.pid}) has ended` });
    }
  }

  /** Rejects with ManagementFailure. */
  async ask(wish: Wish): Promise<DomainList | undefined> {
    const id = this.nextId++;
    const answer = await new Promise<ManagementAnswer>((resolve) => {
      this.waiting.set(id, resolve);
      this.socket.write(`${JSON.stringify({ id, ...wish })}\n`);
      if (this.socket.destroyed) this.lost();
    });
    if (!answer.ok) throw this.gone ? new HypervisorGone(answer.error) : new ManagementFailure(answer.error);
    return answer.result;
  }

  close(): void {
    this.lines.close();
    this.socket.destroy();
  }
}

function pids(): number[] {
  try {
    return hypervisorPids();
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function json(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** All hypervisors of this user, by process id. @throws UsageError */
export async function connectAll(): Promise<HypervisorClient[]> {
  const clients = await Promise.all(pids().map((pid) => HypervisorClient.connect(pid)));
  return clients.filter((client) => client !== undefined).sort((a, b) => a.pid - b.pid);
}
