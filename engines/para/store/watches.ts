/**
 * Watches of the store. A watch lies in the part of the domain that watches; its state is one word, so that whoever changes an entry
 * of any domain can fire it without that domain's lock. A watch may so fire once too often, never once too few: it is
 * filled before it becomes active, and fires when it does.
 */
import { PARA_EAGAIN, PARA_EEXIST, PARA_ENOENT, PARA_ENOSPC, PARA_STORE_WATCHES } from '../abi.js';
import type { EventChannels } from '../event-channels.js';
import { DOM, DomainState, FOREIGN_WATCHES, type HypervisorMemory, MAX_DOMAINS } from '../hypervisor-memory.js';

/** Of a watch, in words; the path's bytes follow. */
const WATCH = { state: 0, token: 1, target: 2, length: 3, path: 4 } as const;
const State = { free: 0, quiet: 1, fired: 2 } as const;

export class Watches {
  constructor(
    private readonly hv: HypervisorMemory,
    private readonly events: EventChannels | undefined,
  ) {}

  /** `domain` watches `path` in the part of `target`. Under the lock of `domain`'s part. */
  add(domain: number, target: number, path: string, token: number): number {
    if (this.find(domain, target, path, token) >= 0) return -PARA_EEXIST;
    const { i32, u8 } = this.hv;
    for (let n = 0; n < PARA_STORE_WATCHES; n++) {
      const at = this.hv.watchWord(domain, n);
      if (i32[at + WATCH.state] !== State.free) continue;
      i32[at + WATCH.token] = token;
      i32[at + WATCH.target] = target;
      i32[at + WATCH.length] = path.length;
      for (let i = 0; i < path.length; i++) u8[(at + WATCH.path) * 4 + i] = path.charCodeAt(i);
      if (target !== domain) Atomics.add(i32, FOREIGN_WATCHES, 1);
      Atomics.store(i32, at + WATCH.state, State.fired);
      this.raise(domain);
      return 0;
    }
    return -PARA_ENOSPC;
  }

  remove(domain: number, target: number, path: string, token: number): number {
    const n = this.find(domain, target, path, token);
    if (n < 0) return -PARA_ENOENT;
    this.free(domain, n);
    return 0;
  }

  /** Those of a domain that ends. */
  removeAll(domain: number): void {
    for (let n = 0; n < PARA_STORE_WATCHES; n++) {
      if (this.hv.i32[this.hv.watchWord(domain, n)] !== State.free) this.free(domain, n);
    }
  }

  private free(domain: number, n: number): void {
    const at = this.hv.watchWord(domain, n);
    if (this.hv.i32[at + WATCH.target] !== domain) Atomics.sub(this.hv.i32, FOREIGN_WATCHES, 1);
    Atomics.store(this.hv.i32, at + WATCH.state, State.free);
  }

  private find(domain: number, target: number, path: string, token: number): number {
    const { i32 } = this.hv;
    for (let n = 0; n < PARA_STORE_WATCHES; n++) {
      const at = this.hv.watchWord(domain, n);
      if (i32[at + WATCH.state] === State.free || i32[at + WATCH.target] !== target) continue;
      if (i32[at + WATCH.token] === token && this.path(at) === path) return n;
    }
    return -1;
  }

  private path(at: number): string {
    const start = (at + WATCH.path) * 4;
    return String.fromCharCode(...this.hv.u8.subarray(start, start + this.hv.i32[at + WATCH.length]));
  }

  /** Token of a watch that has fired; each in its turn. Under the lock of `domain`'s part. */
  take(domain: number): number {
    const { i32 } = this.hv;
    const word = this.hv.domainWord(domain) + DOM.watchNext;
    for (let step = 0; step < PARA_STORE_WATCHES; step++) {
      const n = (i32[word] + step) % PARA_STORE_WATCHES;
      const at = this.hv.watchWord(domain, n);
      if (Atomics.compareExchange(i32, at + WATCH.state, State.fired, State.quiet) !== State.fired) continue;
      i32[word] = n + 1;
      return i32[at + WATCH.token];
    }
    return -PARA_EAGAIN;
  }

  /** `path` in the part of `target` has changed, or is gone. `mayRead`: who else than its own domain is to know. */
  fire(target: number, path: string, mayRead: (domain: number) => boolean): void {
    this.fireIn(target, target, path);
    if (Atomics.load(this.hv.i32, FOREIGN_WATCHES) === 0) return;
    for (let domain = 1; domain < MAX_DOMAINS; domain++) {
      const running = this.hv.i32[this.hv.domainWord(domain) + DOM.state] === DomainState.running;
      if (domain !== target && running && mayRead(domain)) this.fireIn(domain, target, path);
    }
  }

  private fireIn(domain: number, target: number, path: string): void {
    const { i32 } = this.hv;
    let any = false;
    for (let n = 0; n < PARA_STORE_WATCHES; n++) {
      const at = this.hv.watchWord(domain, n);
      if (Atomics.load(i32, at + WATCH.state) === State.free || i32[at + WATCH.target] !== target) continue;
      if (!isAtOrBelow(path, this.path(at))) continue;
      // An event that was not taken yet tells of this change too.
      any = Atomics.compareExchange(i32, at + WATCH.state, State.quiet, State.fired) === State.quiet || any;
    }
    if (any) this.raise(domain);
  }

  private raise(domain: number): void {
    const port = Atomics.load(this.hv.i32, this.hv.domainWord(domain) + DOM.storePort);
    if (port !== 0) this.events?.setPending(domain, port);
  }
}

/** "" is the root: everything is below. */
export function isAtOrBelow(path: string, directory: string): boolean {
  if (directory === '' || path === directory) return true;
  return path.length > directory.length && path.startsWith(directory) && path[directory.length] === '/';
}
