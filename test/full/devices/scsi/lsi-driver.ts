/** The guest driver's part of the work, for tests: loads its SCRIPTS, fills in commands, rings the doorbell, collects status. */
import { Lsi53c895a } from '#engines/full/devices/scsi/lsi53c895a.js';
import type { ScsiUnit } from '#engines/full/devices/scsi/scsi-bus.js';
import { FakeDisk, PciBench } from '../pci/pci-bench.js';
import { EMPTY_SLOT, FULL, MISMATCH, PROGRAM, RAM_AT, SHARED_AT, START, WRAP } from './lsi-script.js';

export const REGS = 0x4000_4000;
export const R = {
  SCNTL1: 0x01,
  DSTAT: 0x0c,
  DSA: 0x10,
  ISTAT: 0x14,
  CTEST2: 0x1a,
  DSP: 0x2c,
  DSPS: 0x30,
  SCRATCHA: 0x34,
  DIEN: 0x39,
  DCNTL: 0x3b,
  SIEN0: 0x40,
  SIEN1: 0x41,
  SIST0: 0x42,
  SIST1: 0x43,
  CCNTL0: 0x56,
  TEMP: 0x1c,
} as const;
const PAGE = 256;
const RING = SHARED_AT + 32 * PAGE;
const SLOTS = 64;
const SLOT_BYTES = 24;
const STATUS = RING + SLOTS * SLOT_BYTES + 8;
export const BUFFERS = 0x8002_0000;

export class LsiBench extends PciBench {
  readonly disk: FakeDisk;
  /** All disks; the first is `disk`. */
  readonly disks: FakeDisk[];
  readonly lsi: Lsi53c895a;
  #slot = 0;

  /** more: targets 1, 2, …, of so many bytes. */
  constructor(diskBytes = 1 << 20, readonly = false, more: (Omit<ScsiUnit, 'port'> & { bytes: number })[] = []) {
    super();
    const units = [{ bytes: diskBytes, readonly, media: 'disk' as const }, ...more];
    this.disks = units.map(({ bytes }) => new FakeDisk(this.memory, bytes));
    this.disk = this.disks[0];
    this.lsi = new Lsi53c895a(
      this.context(),
      units.map((unit, index) => ({ ...unit, port: this.disks[index].port })),
    );
    this.plug(this.lsi, { 1: REGS, 2: RAM_AT });
    this.set8(R.DIEN, 0x75);
    this.set8(R.SIEN0, 0x8f);
    this.set8(R.SIEN1, 0x04);
    this.set8(R.DCNTL, 0x01);
    this.set8(R.CCNTL0, 0x80);
  }

  set8(register: number, value: number): void {
    this.write(REGS + register, value, 1);
  }
  get8(register: number): number {
    return this.read(REGS + register, 1);
  }
  set32(register: number, value: number): void {
    this.write(REGS + register, value);
  }
  get32(register: number): number {
    return this.read(REGS + register);
  }

  /** Puts a program of our own into the chip's RAM and runs it. */
  run(...words: number[]): void {
    words.forEach((word, i) => {
      this.write(RAM_AT + 4 * i, word);
    });
    this.set32(R.DSP, RAM_AT);
  }

  /** The driver's program, up to its wait. */
  startDriver(): void {
    PROGRAM.forEach((word, i) => {
      this.write(RAM_AT + 4 * i, word);
    });
    this.set32(0xc0, MISMATCH);
    this.set32(0xc4, MISMATCH);
    this.#slot = 0;
    for (let i = 0; i < SLOTS; i++) this.poke32(RING + i * SLOT_BYTES, ...EMPTY_SLOT);
    this.poke32(RING + SLOTS * SLOT_BYTES, ...WRAP);
    this.poke(STATUS, ...new Array<number>(32).fill(0xff));
    this.set32(R.TEMP, RING);
    this.set32(R.DSA, SHARED_AT);
    this.set32(R.DSP, START);
  }

  /** target: 0 is the disk. data: where, and how many bytes. */
  enqueue(tag: number, cdb: number[], data: number, bytes: number, target = 0, identify = 0xc0): void {
    const at = SHARED_AT + tag * PAGE;
    this.poke(at + 40, identify, 0x20, tag);
    this.poke(at + 48, ...cdb);
    this.poke32(at, target << 16, 0, 3, at + 40, cdb.length, at + 48, bytes, data, 1, STATUS + tag);
    this.poke(STATUS + tag, 0xff);
    const behind = (this.#slot + 1) % SLOTS;
    this.poke32(RING + SLOT_BYTES * behind, EMPTY_SLOT[0]);
    this.poke32(RING + SLOT_BYTES * this.#slot, FULL | (tag << 8));
    this.#slot = behind;
  }

  doorbell(): void {
    this.set8(R.ISTAT, 0x20);
  }

  /** One command, alone: its SCSI status. */
  command(cdb: number[], bytes = 1, data = BUFFERS, target = 0): number {
    this.enqueue(0, cdb, data, bytes, target);
    this.doorbell();
    for (const disk of this.disks) disk.completeAll();
    return this.status(0);
  }

  status(tag: number): number {
    return this.peek(STATUS + tag, 1)[0];
  }
  table(tag: number): number[] {
    const view = new DataView(Uint8Array.from(this.peek(SHARED_AT + tag * PAGE + 24, 8)).buffer);
    return [view.getUint32(0, true), view.getUint32(4, true)];
  }
}

export const read10 = (block: number, blocks: number): number[] => [
  0x28,
  0,
  0,
  0,
  block >> 8,
  block & 255,
  0,
  blocks >> 8,
  blocks & 255,
  0,
];
export const write10 = (block: number, blocks: number, fua = 0): number[] => [
  0x2a,
  fua,
  ...read10(block, blocks).slice(2),
];
