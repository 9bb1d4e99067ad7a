/** The thread of one hart: runs it in slices, and between them looks at its timer, its I/O and its messages. */
import { type MessagePort, parentPort, receiveMessageOnPort } from 'node:worker_threads';
import type { IoContext } from '../../backends/io.js';
import { createIoContext } from '../../backends/io-context.js';
import { KickArea } from '../../backends/kick.js';
import { minimizeTimerSlack, yieldProcessor } from '../../process/libc.js';
import { saveMemory } from '../../process/program/own-program.js';
import { DYNAMIC_INFO_ADDRESS } from '../boot/boot-rom.js';
import type { Loaded } from '../boot/loader.js';
import type { VmConfig } from '../config.js';
import { SupervisorTimer } from '../cpu/host/supervisor-timer.js';
import { EVENT } from '../cpu/layout.js';
import { type CompileService, HartExit, IRQ, type ServedHart } from '../cpu/served-hart.js';
import type { CompiledRegion, RegionRequest } from '../cpu/translator/compiler.js';
import type { TranslateMode } from '../cpu/translator/translator.js';
import { Machine } from '../machine/machine.js';
import { StateLayout } from '../machine/shared-state.js';
import { createTracer, type Tracer } from '../machine/trace.js';
import { ENTRY, RAM_BASE } from '../memory-map.js';
import { HartTime } from './hart-time.js';
import { type OpenPorts, openHostPorts } from './host-ports.js';
import { Htif } from './htif.js';
import { SliceLength } from './slice.js';
import { TimedBus } from './timed-bus.js';
import { tracedBus } from './traced-bus.js';

export interface HartThreadData {
  hart: number;
  config: VmConfig;
  memory: WebAssembly.Memory;
  cpu: WebAssembly.Module;
  /** createKickArea(): a slot a hart. */
  kicks: SharedArrayBuffer;
  /** createFlowMemory(). */
  flows: SharedArrayBuffer;
  zero: [number, number];
  loaded: Loaded;
}

/** `look`: the machine's shared state holds something for the main thread. */
export type FromHart = 'look' | { facts: Record<string, string> } | { translate: RegionRequest };

/** How guest code is executed, for the results' readers. */
const CPU_FACTS: Readonly<Record<TranslateMode, string>> = {
  off: 'interpreter',
  on: 'translator to WebAssembly, interpreter for code that is not hot',
  forced: 'translator to WebAssembly, forced at first execution',
};
const EXIT_COUNTERS = {
  [HartExit.Budget]: 'exits.slice_end',
  [HartExit.Wfi]: 'exits.wfi',
  [HartExit.Pause]: 'exits.pause',
} as const;

/** Firmware's third argument. */
const A2 = 12;
/** Slices between two times that the thread's own counters are copied to shared memory, and an unfinished line is sent: some 5 ms. */
const PUBLISH_SLICES = 64;

class HartThread {
  readonly #hart: ServedHart;
  readonly #machine: Machine;
  readonly #io: IoContext;
  readonly #ports: OpenPorts;
  readonly #length = new SliceLength();
  readonly #time: HartTime;
  #slices = 0;
  readonly #htif: Htif | undefined;
  readonly #tracer: Tracer | undefined;
  readonly #supervisorTimer: SupervisorTimer;

  constructor(
    private readonly data: HartThreadData,
    Hart: typeof ServedHart,
  ) {
    const { config, memory, hart } = data;
    const layout = new StateLayout(config);
    this.#io = createIoContext(data.kicks, hart, { waiting: { pollUs: config.pollUs } });
    const memoryId = this.#io.addMemory(memory);
    this.#ports = openHostPorts(this.#io, config, data.flows);
    const kicker = new KickArea(data.kicks);
    this.#supervisorTimer = new SupervisorTimer(new Int32Array(memory.buffer), layout.hartBase(hart) >> 2);
    const tracer = createTracer(config.trace ?? [], hart, () => this.#machine.clock.now());
    this.#tracer = tracer;
    this.#machine = new Machine({
      ...data,
      layout,
      self: hart,
      memoryId,
      ports: this.#ports,
      kicker,
      ...(tracer === undefined ? {} : { tracer }),
      defer: (task) => this.#io.defer(task),
      beforeCounters: () => this.#publish(),
      callMain: () => this.#callMain(),
    });
    const { clock, lines } = this.#machine;
    const bus = tracer === undefined ? this.#machine.bus : tracedBus(this.#machine, tracer);
    const timed = new TimedBus({
      read: (address, size) => {
        const value = bus.read(address, size);
        lines.settle();
        return value;
      },
      write: (address, size, value) => {
        const answered = bus.write(address, size, value);
        lines.settle();
        return answered;
      },
      time: () => clock.now(),
    });
    this.#hart = new Hart(
      data.cpu,
      memory,
      {
        hartId: hart,
        stateBase: layout.hartBase(hart),
        ramOffset: layout.ramOffset,
        ramBytes: config.memoryBytes,
        compiler: mainThread,
      },
      timed,
    );
    const { state } = this.#hart;
    this.#time = new HartTime({
      instructions: () => state.instret,
      translated: () => state.count(EVENT.translatedInstructions),
      slept: () => this.#io.counters.sleptNs,
      accesses: () => timed.ns,
    });
    if (data.loaded.tohost !== undefined) {
      this.#htif = new Htif(memory, layout.ramOffset + data.loaded.tohost - RAM_BASE, (how) => this.#machine.end(how));
    }
  }

  run(): void {
    const { data } = this;
    if (data.hart === 0) tell({ facts: { ...this.#ports.facts, cpu: CPU_FACTS[this.#hart.mode] } });
    minimizeTimerSlack();
    this.#hart.reset(ENTRY, data.hart, data.loaded.fdtAddress);
    this.#hart.state.setX(A2, BigInt(DYNAMIC_INFO_ADDRESS));
    this.#machine.run.startTogether(data.config.harts);
    this.#time.begins();
    while (this.#slice()) {
      // Everything happens in slices.
    }
    this.#publish();
    this.#ports.dispose();
    this.#io.dispose();
  }

  /** False when the machine has ended. */
  #slice(): boolean {
    const { lines, clint, clock, threads } = this.#machine;
    lines.ownRaised = false;
    const exit = this.#hart.run(this.#length.left);
    this.#time.ends();
    this.#tracer?.exit(exit, this.#hart.state.pc);
    this.#htif?.poll();
    if (exit === HartExit.Stopped) return false;
    threads.count(EXIT_COUNTERS[exit]);
    if (++this.#slices % PUBLISH_SLICES === 0) this.#tellOutside();
    // Before a sleep wait() does that, and knows then that the guest waits.
    const waits = exit === HartExit.Wfi && !lines.ownRaised;
    if (waits) lines.settle();
    else this.#look();
    const now = clock.now();
    const timer = Math.min(clint.checkTimer(this.data.hart, now), this.#checkSupervisorTimer(now));
    if (exit === HartExit.Budget) this.#length.usedUp(now);
    else this.#length.waits(now, this.#hart.left);
    this.#length.begins(now);
    if (waits && lines.ownRaised) this.#look();
    else if (waits) this.#sleep(timer);
    else if (exit === HartExit.Pause) this.#pause();
    this.#time.begins();
    return true;
  }

  /** Hands over what was queued for the host, and takes what has come from it. */
  #look(): void {
    this.#io.submit();
    this.#io.poll();
    this.#machine.lines.settle();
  }

  #sleep(timer: number): void {
    const { clock, clint, lines, threads } = this.#machine;
    threads.count('sleeps');
    this.#machine.flushConsole();
    this.#publish();
    this.#io.wait(timer === Number.POSITIVE_INFINITY ? timer : clock.nsUntil(timer));
    lines.settle();
    const now = clock.now();
    clint.checkTimer(this.data.hart, now);
    this.#checkSupervisorTimer(now);
    this.#length.begins(now);
  }

  #checkSupervisorTimer(now: number): number {
    const next = this.#supervisorTimer.check(now);
    if (next === 0) this.#tracer?.line(this.data.hart, IRQ.STIP, true);
    return next;
  }

  /** A guest that never idles (xv6's scheduler, a hart at work) must show its prompt and its echo too. */
  #tellOutside(): void {
    this.#publish();
    this.#machine.flushConsole();
  }

  #publish(): void {
    const { translated, interpreter, devices, idle } = this.#time.totals();
    const { kicks } = this.#machine.lines;
    this.#machine.threads.publish(this.#io.counters, { kicks, translated, interpreter, devices, idle });
  }

  /**
   * The guest spins: what it waits for may need this very processor (another hart, another VM). Always, and not only
   * when harts outnumber processors: other VMs are not seen from here. 0.4 µs when nobody wants it; a lock contended by
   * 4 harts on 2 busy processors is handed on 4 times as often.
   */
  #pause(): void {
    yieldProcessor();
    this.#time.gaveAway();
  }

  #callMain(): void {
    if (this.#machine.run.callMain()) tell('look');
  }
}

const tell = (message: FromHart): void => parentPort?.postMessage(message);

/** The main thread compiles: it has little else to do, and one compiler warms up sooner than one a hart. */
const mainThread: CompileService = {
  request: (request) => tell({ translate: request }),
  take: () => receiveMessageOnPort(parentPort as MessagePort)?.message as CompiledRegion | undefined,
};

/** Serves as a hart's thread, of the kind given: waits for its HartThreadData as a message. */
export function serveHart(Hart: typeof ServedHart): void {
  // Runs until the machine ends: messages that come meanwhile are the compiler's.
  parentPort?.once('message', (data: HartThreadData) => {
    const thread = new HartThread(data, Hart);
    saveMemory();
    thread.run();
  });
}
