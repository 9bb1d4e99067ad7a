/** SCRIPTS: memory moves, load and store. Technical Manual, 5.7 and 5.8. */
import { BUS_ERROR } from '../device.js';
import { type LsiCore, signed24 } from './lsi53c895a-core.js';
import { DSTAT, REG } from './lsi53c895a-state.js';

/** Bytes that count as one instruction of the program's budget. */
const BYTES_A_STEP = 256;
const MOST_BYTES_OF_REGISTERS = 4096;

/** Three words: count, source, destination. Returns what it costs, in instructions. */
export function memoryMove(core: LsiCore, insn: number, source: number): number {
  const { state } = core;
  const count = insn & 0xff_ffff;
  const destination = core.read32(state.get(REG.DSP));
  state.set(REG.DSP, state.get(REG.DSP) + 4);
  if (destination === BUS_ERROR || !copy(core, destination, source, count)) core.busFault();
  return 1 + Math.floor(count / BYTES_A_STEP);
}

function copy(core: LsiCore, destination: number, source: number, count: number): boolean {
  const from = core.locate(source, count);
  const bytes = from?.buffer.subarray(from.offset, from.offset + count);
  const to = core.locate(destination, count);
  if (bytes && to) {
    to.buffer.set(bytes, to.offset);
    return true;
  }
  return count <= MOST_BYTES_OF_REGISTERS && copyBytes(core, destination, source, count);
}

/** To or from our own registers. */
function copyBytes(core: LsiCore, destination: number, source: number, count: number): boolean {
  for (let i = 0; i < count; i++) {
    const byte = core.readByte(source + i);
    if (byte === BUS_ERROR || !core.writeByte(destination + i, byte)) return false;
  }
  return true;
}

const LOAD = 1 << 24;
const DSA_RELATIVE = 1 << 28;

/** One to four bytes between memory and a register, inside one 32-bit word of registers. */
export function loadStore(core: LsiCore, insn: number, argument: number): void {
  const { state, registers } = core;
  const count = insn & 7;
  const register = (insn >>> 16) & 0xff;
  if (count === 0 || (register & 3) + count > 4) {
    core.dmaInterrupt(DSTAT.IID);
    return;
  }
  const address = (insn & DSA_RELATIVE ? state.get(REG.DSA) + signed24(argument) : argument) >>> 0;
  for (let i = 0; i < count; i++) {
    if (insn & LOAD) {
      const byte = core.readByte(address + i);
      if (byte === BUS_ERROR) {
        core.busFault();
        return;
      }
      registers.write(register + i, byte);
    } else if (!core.writeByte(address + i, registers.read(register + i))) {
      core.busFault();
      return;
    }
  }
}
