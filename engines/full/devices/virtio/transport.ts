/** What PCI and MMIO have in common: they stand before a model, and the machine sees the model's state and figures through them. */
import type { Resettable } from '../device.js';
import type { VirtioCore, VirtioModel } from './core.js';

export abstract class VirtioTransport implements Resettable {
  readonly name: string;
  protected readonly core: VirtioCore;

  constructor(
    private readonly model: VirtioModel,
    kind: 'pci' | 'mmio',
  ) {
    this.name = `${model.name}-${kind}`;
    this.core = model.core;
  }

  reset(): void {
    this.core.reset();
  }

  counters(): Record<string, number> {
    return this.model.counters();
  }

  consoleChanged(): void {
    this.model.consoleChanged?.();
  }

  get takesInput(): boolean {
    return this.model.takesInput === true;
  }
}
