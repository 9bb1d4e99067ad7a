/** Who keeps a hypervisor's process that its owner (virtax run) has left: domains and conversations of other processes. */
export class Residents {
  #count = 0;
  #ending = false;
  #last: (() => void) | undefined;

  get count(): number {
    return this.#count;
  }

  /** @throws Error with a sentence for the user when the process is about to end */
  enter(): void {
    if (this.#ending) throw new Error('the hypervisor is ending: its last domain has ended');
    this.#count++;
  }

  leave(): void {
    this.#count--;
    if (this.#count === 0) this.#last?.();
  }

  /** Fulfilled when there are none; from then on nobody may enter. */
  async whenNone(): Promise<void> {
    if (this.#count > 0) {
      await new Promise<void>((resolve) => {
        this.#last = () => {
          this.#ending = true;
          resolve();
        };
      });
    }
    this.#ending = true;
  }
}
