/**
 * The few libc calls that supervision needs, through koffi. All of them are optional: on a host without koffi's
 * prebuilt library or without glibc's names the functions say so by returning undefined, and callers fall back.
 */
import koffi from 'koffi';

const PR_SET_PDEATHSIG = 1;

interface Libc {
  prctl(option: number, a: number, b: number, c: number, d: number): number;
  clock_gettime(clock: number, out: BigInt64Array): number;
  sched_yield(): number;
}

function load(): Libc | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const lib = koffi.load(null);
    const prctl = lib.func('int prctl(int, ulong, ulong, ulong, ulong)');
    const clockGettime = lib.func('int clock_gettime(int, _Out_ int64_t *)');
    const schedYield = lib.func('int sched_yield()');
    return {
      prctl: (option, a, b, c, d) => prctl(option, a, b, c, d) as number,
      clock_gettime: (clock, out) => clockGettime(clock, out) as number,
      sched_yield: () => schedYield() as number,
    };
  } catch {
    return undefined;
  }
}

const libc = load();

/** The kernel sends `signal` to this process when the thread that started it ends. False where the host cannot. */
export function setParentDeathSignal(signal: number): boolean {
  return libc !== undefined && libc.prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) === 0;
}

/** A clock of clock_gettime(2) in nanoseconds, or undefined where it cannot be read. */
export function readClock(clock: number): bigint | undefined {
  if (libc === undefined) return undefined;
  const time = new BigInt64Array(2);
  if (libc.clock_gettime(clock, time) !== 0) return undefined;
  return time[0] * 1_000_000_000n + time[1];
}

/** Gives the processor to another runnable thread, if there is one. Does nothing where the host has no such call. */
export function yieldProcessor(): void {
  libc?.sched_yield();
}
