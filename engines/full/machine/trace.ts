/**
 * `--trace`: what happens between the guest and the machine, a line each on the standard error, with the time by the
 * machine's clock in seconds. Each hart's thread writes its own lines, whole ones; without a trace none of this exists.
 *
 *   exits  each return from the guest's code to the machine, with the reason and where the guest was
 *   irq    levels of the devices' wires to the interrupt controller, and of the harts' interrupt lines
 *   mmio   each access to a device: device, offset, address, size, value
 */
import { writeSync } from 'node:fs';
import type { TraceKind } from '../config.js';
import { HartExit } from '../cpu/exit.js';
import { IRQ } from '../cpu/layout.js';
import { TIMEBASE_HZ } from '../memory-map.js';

const STDERR = 2;
const EXIT_NAMES: Readonly<Record<HartExit, string>> = {
  [HartExit.Budget]: 'slice used up',
  [HartExit.Wfi]: 'wfi',
  [HartExit.Pause]: 'pause',
  [HartExit.Stopped]: 'stopped',
};
const LINE_NAMES = Object.entries(IRQ);

export interface MmioAccess {
  device: string;
  /** From the start of the device's window. */
  offset: number;
  address: number;
  size: number;
  /** undefined: nothing answered. */
  value: number | undefined;
}

export class Tracer {
  readonly #levels = new Map<number, boolean>();

  /** hart: whose thread this is. now: ticks of mtime. */
  constructor(
    private readonly kinds: ReadonlySet<TraceKind>,
    private readonly hart: number,
    private readonly now: () => number,
    private readonly write: (line: string) => void,
  ) {}

  /** run() has returned. */
  exit(reason: HartExit, pc: bigint): void {
    if (this.kinds.has('exits')) this.#line(`exit ${EXIT_NAMES[reason]} pc=0x${BigInt.asUintN(64, pc).toString(16)}`);
  }

  /** An access to a device left the guest's code, which goes on behind it. */
  mmio(kind: 'read' | 'write', { device, offset, address, size, value }: MmioAccess): void {
    if (this.kinds.has('exits')) this.#line(`exit mmio-${kind} ${device}`);
    if (!this.kinds.has('mmio')) return;
    const answer = value === undefined ? 'nobody answers' : `${kind === 'read' ? '->' : '<-'} ${hex(value)}`;
    this.#line(`mmio ${kind} ${device}+${hex(offset)} (${hex(address)}) size ${size} ${answer}`);
  }

  /** A wire as this thread drives it: told when it changes for this thread. */
  source(name: string, source: number, level: boolean): void {
    if (!this.kinds.has('irq') || (this.#levels.get(source) ?? false) === level) return;
    this.#levels.set(source, level);
    this.#line(`irq source ${source} (${name}) ${level ? 'raised' : 'lowered'}`);
  }

  /** bits of IRQ. */
  line(hart: number, bits: number, level: boolean): void {
    if (!this.kinds.has('irq')) return;
    const names = LINE_NAMES.filter(([, bit]) => (bits & bit) !== 0).map(([name]) => name);
    this.#line(`irq hart ${hart} ${names.join('+')} ${level ? 'raised' : 'lowered'}`);
  }

  #line(text: string): void {
    const seconds = (this.now() / TIMEBASE_HZ).toFixed(6).padStart(12);
    this.write(`[${seconds}] hart ${this.hart}: ${text}\n`);
  }
}

/** undefined when nothing is to be traced. */
export function createTracer(kinds: readonly TraceKind[], hart: number, now: () => number): Tracer | undefined {
  if (kinds.length === 0) return undefined;
  return new Tracer(new Set(kinds), hart, now, writeLine);
}

/** One system call a line, so that lines of several threads stay whole. A reader that has gone ends the trace, not the machine. */
function writeLine(line: string): void {
  try {
    writeSync(STDERR, line);
  } catch {
    // EPIPE, or EAGAIN on a full pipe that someone has made non-blocking: the line is lost.
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;
