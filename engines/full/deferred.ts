/** Work that devices put off to the end of the slice: bounded pieces, run on the hart's thread with no lock held. */
export class Deferred {
  #tasks: (() => void)[] = [];

  add(task: () => void): void {
    this.#tasks.push(task);
  }

  get pending(): boolean {
    return this.#tasks.length > 0;
  }

  /** Runs what is there now; what these tasks add waits for the next call, so that the guest runs in between. */
  run(): void {
    if (this.#tasks.length === 0) return;
    const tasks = this.#tasks;
    this.#tasks = [];
    for (const task of tasks) task();
  }
}
