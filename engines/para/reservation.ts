/**
 * A domain's memory in frames: populated, or given back to the pool by its balloon (memory_op). Who changes something holds the
 * domain's lock; any vCPU's thread may. What is given back is really the host's again (MADV_DONTNEED, madvise(2)): the pages
 * stay mapped, so that a guest that touches them nevertheless reads zeros and harms nobody.
 */
import { wantHugePages } from '../backends/huge-pages.js';
import { libc } from '../backends/libc.js';
import { Lock } from '../backends/lock.js';
import { PARA_EBUSY, PARA_EINVAL, PARA_ENOMEM, PARA_FRAME_BYTES } from './abi.js';
import { grantedFrames } from './grants.js';
import type { GuestMemory } from './guest-memory.js';
import { DOM, type HypervisorMemory, POOL } from './hypervisor-memory.js';

const MADV_DONTNEED = 4;
const WASM_PAGE_FRAMES = 65536 / PARA_FRAME_BYTES;

/** Takes frames out of the hypervisor's pool; false: it has fewer. */
export function takeFromPool(hv: HypervisorMemory, frames: number): boolean {
  const taken = Atomics.add(hv.i32, POOL.taken, frames) + frames;
  if (hv.i32[POOL.total] < 0 || taken <= hv.i32[POOL.total]) return true;
  Atomics.sub(hv.i32, POOL.taken, frames);
  return false;
}

export function giveToPool(hv: HypervisorMemory, frames: number): void {
  Atomics.sub(hv.i32, POOL.taken, frames);
}

/** The host has the pages under a view of guest memory again (the guest would read zeros); false where it cannot be asked. */
export function giveToHost(view: Uint8Array): boolean {
  const c = libc();
  return c !== undefined && c.madvise(c.address(view), view.byteLength, MADV_DONTNEED) === 0;
}

/** What happened to a list of extents: how many were done, and why not the next (a negative errno, 0 if all were). */
interface Outcome {
  done: number;
  error: number;
}

/** Ranges of frames in a row, so that the host is asked once for all. */
class Run {
  private first = 0;
  private end = 0;

  constructor(private readonly each: (first: number, frames: number) => void) {}

  add(first: number, frames: number): void {
    if (first !== this.end) {
      this.flush();
      this.first = first;
    }
    this.end = first + frames;
  }

  flush(): void {
    if (this.end > this.first) this.each(this.first, this.end - this.first);
    this.end = this.first;
  }
}

export class Reservation {
  private readonly word: number;
  private readonly bits: number;
  private readonly lock: Lock;

  constructor(
    private readonly hv: HypervisorMemory,
    private readonly domain: number,
    private readonly memory: GuestMemory,
  ) {
    this.word = hv.domainWord(domain);
    this.bits = hv.balloonWord(domain);
    this.lock = new Lock(hv.i32, this.word + DOM.memoryLock);
  }

  /** Extents of `frames` frames each go back to the pool. */
  decrease(extents: readonly number[], frames: number): Outcome {
    const granted = grantedFrames(this.hv, this.domain, this.memory);
    const host = new Run((first, count) => this.discard(first, count));
    return this.lock.hold(() => {
      const outcome = each(extents, (first) => {
        if (!this.all(first, frames, false)) return -PARA_EINVAL;
        if (granted.some(([from, to]) => first < to && from < first + frames)) return -PARA_EBUSY;
        this.mark(first, frames, true);
        host.add(first, frames);
        return 0;
      });
      host.flush();
      giveToPool(this.hv, outcome.done * frames);
      return this.account(outcome, -frames);
    });
  }

  /** Extents of `frames` frames each are the domain's again, or anew; memory grows as far as the last of them. */
  populate(extents: readonly number[], frames: number): Outcome {
    return this.lock.hold(() => {
      const limit = this.hv.i32[this.word + DOM.maxFrames];
      const end = extents.reduce((top, first) => (first + frames <= limit ? Math.max(top, first + frames) : top), 0);
      if (!this.growTo(end)) return { done: 0, error: -PARA_ENOMEM };
      return this.fill(extents, frames);
    });
  }

  /** As populate(), of frames that the hypervisor chooses and writes into `extents`. */
  increase(extents: number[], frames: number): Outcome {
    return this.lock.hold(() => {
      this.choose(extents, frames);
      return this.fill(extents, frames);
    });
  }

  private fill(extents: readonly number[], frames: number): Outcome {
    const { i32 } = this.hv;
    const room = Math.floor((i32[this.word + DOM.allowed] - i32[this.word + DOM.populated]) / frames);
    let done = 0;
    const outcome = each(extents, (first) => {
      if (!this.all(first, frames, true)) return -PARA_EINVAL;
      if (done >= room || !takeFromPool(this.hv, frames)) return -PARA_ENOMEM;
      this.mark(first, frames, false);
      done++;
      return 0;
    });
    return this.account(outcome, frames);
  }

  /** The lowest given back extents, aligned to their size, then new ones behind the last. -1: there is none. */
  private choose(extents: number[], frames: number): void {
    const { i32 } = this.hv;
    let next = 0;
    for (let n = 0; n < extents.length; n++) {
      while (next + frames <= i32[this.word + DOM.frames] && !this.all(next, frames, true)) next += frames;
      const fits = next + frames <= i32[this.word + DOM.maxFrames] && this.growTo(next + frames);
      extents[n] = fits ? next : -1;
      if (fits) next += frames;
    }
  }

  private account(outcome: Outcome, framesEach: number): Outcome {
    Atomics.add(this.hv.i32, this.word + DOM.populated, outcome.done * framesEach);
    return outcome;
  }

  /** What is new is given back until somebody populates it. */
  private growTo(frames: number): boolean {
    const { i32 } = this.hv;
    const from = i32[this.word + DOM.frames];
    if (frames <= from) return true;
    const pages = Math.ceil((frames - from) / WASM_PAGE_FRAMES);
    const to = from + pages * WASM_PAGE_FRAMES;
    Atomics.store(i32, this.word + DOM.growingTo, to); // before it grows: see Domain.growsByItself()
    try {
      this.memory.memory.grow(pages);
    } catch {
      return false;
    }
    wantHugePages(this.memory.memory, from * PARA_FRAME_BYTES);
    this.mark(from, to - from, true);
    Atomics.store(i32, this.word + DOM.frames, to);
    return true;
  }

  /** Whether all of these frames exist and are given back, or populated. */
  private all(first: number, frames: number, givenBack: boolean): boolean {
    const { i32 } = this.hv;
    if (first < 0 || first + frames > i32[this.word + DOM.frames]) return false;
    for (let frame = first; frame < first + frames; frame++) {
      if (((i32[this.bits + (frame >>> 5)] >>> (frame & 31)) & 1) !== Number(givenBack)) return false;
    }
    return true;
  }

  private mark(first: number, frames: number, givenBack: boolean): void {
    const { i32 } = this.hv;
    for (let frame = first; frame < first + frames; frame++) {
      const bit = 1 << (frame & 31);
      if (givenBack) i32[this.bits + (frame >>> 5)] |= bit;
      else i32[this.bits + (frame >>> 5)] &= ~bit;
    }
  }

  /** Gives the host memory of frames back; where the host cannot be asked they are zeros at least. */
  private discard(first: number, frames: number): void {
    const start = first * PARA_FRAME_BYTES;
    const bytes = frames * PARA_FRAME_BYTES;
    if (!this.memory.reaches(start + bytes)) return;
    const view = this.memory.u8.subarray(start, start + bytes);
    if (!giveToHost(view)) view.fill(0);
  }
}

function each(extents: readonly number[], one: (first: number) => number): Outcome {
  for (let done = 0; done < extents.length; done++) {
    const error = one(extents[done]);
    if (error < 0) return { done, error };
  }
  return { done: extents.length, error: 0 };
}
