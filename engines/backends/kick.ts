/**
 * Waking another thread: the kick area, a SharedArrayBuffer with one slot per IoContext.
 *
 * The state word of a slot, and who changes it (every change is one atomic operation):
 *
 *                       owner: fallAsleep()
 *                  ┌──────────────────────────► SLEEPING ──┐
 *               RUNNING ◄──────────────────────────────────┤ owner: wakeUp() -> false (completion, timeout)
 *                ▲  │                              │       │
 *    owner:      │  │ kicker: exchange             │ kicker: exchange, and since it saw SLEEPING
 *    takeKick(), │  ▼ (no system call)             ▼ it alone writes to the eventfd (or notifies)
 *    wakeUp() ───┴ KICKED ◄────────────────────────┘
 *                   └─ kicker: exchange: KICKED again, no system call
 *
 * No wake-up is lost: a kick before fallAsleep() leaves KICKED, and fallAsleep() (compare-and-exchange of RUNNING) then
 * fails; a kick after it sees SLEEPING and makes the system call, and what that does stays: an eventfd keeps its count,
 * and its event is in the ring even if the owner has not yet reached the kernel; futex(2) and Atomics.wait() compare the state word.
 * What the kicker wrote before kick() is seen by the owner after takeKick()/wakeUp() (both are read-modify-writes of one
 * word). A kick that races with another reason to wake may make one later wait() wake in vain; waits look again.
 *
 * Why an eventfd with a multishot poll in the ring: sleeping thread to running JavaScript in µs, medians of two rounds
 * of 3000: multishot poll 7.0, 10.8; read of the eventfd 10.2, 12.2; MSG_RING 10.6, 12.6; Atomics.notify 10.7, 11.2.
 * Who waits for nothing but kicks sleeps on the state word itself, by futex(2): two threads that wake each other by turns take
 * 5 µs of processor time a round trip so, 13 by the eventfd, 6 by Atomics.
 */
import { closeSync } from 'node:fs';
import type { Kicker } from './io.js';
import { type Libc, libc, NativeMemory } from './libc.js';

const RUNNING = 0;
const KICKED = 1;
/** Sleeps where an event on its eventfd wakes it. */
const SLEEPING_EVENTFD = 2;
/** Sleeps in Atomics.wait() on the state word: V8's own table of sleepers, not the kernel's. */
const SLEEPING_ATOMICS = 3;
/** Sleeps in futex(2) on the state word. */
const SLEEPING_FUTEX = 4;
const SLEEPS = { eventfd: SLEEPING_EVENTFD, atomics: SLEEPING_ATOMICS, futex: SLEEPING_FUTEX } as const;
/** What a kick must do to wake a thread that sleeps so. */
export type SleepsOn = keyof typeof SLEEPS;

/** 32-bit words of a slot: 256 bytes, so that slots share no cache line. */
const SLOT_WORDS = 64;
const STATE = 0;
/** File descriptors plus one, 0 = none. The first is the eventfd; all are closed by reclaim(). */
const EVENTFD = 1;
const DESCRIPTORS = 1;
/** Mapped memory, which reclaim() unmaps: bytes (0 = none), address in two words. */
const MAPPINGS = 52;
const MAPPING_WORDS = 3;

/** Memory for `slots` contexts, to be passed to every thread that owns or kicks one. */
export function createKickArea(slots: number): SharedArrayBuffer {
  return new SharedArrayBuffer(slots * SLOT_WORDS * 4);
}

/** Wakes the owners of slots. One object per thread, over the shared area. */
export class KickArea implements Kicker {
  readonly #words: Int32Array;
  readonly slots: number;
  #base = 0;

  constructor(area: SharedArrayBuffer) {
    this.#words = new Int32Array(area);
    this.slots = Math.floor(this.#words.length / SLOT_WORDS);
  }

  kick(slot: number): void {
    const at = slot * SLOT_WORDS;
    const before = Atomics.exchange(this.#words, at + STATE, KICKED);
    if (before === SLEEPING_EVENTFD) signal(Atomics.load(this.#words, at + EVENTFD) - 1);
    else if (before === SLEEPING_ATOMICS) Atomics.notify(this.#words, at + STATE);
    else if (before === SLEEPING_FUTEX) libc()?.futexWake(this.#address() + at * 4, 1);
  }

  /** Of the area: shared memory stays where it is. */
  #address(): number {
    if (this.#base === 0) this.#base = libc()?.address(this.#words) ?? 0;
    return this.#base;
  }

  /** Closes and unmaps what a context left whose thread was terminated before dispose(). Only after the thread has exited. */
  reclaim(slot: number): void {
    const at = slot * SLOT_WORDS;
    for (let i = DESCRIPTORS; i < MAPPINGS; i++) {
      const fd = Atomics.exchange(this.#words, at + i, 0) - 1;
      if (fd >= 0) closeQuietly(fd);
    }
    for (let i = at + MAPPINGS; i + MAPPING_WORDS <= at + SLOT_WORDS; i += MAPPING_WORDS) {
      const bytes = Atomics.exchange(this.#words, i, 0);
      if (bytes > 0) libc()?.munmap((this.#words[i + 1] >>> 0) + this.#words[i + 2] * 2 ** 32, bytes);
    }
    Atomics.store(this.#words, at + STATE, RUNNING);
  }

  /** The owner's side of a slot. */
  owner(slot: number): KickSlot {
    if (!Number.isInteger(slot) || slot < 0 || slot >= this.slots) {
      throw new RangeError(`kick slot ${slot}: the kick area has slots 0 to ${this.slots - 1}`);
    }
    return new KickSlot(this.#words.subarray(slot * SLOT_WORDS, (slot + 1) * SLOT_WORDS));
  }
}

/** A slot as its owning thread uses it. */
export class KickSlot {
  /** For futex(2): the state word, and how long to sleep. */
  #native: { address: number; memory: NativeMemory; timespec: Uint32Array } | undefined;

  constructor(private readonly words: Int32Array) {
    Atomics.store(words, STATE, RUNNING);
  }

  /** Announces a sleep; false when a kick came first: it is taken now, and the owner must not sleep. */
  fallAsleep(how: SleepsOn): boolean {
    if (Atomics.compareExchange(this.words, STATE, RUNNING, SLEEPS[how]) === RUNNING) return true;
    Atomics.store(this.words, STATE, RUNNING);
    return false;
  }

  /** Sleeps in place until a kick or the timeout (milliseconds); after fallAsleep('atomics') only. */
  sleepOnAtomics(timeoutMs: number): void {
    Atomics.wait(this.words, STATE, SLEEPING_ATOMICS, timeoutMs);
  }

  /** The same in nanoseconds, less than a second; after fallAsleep('futex') only. */
  sleepOnFutex(c: Libc, timeoutNs: number): void {
    this.#native ??= nativeWord(c, this.words);
    const { address, memory, timespec } = this.#native;
    timespec[2] = timeoutNs; // the low half of the nanoseconds
    c.futexWait(address, SLEEPING_FUTEX, memory.address);
  }

  /** Gives back what sleepOnFutex() needed. */
  dispose(): void {
    this.#native?.memory.free();
    this.#native = undefined;
  }

  /** Ends a sleep; true when a kick had come. */
  wakeUp(): boolean {
    return Atomics.exchange(this.words, STATE, RUNNING) === KICKED;
  }

  /** Takes a kick that came while running; a load when there is none. */
  takeKick(): boolean {
    return Atomics.load(this.words, STATE) === KICKED && Atomics.exchange(this.words, STATE, RUNNING) === KICKED;
  }

  /** The eventfd that kickers write to. Set before the first fallAsleep('eventfd'). */
  setEventfd(fd: number): void {
    Atomics.store(this.words, EVENTFD, fd + 1);
  }

  /** Remembers a descriptor for reclaim(). When the table is full it is simply not remembered. */
  remember(fd: number): void {
    const free = this.words.indexOf(0, DESCRIPTORS + 1);
    if (free >= 0 && free < MAPPINGS) Atomics.store(this.words, free, fd + 1);
  }

  /** The owner closes the descriptor itself. */
  forget(fd: number): void {
    const at = this.words.indexOf(fd + 1, DESCRIPTORS);
    if (at >= 0 && at < MAPPINGS) Atomics.store(this.words, at, 0);
  }

  /** Remembers mapped memory for reclaim(), as remember() does. The bytes come last: until then it is none. */
  rememberMapping(address: number, bytes: number): void {
    for (let at = MAPPINGS; at + MAPPING_WORDS <= SLOT_WORDS; at += MAPPING_WORDS) {
      if (this.words[at] !== 0) continue;
      this.words[at + 1] = address;
      this.words[at + 2] = address / 2 ** 32;
      Atomics.store(this.words, at, bytes);
      return;
    }
  }

  /** Before the owner unmaps them itself: afterwards others may lie there. */
  forgetMappings(): void {
    this.words.fill(0, MAPPINGS);
  }
}

function nativeWord(c: Libc, words: Int32Array) {
  const memory = new NativeMemory(c, 4096);
  return { address: c.address(words), memory, timespec: new Uint32Array(memory.buffer, 0, 4) };
}

let one: { c: Libc; memory: NativeMemory } | undefined;

/** Adds 1 to an eventfd. A closed descriptor (the sleeper has just gone) is no error of the kicker's. */
function signal(fd: number): void {
  if (one === undefined) {
    const c = libc();
    if (c === undefined) return;
    one = { c, memory: new NativeMemory(c, 4096) };
    new Uint32Array(one.memory.buffer)[0] = 1;
  }
  one.c.write(fd, one.memory.address, 8);
}

function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // Already closed: nothing is left to give back.
  }
}
