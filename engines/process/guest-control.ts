/**
 * The control protocol, host side, shared by all engines: the same guest program answers the same lines on every port.
 * An engine feeds it with the console's bytes and the doorbells' stamps, and takes a Machine's prepare(), start() and
 * result() from it.
 *
 *   < virtax-guest 1 ready port=riscv64 cpus=4 disk=134217728 net=1
 *   > prepare cpu/sieve seed=1 cpus=4        < ready cpu/sieve | skipped cpu/sieve REASON | error REASON
 *   > start ms=250 seed=7                    (doorbell start … doorbell stop)
 *   < result units=123 ops=456 checksum=0123456789abcdef errors=0 ns=250012345 …
 *
 * The guest is the enemy: a line that does not fit the state, a missing doorbell, a number that is none, a deadline
 * that passes or a flood of output fails the machine, with the console's last lines.
 */
import { ConsoleLog } from '../backends/console.js';
import { MachineFailure, type PrepareArgs, type SampleResult, type StartArgs, WorkloadUnsupported } from '../engine.js';
import { type Banner, parseBanner, parseResult, type ResultLine } from './protocol.js';

const TAIL_LINES = 20;
/** Console output that one step may cause; a guest beyond it only floods. */
const FLOOD_BYTES = 1 << 20;

export type Doorbell = 'start' | 'stop';

/** What is read at a doorbell, in the thread where it rings. */
export interface DoorbellStamp {
  /** CLOCK_MONOTONIC, process.hrtime.bigint(). */
  ns: bigint;
  /** CPU time of all that serves this machine, since any fixed moment. */
  cpuSeconds: number;
  /** Counters of the engine; their growth between the doorbells goes into the sample. */
  counters?: Record<string, number>;
}

export interface GuestControlOptions {
  /** For messages: `full VM 0`. */
  name: string;
  /** Writes text to the guest's console. */
  send(text: string): void;
  /** What net workloads get as `peer=`: `10.0.2.2:9000`. */
  peer?: string;
  /** How many bytes of console output one step may cause (tests lower it). */
  floodBytes?: number;
}

type Step =
  | { kind: 'boot'; done: (banner: Banner) => void }
  | { kind: 'prepare'; workload: string; done: () => void }
  | { kind: 'sample'; durationMs: number; done: (result: SampleResult) => void };
type Pending = Step & { fail: (error: Error) => void; timer: NodeJS.Timeout };

export class GuestControl {
  private readonly log = new ConsoleLog({ lines: TAIL_LINES }, (line) => this.line(line));
  private pending: Pending | undefined;
  private dead: MachineFailure | undefined;
  private sample: Promise<SampleResult> | undefined;
  private stamps: Partial<Record<Doorbell, DoorbellStamp>> = {};
  private answer: ResultLine | undefined;
  private stepBytes = 0;
  private banner: Banner | undefined;

  constructor(private readonly options: GuestControlOptions) {}

  /* ---- from the engine ---- */

  /** Console output of the guest, in order, doorbell bytes taken out. */
  output(bytes: Uint8Array | string): void {
    if (this.dead !== undefined) return;
    this.stepBytes += bytes.length;
    this.log.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    if (this.stepBytes > (this.options.floodBytes ?? FLOOD_BYTES)) {
      this.fail(`flooded the console with more than ${this.stepBytes - 1} bytes ${this.during()}`);
    }
  }

  /** A doorbell rang. */
  doorbell(which: Doorbell, stamp: DoorbellStamp): void {
    if (this.dead !== undefined) return;
    if (this.pending?.kind !== 'sample') return; // outside of samples the guest may ring as it likes
    if (this.stamps[which] !== undefined || (which === 'stop' && this.stamps.start === undefined)) {
      this.fail(`rang the ${which} doorbell out of turn`);
      return;
    }
    this.stamps[which] = stamp;
    this.endSample();
  }

  /** The machine died or misbehaved: everything that waits, and all that comes later, is rejected with this. */
  fail(cause: string): void {
    if (this.dead !== undefined) return;
    this.dead = new MachineFailure(`${this.options.name} ${cause}`, this.consoleTail());
    this.take()?.fail(this.dead);
  }

  consoleTail(): string[] {
    return this.log.tail();
  }

  get failure(): MachineFailure | undefined {
    return this.dead;
  }

  /* ---- for the Machine ---- */

  /** Resolves with the guest's banner. Call it before the guest can have printed anything. */
  booted(deadlineMs: number): Promise<Banner> {
    return this.step(deadlineMs, (done) => ({ kind: 'boot', done }));
  }

  prepare(workload: string, args: PrepareArgs): Promise<void> {
    const cpus = args.cpus ?? this.banner?.cpus ?? 1;
    const peer = this.options.peer === undefined ? '' : ` peer=${this.options.peer}`;
    const ready = this.step<void>(args.deadlineMs, (done) => ({ kind: 'prepare', workload, done }));
    this.transmit(`prepare ${workload} seed=${args.seed} cpus=${cpus}${peer}`);
    return ready;
  }

  start(args: StartArgs): void {
    this.stamps = {};
    this.answer = undefined;
    this.sample = this.step(args.deadlineMs, (done) => ({ kind: 'sample', durationMs: args.durationMs, done }));
    this.sample.catch(() => {}); // result() hands the rejection on; it may be asked for later
    this.transmit(`start ms=${args.durationMs} seed=${args.seed}`);
  }

  result(): Promise<SampleResult> {
    return this.sample ?? Promise.reject(new Error('result() without start()'));
  }

  /* ---- inside ---- */

  private transmit(line: string): void {
    if (this.dead === undefined) this.options.send(`${line}\n`);
  }

  private step<T>(deadlineMs: number, make: (done: (value: T) => void) => Step): Promise<T> {
    if (this.dead !== undefined) return Promise.reject(this.dead);
    if (this.pending !== undefined) return Promise.reject(new Error(`${this.options.name} is busy`));
    this.stepBytes = 0;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.fail(`gave no answer within ${deadlineMs} ms ${this.during()}`), deadlineMs);
      this.pending = { ...make(resolve), fail: reject, timer };
    });
  }

  private take(): Pending | undefined {
    const pending = this.pending;
    this.pending = undefined;
    if (pending !== undefined) clearTimeout(pending.timer);
    return pending;
  }

  private during(): string {
    if (this.pending?.kind === 'boot') return 'while booting';
    if (this.pending?.kind === 'prepare') return `while preparing ${this.pending.workload}`;
    if (this.pending?.kind === 'sample') return `in a sample of ${this.pending.durationMs} ms`;
    return 'between samples';
  }

  private line(line: string): void {
    if (this.dead !== undefined) return;
    try {
      if (line.startsWith('virtax-guest ')) this.onBanner(line);
      else if (line.startsWith('ready ')) this.onReady(line.slice(6).trim());
      else if (line.startsWith('skipped ')) this.onSkipped(line.slice(8));
      else if (line.startsWith('result ')) this.onResult(line);
      else if (line.startsWith('error ')) throw this.unexpected(line);
    } catch (error) {
      this.fail(error instanceof Error ? error.message : String(error));
    }
  }

  private onBanner(line: string): void {
    const step = this.pending;
    if (step?.kind !== 'boot') throw new Error('started again: its banner came twice');
    this.banner = parseBanner(line);
    this.take();
    step.done(this.banner);
  }

  private onReady(workload: string): void {
    const step = this.pending;
    if (step?.kind !== 'prepare' || step.workload !== workload) throw this.unexpected(`ready ${workload}`);
    this.take();
    step.done();
  }

  private onSkipped(text: string): void {
    const step = this.pending;
    if (step?.kind !== 'prepare') throw this.unexpected(`skipped ${text}`);
    const reason = text.startsWith(step.workload) ? text.slice(step.workload.length).trim() : text;
    this.take();
    step.fail(new WorkloadUnsupported(reason === '' ? 'the guest gives no reason' : reason));
  }

  private onResult(line: string): void {
    if (this.pending?.kind !== 'sample' || this.answer !== undefined) throw this.unexpected(line);
    this.answer = parseResult(line);
    this.endSample();
  }

  private unexpected(answer: string): Error {
    return new Error(`answered "${answer}" ${this.during()}`);
  }

  /** The result line and the doorbells may come by different ways: the sample ends with the last of the three. */
  private endSample(): void {
    const step = this.pending;
    const { start, stop } = this.stamps;
    if (step?.kind !== 'sample' || start === undefined || stop === undefined || this.answer === undefined) return;
    const { counters, ...answer } = this.answer;
    this.take();
    step.done({
      ...answer,
      startNs: start.ns,
      stopNs: stop.ns,
      cpuSeconds: stop.cpuSeconds - start.cpuSeconds,
      counters: { ...growth(start.counters, stop.counters), ...counters },
    });
  }
}

function growth(before: Record<string, number> = {}, after: Record<string, number> = {}): Record<string, number> {
  return Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)]));
}
