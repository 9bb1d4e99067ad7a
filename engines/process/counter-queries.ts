/** Questions for counters, which another process answers by their numbers. */
export class CounterQueries {
  readonly #waiting = new Map<number, (counters: Record<string, number>) => void>();
  #nextId = 0;

  /** send: puts the question. */
  ask(send: (id: number) => void): Promise<Record<string, number>> {
    return new Promise((resolve) => {
      const id = this.#nextId++;
      this.#waiting.set(id, resolve);
      send(id);
    });
  }

  answer(id: number, counters: Record<string, number>): void {
    this.#waiting.get(id)?.(counters);
    this.#waiting.delete(id);
  }

  /** Who was asked is no more: nothing was counted. */
  end(): void {
    for (const id of [...this.#waiting.keys()]) this.answer(id, {});
  }
}
