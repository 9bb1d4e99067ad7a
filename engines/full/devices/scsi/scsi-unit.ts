/**
 * The unit behind a SCSI target: what it is, and what it remembers from command to command: its sense data, the news that it
 * has for the initiator, its tray. In shared memory, under the controller's lock.
 */
import type { StateSlice } from '../device.js';
import { CODE, check, KEY, OP, type Plan, senseData, type UnitFacts } from './scsi-codes.js';
import { planCommand } from './scsi-commands.js';

/** Words of the state. Sense and news: key << 16 | code; 0: none. */
const W = { SENSE: 0, ATTENTION: 1, EJECTED: 2, LOCKED: 3 } as const;
export const SCSI_UNIT_STATE_BYTES = 64;

export class ScsiUnit {
  readonly #w: Int32Array;
  readonly #facts: UnitFacts;

  constructor(state: StateSlice, traits: Pick<UnitFacts, 'id' | 'bytes' | 'readonly' | 'media'>) {
    const words = state.i32;
    this.#w = words;
    this.#facts = {
      ...traits,
      get ejected() {
        return words[W.EJECTED] !== 0;
      },
      get locked() {
        return words[W.LOCKED] !== 0;
      },
    };
  }

  /** Power-on or bus reset: the next command hears of it. */
  reset(): void {
    this.#w[W.SENSE] = 0;
    this.#w[W.LOCKED] = 0;
    this.#w[W.ATTENTION] = CODE.RESET_OCCURRED;
  }

  /** What a command comes to. */
  plan(cdb: Uint8Array, lun: number): Plan {
    return this.#attentionFirst(cdb[0], planCommand(cdb, lun, this.#facts));
  }

  /** After a reset, or with a new medium, the first command but INQUIRY, REPORT LUNS and REQUEST SENSE fails with a unit attention (SAM-3, 5.9.7). */
  #attentionFirst(opcode: number, plan: Plan): Plan {
    const news = this.#w[W.ATTENTION];
    if (!news || opcode === OP.INQUIRY || opcode === OP.REPORT_LUNS) return plan;
    this.#w[W.ATTENTION] = 0;
    if (opcode !== OP.REQUEST_SENSE) return check(KEY.UNIT_ATTENTION, news);
    if (!this.#w[W.SENSE]) this.setSense(KEY.UNIT_ATTENTION, news);
    return plan;
  }

  /** Sense data is kept until it is asked for, or until something newer happens. */
  setSense(key: number, code: number): void {
    this.#w[W.SENSE] = (key << 16) | code;
  }

  /** REQUEST SENSE: what is kept, which is then forgotten. */
  takeSense(): Uint8Array {
    const sense = this.#w[W.SENSE];
    this.#w[W.SENSE] = 0;
    return senseData(sense >> 16, sense & 0xffff);
  }

  /** A medium that comes back may be another. */
  moveTray(ejected: boolean): void {
    if (this.#w[W.EJECTED] && !ejected) this.#w[W.ATTENTION] = CODE.MEDIUM_CHANGED;
    this.#w[W.EJECTED] = ejected ? 1 : 0;
  }

  lockTray(locked: boolean): void {
    this.#w[W.LOCKED] = locked ? 1 : 0;
  }
}
