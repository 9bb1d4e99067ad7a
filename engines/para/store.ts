/**
 * A domain's part of the store, with who may do what to it (para-abi.h, store_op). Everything is done under the part's lock; watches
 * fire before it is let go. Text is one byte a character. Numbers below 0 are errors of the ABI.
 */
import { Lock } from '../backends/lock.js';
import {
  PARA_EACCES,
  PARA_EAGAIN,
  PARA_EINVAL,
  PARA_ENOENT,
  PARA_ENOSPC,
  PARA_STORE_GUEST_ENTRIES,
  PARA_STORE_PATH_MAX,
  PARA_STORE_TRANSACTIONS,
  PARA_STORE_VALUE_MAX,
} from './abi.js';
import type { EventChannels } from './event-channels.js';
import { DOM, type HypervisorMemory } from './hypervisor-memory.js';
import {
  type Entry,
  EntryTable,
  MAY_READ,
  MAY_WRITE,
  NO_ENTRY,
  OWNER_DOMAIN,
  OWNER_TOOLSTACK,
} from './store/entries.js';
import { parsePermissions, permissionsText } from './store/permissions.js';
import { isAtOrBelow, Watches } from './store/watches.js';

export const TOOLSTACK = 0;
const CREATES_BELOW = /^(device|control|data|attr)\//;
const PATH = /^[A-Za-z0-9_@-]+(\/[A-Za-z0-9_@-]+)*$/;
/** Transactions are numbered so that the lowest digits are their place. */
const TX_PLACES = PARA_STORE_TRANSACTIONS;

export const isStorePath = (path: string): boolean => path.length <= PARA_STORE_PATH_MAX && PATH.test(path);

export class Store {
  private readonly lock: Lock;
  private readonly entries: EntryTable;
  private readonly watches: Watches;
  private readonly word: number;

  /** `events`: to wake those who watch; only readers do without. */
  constructor(
    private readonly hv: HypervisorMemory,
    private readonly domain: number,
    events?: EventChannels,
  ) {
    this.word = hv.domainWord(domain);
    this.lock = new Lock(hv.i32, this.word + DOM.storeLock);
    this.entries = new EntryTable(hv, domain);
    this.watches = new Watches(hv, events);
  }

  /* ---- the toolstack's side ---- */

  /** The value, or undefined. */
  get(path: string): string | undefined {
    const value = this.read(TOOLSTACK, path, 0);
    return typeof value === 'string' ? value : undefined;
  }

  /** guestWrites: the domain may write and remove it too. Throws when it does not fit: the caller is ours and its values are small. */
  set(path: string, value: string, { guestWrites = false } = {}): void {
    if (!isStorePath(path) || value.length > PARA_STORE_VALUE_MAX) {
      throw new RangeError(`store: ${path} = ${value}: more than ${PARA_STORE_VALUE_MAX} bytes`);
    }
    const error = this.lock.hold(() => {
      const result = this.writeLocked(TOOLSTACK, path, value, 0);
      const at = this.entries.find(path, 0);
      if (result === 0 && guestWrites) {
        this.entries.setPermissions(at, { all: 0, some: [{ domain: this.domain, may: MAY_READ | MAY_WRITE }] });
      }
      return result;
    });
    if (error !== 0) throw new Error('store: full');
  }

  /** The domain ends: what it watches elsewhere is forgotten there. */
  forget(): void {
    this.lock.hold(() => this.watches.removeAll(this.domain));
  }

  /* ---- reading ---- */

  /** `who` is a domain's number, TOOLSTACK, or this part's own domain. */
  read(who: number, path: string, transaction: number): string | number {
    return this.lock.hold(() => {
      const tx = this.transactionOf(transaction);
      if (tx < 0) return tx;
      const at = this.visible(path, tx);
      if (at === NO_ENTRY) return -PARA_ENOENT;
      return this.may(who, at) & MAY_READ ? this.entries.value(at) : -PARA_EACCES;
    });
  }

  /** Names right below `path` ("" is the root), each ended by a 0 byte, in order. */
  directory(who: number, path: string, transaction: number): string | number {
    return this.lock.hold(() => {
      const tx = this.transactionOf(transaction);
      if (tx < 0) return tx;
      const below = this.below(path, tx).filter((at) => this.may(who, at) & MAY_READ);
      if (below.length === 0) return -PARA_ENOENT;
      const start = path === '' ? 0 : path.length + 1;
      const names = below.map((at) => this.entries.path(at).slice(start).split('/')[0]);
      const unique = [...new Set(names)].filter((name) => name !== '').sort();
      return unique.map((name) => `${name}\0`).join('');
    });
  }

  getPermissions(who: number, path: string): string | number {
    return this.lock.hold(() => {
      const at = this.visible(path, 0);
      if (at === NO_ENTRY) return -PARA_ENOENT;
      if (!(this.may(who, at) & MAY_READ)) return -PARA_EACCES;
      return permissionsText({ owner: this.ownerDomain(at), ...this.entries.permissions(at) });
    });
  }

  /* ---- writing ---- */

  write(who: number, path: string, value: string, transaction: number): number {
    return this.lock.hold(() => {
      const tx = this.transactionOf(transaction);
      return tx < 0 ? tx : this.writeLocked(who, path, value, tx);
    });
  }

  /** The entry and all below it, or none of them. */
  remove(who: number, path: string, transaction: number): number {
    return this.lock.hold(() => {
      const tx = this.transactionOf(transaction);
      if (tx < 0) return tx;
      const all = this.below(path, tx);
      if (all.length === 0) return -PARA_ENOENT;
      if (all.some((at) => !this.mayRemove(who, at))) return -PARA_EACCES;
      if (tx !== 0) return this.removeInTransaction(all, tx);
      for (const at of all) this.removeEntry(at);
      return 0;
    });
  }

  setPermissions(who: number, path: string, text: string): number {
    return this.lock.hold(() => {
      const wanted = parsePermissions(text);
      const at = this.visible(path, 0);
      if (wanted === undefined) return -PARA_EINVAL;
      if (at === NO_ENTRY) return -PARA_ENOENT;
      const owner = this.ownerDomain(at);
      if ((who !== TOOLSTACK && who !== owner) || wanted.owner !== owner) return -PARA_EACCES;
      this.entries.setPermissions(at, wanted);
      this.changed(at);
      return 0;
    });
  }

  private writeLocked(who: number, path: string, value: string, tx: number): number {
    const old = this.visible(path, tx);
    if (old !== NO_ENTRY && !(this.may(who, old) & MAY_WRITE)) return -PARA_EACCES;
    if (old === NO_ENTRY && !this.mayCreate(who, path)) return -PARA_EACCES;
    const at = old !== NO_ENTRY && this.entries.transaction(old) === tx ? old : this.shadow(path, old, tx, who);
    if (at === NO_ENTRY) return -PARA_ENOSPC;
    this.entries.setValue(at, value);
    if (tx === 0) this.changed(at);
    return 0;
  }

  /** A new entry of this transaction (0: committed), which takes owner and permissions of the one that it stands for. */
  private shadow(path: string, old: Entry, tx: number, who: number): Entry {
    const hidden = this.entries.find(path, tx); // removed in this transaction, and now written again
    const at = hidden === NO_ENTRY ? this.create(path, old, tx, who) : hidden;
    if (at === NO_ENTRY) return at;
    this.entries.setRemoved(at, false);
    if (old !== NO_ENTRY) this.entries.setPermissions(at, this.entries.permissions(old));
    return at;
  }

  private create(path: string, old: Entry, tx: number, who: number): Entry {
    const owner = old !== NO_ENTRY ? this.entries.owner(old) : who === TOOLSTACK ? OWNER_TOOLSTACK : OWNER_DOMAIN;
    const counts = owner === OWNER_DOMAIN || tx !== 0;
    const { i32 } = this.hv;
    if (counts && i32[this.word + DOM.storeEntries] >= PARA_STORE_GUEST_ENTRIES) return NO_ENTRY;
    const at = this.entries.create(path, owner, tx);
    if (at !== NO_ENTRY && counts) i32[this.word + DOM.storeEntries]++;
    return at;
  }

  private free(at: Entry): void {
    if (this.entries.owner(at) === OWNER_DOMAIN || this.entries.transaction(at) !== 0) {
      this.hv.i32[this.word + DOM.storeEntries]--;
    }
    this.entries.free(at);
  }

  private removeEntry(at: Entry): void {
    this.changed(at);
    this.free(at);
  }

  private removeInTransaction(all: readonly Entry[], tx: number): number {
    const more = all.filter((at) => this.entries.transaction(at) !== tx).length;
    if (this.hv.i32[this.word + DOM.storeEntries] + more > PARA_STORE_GUEST_ENTRIES) return -PARA_ENOSPC;
    for (const at of all) {
      const own = this.entries.transaction(at) === tx ? at : this.create(this.entries.path(at), at, tx, this.domain);
      if (own === NO_ENTRY) return -PARA_ENOSPC;
      this.entries.setRemoved(own, true);
    }
    return 0;
  }

  /** A committed entry is another than before: counts, and tells those who watch. */
  private changed(at: Entry): void {
    this.hv.i32[this.word + DOM.storeGeneration]++;
    this.watches.fire(this.domain, this.entries.path(at), (who) => (this.may(who, at) & MAY_READ) !== 0);
  }

  /* ---- who may what ---- */

  private ownerDomain(at: Entry): number {
    return this.entries.owner(at) === OWNER_TOOLSTACK ? TOOLSTACK : this.domain;
  }

  private may(who: number, at: Entry): number {
    if (who === TOOLSTACK || who === this.ownerDomain(at)) return MAY_READ | MAY_WRITE;
    const { all, some } = this.entries.permissions(at);
    const granted = some.find(({ domain }) => domain === who)?.may ?? all;
    return who === this.domain ? granted | MAY_READ : granted;
  }

  private mayCreate(who: number, path: string): boolean {
    return who === TOOLSTACK || (who === this.domain && CREATES_BELOW.test(path));
  }

  private mayRemove(who: number, at: Entry): boolean {
    return (who === TOOLSTACK || who === this.domain) && (this.may(who, at) & MAY_WRITE) !== 0;
  }

  /* ---- what a transaction sees: its own entries before the committed ones ---- */

  private visible(path: string, tx: number): Entry {
    if (tx !== 0) {
      const own = this.entries.find(path, tx);
      if (own !== NO_ENTRY) return this.entries.removed(own) ? NO_ENTRY : own;
    }
    return this.entries.find(path, 0);
  }

  /** The entry at `path` and all below. */
  private below(path: string, tx: number): Entry[] {
    const found: Entry[] = [];
    for (const at of this.entries.all()) {
      const of = this.entries.transaction(at);
      if ((of !== 0 && of !== tx) || !isAtOrBelow(this.entries.path(at), path)) continue;
      if (this.visible(this.entries.path(at), tx) === at) found.push(at);
    }
    return found;
  }

  /* ---- transactions ---- */

  /** What entries of the transaction are marked with; 0: none; -ENOENT. */
  private transactionOf(id: number): number {
    if (id === 0) return 0;
    const place = id % TX_PLACES;
    return this.hv.i32[this.hv.transactionWord(this.domain, place)] === id ? place + 1 : -PARA_ENOENT;
  }

  start(): number {
    return this.lock.hold(() => {
      const { i32 } = this.hv;
      for (let place = 0; place < TX_PLACES; place++) {
        const at = this.hv.transactionWord(this.domain, place);
        if (i32[at] !== 0) continue;
        const count = (i32[this.word + DOM.transactions] % 0xfffff) + 1;
        i32[this.word + DOM.transactions] = count;
        i32[at] = count * TX_PLACES + place;
        i32[at + 1] = i32[this.word + DOM.storeGeneration];
        return i32[at];
      }
      return -PARA_ENOSPC;
    });
  }

  end(id: number, commit: boolean): number {
    return this.lock.hold(() => {
      const tx = id === 0 ? -PARA_ENOENT : this.transactionOf(id);
      if (tx < 0) return tx;
      const { i32 } = this.hv;
      const at = this.hv.transactionWord(this.domain, tx - 1);
      const conflict = i32[at + 1] !== i32[this.word + DOM.storeGeneration];
      i32[at] = 0;
      for (const entry of [...this.entries.all()]) {
        if (this.entries.transaction(entry) !== tx) continue;
        if (commit && !conflict) this.commit(entry);
        else this.free(entry);
      }
      return commit && conflict ? -PARA_EAGAIN : 0;
    });
  }

  /** An entry of a transaction takes the place of the committed one. */
  private commit(own: Entry): void {
    const path = this.entries.path(own);
    const old = this.entries.find(path, 0);
    if (this.entries.removed(own)) {
      this.free(own);
      if (old !== NO_ENTRY) this.removeEntry(old);
      return;
    }
    if (old !== NO_ENTRY) this.free(old);
    if (this.entries.owner(own) !== OWNER_DOMAIN) this.hv.i32[this.word + DOM.storeEntries]--;
    this.entries.setTransaction(own, 0);
    this.changed(own);
  }

  /* ---- watches: of this domain, on `target`'s part ---- */

  watch(target: number, path: string, token: number): number {
    return this.lock.hold(() => this.watches.add(this.domain, target, path, token));
  }

  unwatch(target: number, path: string, token: number): number {
    return this.lock.hold(() => this.watches.remove(this.domain, target, path, token));
  }

  takeEvent(): number {
    return this.lock.hold(() => this.watches.take(this.domain));
  }
}
