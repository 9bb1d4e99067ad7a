/** What a context has open, by handle. A closed handle's number is used again, so a guest cannot make the table grow. */

import { BlockFile } from './block-file.js';
import type { HandleId } from './io.js';

export interface Socket {
  fd: number;
}

export class HandleTable {
  readonly #open: (BlockFile | Socket | undefined)[] = [];

  add(it: BlockFile | Socket): HandleId {
    const free = this.#open.indexOf(undefined);
    if (free < 0) return this.#open.push(it) - 1;
    this.#open[free] = it;
    return free;
  }

  /** Removes a handle; undefined when it is not open. */
  remove(handle: HandleId): BlockFile | Socket | undefined {
    const it = this.#open[handle];
    if (it !== undefined) this.#open[handle] = undefined;
    return it;
  }

  /** Every number that may be open. */
  get size(): number {
    return this.#open.length;
  }

  any(handle: HandleId): BlockFile | Socket {
    const it = this.#open[handle];
    if (it === undefined) throw new RangeError(`I/O handle ${handle} is not open`);
    return it;
  }

  file(handle: HandleId): BlockFile {
    const it = this.#open[handle];
    if (it instanceof BlockFile) return it;
    throw new RangeError(`I/O handle ${handle} is not an open block file`);
  }

  socket(handle: HandleId): Socket {
    const it = this.#open[handle];
    if (it === undefined || it instanceof BlockFile) throw new RangeError(`I/O handle ${handle} is not an open socket`);
    return it;
  }
}
