/** The way to a hypervisor that another process has started: its socket. */
import { createConnection, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { HypervisorChannel } from '../channel.js';
import type { FromHypervisor, ToHypervisor } from '../messages.js';
import { eventOf, INPUT_PIECE } from './attached-protocol.js';
import { hypervisorPids, removeSocket, socketPath } from './folder.js';

const AUTO = 'auto';

export class SocketChannel implements HypervisorChannel {
  readonly owned = false;
  readonly lost: Promise<string>;

  constructor(
    readonly pid: number,
    private readonly socket: Socket,
  ) {
    socket.on('error', () => {}); // 'close' follows
    this.lost = new Promise((resolve) => {
      socket.on('close', () => resolve(`its hypervisor (process ${pid}) has ended`));
    });
  }

  listen(hear: (message: FromHypervisor) => void): void {
    createInterface({ input: this.socket }).on('line', (line) => {
      const message = this.read(line);
      if (message !== undefined) hear(message);
    });
  }

  private read(line: string): FromHypervisor | undefined {
    try {
      return eventOf(line);
    } catch {
      this.socket.destroy(); // that is no hypervisor
      return undefined;
    }
  }

  send(message: ToHypervisor): boolean {
    if (!this.socket.writable) return false;
    if (message.type === 'input') this.sendInput(message.key, message.text);
    else if (message.type === 'create') this.write({ ...message, config: sendable(message) });
    else this.write(message);
    return true;
  }

  private sendInput(key: number, text: string): void {
    for (let at = 0; at < text.length; at += INPUT_PIECE) {
      this.write({ type: 'input', key, text: text.slice(at, at + INPUT_PIECE) });
    }
  }

  private write(line: object): void {
    this.socket.write(`${JSON.stringify(line)}\n`);
  }

  async close(): Promise<void> {
    this.socket.destroy();
  }
}

/** Without what is the hypervisor's own to say. */
function sendable({ config }: Extract<ToHypervisor, { type: 'create' }>): object {
  const { pollUs, outputWindow, ...rest } = config;
  return rest;
}

/** choice: a process id, or `auto`. @throws Error with a sentence for the user */
export async function connectTo(choice: string): Promise<SocketChannel> {
  const running = (await Promise.all(hypervisorPids().map(connect))).filter((channel) => channel !== undefined);
  const chosen = running.filter(({ pid }) => choice === AUTO || String(pid) === choice);
  for (const channel of running) if (chosen.length !== 1 || channel !== chosen[0]) void channel.close();
  if (chosen.length === 1) return chosen[0];
  throw new Error(`--hypervisor ${choice}: ${problemOf(running.map(({ pid }) => pid))}`);
}

function problemOf(pids: readonly number[]): string {
  if (pids.length === 0) return 'no hypervisor runs; virtax run --engine para starts one when --hypervisor is left out';
  return `take ${pids.length === 1 ? 'the one that runs' : 'one of those that run'}: ${pids.join(', ')}`;
}

function connect(pid: number): Promise<SocketChannel | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection(socketPath(pid));
    socket.once('connect', () => resolve(new SocketChannel(pid, socket)));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') removeSocket(pid);
      resolve(undefined);
    });
  });
}
