/**
 * One virtual machine in this process: its memory, its hart threads, its console. The main thread only serves: all of
 * the guest's work is done by the harts' threads.
 */
import { setFlagsFromString } from 'node:v8';
import type { Worker } from 'node:worker_threads';
import { wantHugePages } from '../../backends/huge-pages.js';
import { createKickArea, KickArea } from '../../backends/kick.js';
import { createFlowMemory } from '../../backends/user-network.js';
import { readImages } from '../boot/images.js';
import { type Loaded, load } from '../boot/loader.js';
import type { VmConfig, VmEnd } from '../config.js';
import { HartLines } from '../cpu/lines.js';
import { RegionCompiler, type RegionRequest } from '../cpu/translator/compiler.js';
import type { Stamp } from '../machine/doorbells.js';
import { MAIN_THREAD, Machine } from '../machine/machine.js';
import { NO_IO } from '../machine/no-io.js';
import { StateLayout } from '../machine/shared-state.js';
import type { FromHart, HartThreadData } from '../thread/hart-thread.js';
import { cpuModule } from './cpu-module.js';
import { startHartWorker } from './hart-worker.js';

/** For pasted text: the ring takes 4 KiB. */
const FEED_AGAIN_MS = 10;
/** For the harts' threads to end by themselves: they look every 100 µs or so. */
const STOP_MS = 1000;
/** As often as that a thread that is still starting is waited for; more than a busy host ever takes. */
const STARTS_MOST = 30;
const PAGE_WORDS = 1024;

export interface VmEvents {
  /** The harts are about to start. facts: what a reader of the results must know about this machine. */
  running(facts: Record<string, string>): void;
  output(bytes: Uint8Array): void;
  /** Nobody takes output for now: it waits in the guest's serial port until outputTaken(). */
  readonly outputHeld?: () => boolean;
  doorbell(stamp: Stamp): void;
  /** Once; the harts' threads have ended. */
  ended(how: VmEnd): void;
}

export class Vm {
  readonly #machine: Machine;
  readonly #layout: StateLayout;
  readonly #memory: WebAssembly.Memory;
  readonly #kicks: SharedArrayBuffer;
  readonly #input: number[] = [];
  #workers: Worker[] = [];
  #exits: Promise<unknown>[] = [];
  #exited = 0;
  #compiler: RegionCompiler | undefined;
  #over = false;
  #resetting = false;

  /**
   * Loads the images and starts the harts, on the threads of `waiting` as far as there are any (startHartWorker(), in order). Throws
   * an Error for the user when the configuration cannot be had.
   */
  constructor(
    private readonly config: VmConfig,
    private readonly events: VmEvents,
    private readonly waiting: Worker[] = [],
  ) {
    const layout = new StateLayout(config);
    const memory = new WebAssembly.Memory({ initial: layout.pages, maximum: layout.pages, shared: true });
    // Not the harts' state: little of what is reserved for decoded code is ever used.
    wantHugePages(memory, layout.ramOffset);
    this.#layout = layout;
    this.#memory = memory;
    this.#kicks = createKickArea(config.harts);
    const loaded = this.#load();
    this.#machine = new Machine({
      config,
      memory,
      zero: process.hrtime(),
      layout,
      loaded,
      self: MAIN_THREAD,
      memoryId: 0,
      ports: {},
      defer: NO_IO.defer,
      kicker: new KickArea(this.#kicks),
      beforeCounters: () => {},
      callMain: () => {},
    });
    this.#powerOn(loaded);
  }

  #load(): Loaded {
    const { config } = this;
    const ram = new Uint8Array(this.#memory.buffer, this.#layout.ramOffset, config.memoryBytes);
    return load(ram, readImages(config), config);
  }

  /** Starts the harts; all state but RAM's is zero. */
  #powerOn(loaded: Loaded): void {
    const { config } = this;
    const memory = this.#memory;
    this.#machine.reset();
    const common = {
      config,
      memory,
      cpu: cpuModule(),
      kicks: this.#kicks,
      flows: createFlowMemory(),
      zero: process.hrtime(),
      loaded,
    };
    this.#workers = [];
    this.#exits = [];
    this.#exited = 0;
    for (let hart = 0; hart < config.harts; hart++) this.#start({ hart, ...common });
  }

  /**
   * The guest asked for a reset: every device and hart as after power-on, images loaded anew, RAM otherwise as it was,
   * as on QEMU.
   */
  async #reset(): Promise<void> {
    this.#resetting = true;
    await this.#stopHarts();
    this.#resetting = false;
    if (this.#over) return;
    this.#drainConsole();
    clearTouched(new Int32Array(this.#memory.buffer, 0, this.#layout.ramOffset / 4));
    try {
      this.#powerOn(this.#load());
    } catch (error) {
      this.#end({ kind: 'fault', message: faultText(error as Error) });
    }
  }

  /** Bytes for the guest's serial port. */
  input(bytes: Uint8Array): void {
    for (const byte of bytes) this.#input.push(byte);
    this.#feed();
  }

  /** Output is wanted again. */
  outputTaken(): void {
    this.#look();
  }

  /** A stamp's counters by name. */
  named(values: Float64Array): Record<string, number> {
    return Object.fromEntries(Object.keys(this.counters()).map((name, index) => [name, values[index] ?? 0]));
  }

  counters(): Record<string, number> {
    return this.#machine.counters();
  }

  /** Ends the harts' threads: by asking, so that they give back what they hold; by force when they do not listen. */
  async stop(): Promise<void> {
    this.#over = true;
    await this.#stopHarts();
  }

  async #stopHarts(): Promise<void> {
    this.#machine.lines.stopAll();
    let looks = 0;
    const deadline = setInterval(() => {
      if (this.#starting && ++looks < STARTS_MOST) return;
      for (const worker of this.#workers) void worker.terminate();
    }, STOP_MS);
    await Promise.all(this.#exits);
    clearInterval(deadline);
  }

  /** Whether a thread may be loading still: koffi aborts the whole process when it is ended within. */
  get #starting(): boolean {
    return this.#machine.run.arrived + this.#exited < this.#workers.length;
  }

  #start(data: HartThreadData): void {
    const lines = new HartLines(this.#memory, this.#layout.hartBase(data.hart));
    const worker = this.waiting.shift() ?? startHartWorker(data.hart);
    worker.postMessage(data);
    worker.on('message', (message: FromHart) => {
      if (message === 'look') this.#look();
      else if ('translate' in message) this.#translate(worker, lines, message.translate);
      else this.events.running(message.facts);
    });
    worker.on('error', (error) => this.#end({ kind: 'fault', message: faultText(error) }));
    this.#workers.push(worker);
    this.#exits.push(new Promise((resolve) => worker.once('exit', resolve)));
    worker.once('exit', () => this.#exited++);
  }

  /** A hart waits for nothing: it goes on and finds the answer when it next looks. */
  #translate(worker: Worker, lines: HartLines, request: RegionRequest): void {
    this.#compiler ??= this.#newCompiler();
    worker.postMessage(this.#compiler.compile(request));
    lines.compiled();
  }

  /**
   * What compiling leaves behind is short-lived, but V8 lets its young generation grow to 48 MiB for it. The flag is not for the
   * command line: threads that start under any take longer. By now all have started.
   */
  #newCompiler(): RegionCompiler {
    setFlagsFromString('--semi-space-growth-factor=1');
    return new RegionCompiler(this.#memory, false);
  }

  #look(): void {
    const { run, doorbells, consoleOut } = this.#machine;
    run.mainLooks();
    for (const stamp of doorbells.take()) this.events.doorbell(stamp);
    if (this.events.outputHeld?.() !== true) {
      const bytes = consoleOut.drain();
      if (bytes.length > 0) this.events.output(bytes);
      this.#machine.consoleChanged();
    }
    this.#feed();
    const ended = run.ended;
    if (ended !== undefined) this.#end(ended);
  }

  /** Moves input to the shared ring as far as it goes; the guest does not say when it has read, so the rest is tried later. */
  #feed(): void {
    const { consoleIn } = this.#machine;
    let fed = 0;
    while (fed < this.#input.length && consoleIn.put(this.#input[fed])) fed++;
    if (fed < this.#input.length) setTimeout(() => this.#feed(), FEED_AGAIN_MS).unref();
    if (fed === 0) return;
    this.#input.splice(0, fed);
    this.#machine.consoleChanged();
  }

  #end(how: VmEnd): void {
    if (this.#over || this.#resetting) return;
    if (how.kind === 'reset' && !this.config.noReboot) {
      void this.#reset();
      return;
    }
    void this.stop().then(() => {
      this.#drainConsole();
      this.events.ended(how);
    });
  }

  #drainConsole(): void {
    const rest = this.#machine.consoleOut.drain();
    if (rest.length > 0) this.events.output(rest);
  }
}

/** Zeroes words that are not: what was never used keeps costing no memory. */
function clearTouched(words: Int32Array): void {
  for (let from = 0; from < words.length; from += PAGE_WORDS) {
    const page = words.subarray(from, from + PAGE_WORDS);
    if (page.some((word) => word !== 0)) page.fill(0);
  }
}

/** Plain Errors are messages for the user (a disk that is not there); all others are our mistakes, and need their place. */
const faultText = (error: Error): string => (error.name === 'Error' ? error.message : (error.stack ?? error.message));
