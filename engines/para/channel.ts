/** A way to a hypervisor's process, for who drives domains in it: IPC with a child, or the socket of one that runs already. */
import { type Child, startNode } from '../process/child.js';
import { removeSocket } from './management/folder.js';
import type { FromHypervisor, ToHypervisor } from './messages.js';

/** Argument of hypervisor-main: other processes of the user may start domains in it. */
export const OPEN = 'open';

export interface HypervisorChannel {
  /** The hypervisor's process. */
  readonly pid: number;
  /** The hypervisor's process was started by this one and ends with the channel. */
  readonly owned: boolean;
  /** Fulfilled with a sentence for the user when there is no hypervisor any more. */
  readonly lost: Promise<string>;
  /** Once, before anything is sent. */
  listen(hear: (message: FromHypervisor) => void): void;
  /** False when it is gone. */
  send(message: ToHypervisor): boolean;
  close(): Promise<void>;
}

/** A hypervisor of this process's own. */
export class ChildChannel implements HypervisorChannel {
  readonly owned = true;
  readonly lost: Promise<string>;
  readonly #child: Child;

  constructor() {
    this.#child = startNode(new URL('./hypervisor-main.js', import.meta.url), [OPEN]);
    this.lost = this.#child.exited.then((phrase) => {
      const lines = this.#child.stderr.tail();
      return `its hypervisor was lost (${phrase})${lines.length > 0 ? `: ${lines.join(' | ')}` : ''}`;
    });
  }

  get pid(): number {
    return this.#child.process.pid ?? 0;
  }

  listen(hear: (message: FromHypervisor) => void): void {
    this.#child.process.on('message', (message) => hear(message as FromHypervisor));
  }

  send(message: ToHypervisor): boolean {
    return this.#child.send(message);
  }

  async close(): Promise<void> {
    await this.#child.stop();
    removeSocket(this.pid);
  }
}
