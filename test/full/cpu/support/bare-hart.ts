import {
  buildCpuModule,
  type CompileService,
  HART_STATE_BYTES,
  Hart,
  type HartBus,
  HartExit,
  RAM_BASE,
} from '#engines/full/cpu/hart.js';
import type { TranslateMode } from '#engines/full/cpu/translator/translator.js';

export const STATE_BASE = 0x1_0000;
const RAM_BYTES = 4 << 20;
export const FINISHER = 0x10_0000;
export const UART = 0x1000_0000;
/** A word that the test bus keeps, to see devices' accesses. */
export const DEVICE = 0x2000_0000;

const pagesFor = (harts: number): number => 1 + (HART_STATE_BYTES * harts + RAM_BYTES) / 65536;
/** One or more harts, 4 MiB of RAM, a serial port that collects bytes, and a finisher: no machine around. */
export type CompilerOf = (memory: WebAssembly.Memory, stateBase: number) => CompileService;

export class BareMachine implements HartBus {
  readonly harts: Hart[];
  readonly memory: WebAssembly.Memory;
  readonly serial: number[] = [];
  readonly accesses: string[] = [];
  finished = false;
  ticks = 0;
  private readonly view: DataView;

  /** `compiler`: makes a hart's compiler, which is its own without it. */
  constructor(count = 1, translate?: TranslateMode, compiler?: CompilerOf) {
    const pages = pagesFor(count);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.memory = memory;
    const ramOffset = STATE_BASE + HART_STATE_BYTES * count;
    this.view = new DataView(memory.buffer, ramOffset, RAM_BYTES);
    const module = buildCpuModule({ maximumPages: pages });
    const mode = translate === undefined ? {} : { translate };
    this.harts = Array.from({ length: count }, (_, hartId) => {
      const stateBase = STATE_BASE + HART_STATE_BYTES * hartId;
      const service = compiler && { compiler: compiler(memory, stateBase) };
      const config = { hartId, stateBase, ramOffset, ramBytes: RAM_BYTES, ...mode, ...service };
      const hart = new Hart(module, memory, config, this);
      hart.reset(RAM_BASE, hartId, 0);
      return hart;
    });
  }

  get hart(): Hart {
    return this.harts[0];
  }

  read(paddr: number, size: 1 | 2 | 4): number {
    this.accesses.push(`r${size} ${paddr.toString(16)}`);
    if (paddr >= DEVICE && paddr < DEVICE + 8) return paddr === DEVICE ? 0x89abcdef : 0x01234567;
    return paddr === UART + 5 ? 0x60 : Number.NaN;
  }

  write(paddr: number, size: 1 | 2 | 4, value: number): boolean {
    this.accesses.push(`w${size} ${paddr.toString(16)} ${(value >>> 0).toString(16)}`);
    if (paddr === UART) this.serial.push(value & 0xff);
    else if (paddr === FINISHER) this.finished = true;
    else return paddr >= DEVICE && paddr < DEVICE + 8;
    return true;
  }

  time(): number {
    return this.ticks;
  }

  /** Writes instructions (32-bit words) at an address, which is RAM_BASE unless given. */
  code(words: readonly number[], address = RAM_BASE): void {
    words.forEach((insn, index) => {
      this.view.setUint32(address - RAM_BASE + index * 4, insn, true);
    });
    for (const hart of this.harts) hart.invalidateCode();
  }

  bytes(address: number, length: number): Uint8Array {
    return new Uint8Array(this.view.buffer, this.view.byteOffset + address - RAM_BASE, length);
  }

  set64(address: number, value: bigint): void {
    this.view.setBigUint64(address - RAM_BASE, BigInt.asUintN(64, value), true);
  }

  get64(address: number): bigint {
    return this.view.getBigUint64(address - RAM_BASE, true);
  }

  set32(address: number, value: number): void {
    this.view.setUint32(address - RAM_BASE, value, true);
  }

  /** Runs until the finisher is written; false when that takes more than `limit` instructions. */
  runToEnd(limit = 10_000_000): boolean {
    for (let done = 0; done < limit && !this.finished; done += 10_000) {
      if (this.hart.run(10_000) === HartExit.Stopped) return false;
    }
    return this.finished;
  }
}
